"""The hook after the baseline: what shapers are shown, what the loss gets, on one process, on two, and after a kill."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from support.processes import on_two_processes
from support.runs import Script, scored, tiny_config, tiny_run

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.rewards import MajorityVoteReward
from selfrl.shaping import EntropyReshaping, FlipGuard, Restrain, Shaper
from selfrl.shaping.restrain import restrained
from selfrl.shaping.shaper import AdvantageGroup, Shaped
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer
from selfrl.trainers.advantage_shaping import AdvantageShaping
from selfrl.trainers.trl_surface import Setup

TINY = Path(model_path("tiny"))
SHORT: dict[str, Any] = {"max_completion_length": 40, "max_steps": 1, "shuffle_dataset": False}


class Numbered(Shaper):
    """Shifts by the prompt's row number in the batch; keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[list[AdvantageGroup]] = []

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        self.shown.append(list(groups))
        found = [[a + min(group.record.rows) for a in group.advantages] for group in groups]
        return Shaped(found, {"numbered/groups": float(len(groups))})


@pytest.mark.slow
@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer])
def test_shapers_come_after_the_baseline_one_after_the_other(trainer_class: type, tmp_path: Path) -> None:
    first, second = Numbered(), Numbered()
    trainer = tiny_run(trainer_class, TINY, tmp_path, Script([1.0, 0.0, None, 0.0]), shaping=[first, second], **SHORT)
    trainer._reorders = False
    batches = scored(trainer)
    trainer.train()
    groups = first.shown[0]
    plain = [a for group in groups for a in group.advantages]
    assert len(groups) == 2
    assert plain[0] > 0 > plain[1] == plain[3]
    assert plain[2] == 0
    assert [group.record.rewards for group in groups] == [(1.0, 0.0, None, 0.0)] * 2
    assert [a for group in second.shown[0] for a in group.advantages] == pytest.approx(
        [a + 4 * (i // 4) for i, a in enumerate(plain)]
    )
    assert batches[0]["advantages"].tolist() == pytest.approx([a + 8 * (i // 4) for i, a in enumerate(plain)])
    assert list(trainer._logs["advantages"]) == pytest.approx(batches[0]["advantages"].tolist())
    assert trainer.state.log_history[0]["numbered/groups"] == 2


@pytest.mark.slow
def test_keys_labels_signals_and_columns_are_there_whatever_rewards(tmp_path: Path) -> None:
    """Nobody votes and no reward listens: the shapers alone have it done."""
    data = tiny_problems("train", 16).map(lambda row: {"share": 0.5})
    restrain = Restrain(2, 1.0, 1.0, 0.5, reference="share")
    seen = Numbered()
    shaping = [EntropyReshaping(), restrain, seen]
    tiny_run(GRPOTrainer, TINY, tmp_path, Script([1.0, 0.0]), data, shaping=shaping, **SHORT).train()
    for group in seen.shown[0]:
        assert set(group.record.signals) == {"entropy"}
        assert any(group.record.keys)
        weight = 0.6065306597126334  # g(0.5)
        expected = [weight * a for a in restrained(group.record.keys, 2, 1.0, 1.0, 0.5)]
        assert list(group.advantages) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_completions_that_only_vote_are_told_apart(tmp_path: Path) -> None:
    seen = Numbered()
    options = {**SHORT, "num_generations_train": 2}
    trainer = tiny_run(GRPOTrainer, TINY, tmp_path, Script([1.0, 0.0, 1.0, 1.0]), shaping=[seen], **options)
    batches = scored(trainer)
    trainer.train()
    assert [group.trained for group in seen.shown[0]] == [(True, True, False, False)] * 2
    assert [group.advantages[2:] for group in seen.shown[0]] == [(0.0, 0.0)] * 2
    assert len(batches[0]["advantages"]) == 4


def guarded(out: Path, **options: Any) -> Any:
    """Two prompts again and again, so that labels flip."""
    guard = FlipGuard("flip", window=2, skip_probability=0.5)
    keys = {**SHORT, "max_steps": 4, "num_train_epochs": 4, "save_strategy": "steps", "save_steps": 1, **options}
    data = tiny_problems("train", 4, seed=3)
    return guard, tiny_run(GRPOTrainer, TINY, out, MajorityVoteReward(), data, shaping=[guard], temperature=2.0, **keys)


@pytest.mark.slow
def test_state_of_prompts_survives_a_kill(tmp_path: Path) -> None:
    guard, whole = guarded(tmp_path / "whole")
    whole.train()
    assert any(state["competed"] for state in guard.state().values())
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole/checkpoint-3", cut / "checkpoint-3")
    again, resumed = guarded(cut)
    resumed.train(resume_from_checkpoint=str(cut / "checkpoint-3"))
    assert again.state() == guard.state()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def on_each(out: str) -> tuple[Any, list[list[float]], list[float], int]:
    seen, guard = Numbered(), FlipGuard("flip")
    # a group spans both processes: two rows of each prompt here, two there
    keys = {**SHORT, "per_device_train_batch_size": 2, "steps_per_generation": 1, "num_generations": 4}
    trainer = tiny_run(GRPOTrainer, TINY, Path(out), Script([1.0, 0.0]), shaping=[guard, seen], **keys)
    batches = scored(trainer)
    trainer.train()
    groups = seen.shown[0]
    mine = batches[0]["advantages"].tolist()
    return guard.state(), [list(group.advantages) for group in groups], mine, trainer.accelerator.process_index


@pytest.mark.slow
def test_groups_are_whole_and_equal_on_two_processes(tmp_path: Path) -> None:
    (state, groups, mine, _), (other, same, theirs, _) = on_two_processes(on_each, str(tmp_path))
    assert (state, groups) == (other, same)
    assert len(groups) == 1
    assert len(groups[0]) == 4
    assert mine + theirs == pytest.approx(groups[0])


@pytest.mark.parametrize(
    ("trainer_class", "shaping", "word"),
    [
        (NFTTrainer, [EntropyReshaping()], "NFT has none"),
        (GRPOTrainer, [MajorityVoteReward()], "selfrl.shaping.Shaper"),
        (GRPOTrainer, [Restrain(2, 1.0, 1.0, 0.5, reference="share")], "needs the column 'share'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_model_loads(
    trainer_class: type, shaping: list[Any], word: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=word):
        tiny_run(trainer_class, "none", tmp_path, Script([1.0]), shaping=shaping)


def test_a_pool_is_refused_for_what_it_takes_out_would_come_back(tmp_path: Path) -> None:
    setup = Setup("none", [Script([1.0])], tiny_config(GRPOTrainer, tmp_path), tiny_problems("train", 4))
    setup.shapers, setup.pool = [EntropyReshaping()], object()
    with pytest.raises(ValueError, match="A pool takes groups out"):
        AdvantageShaping()._check(setup)
