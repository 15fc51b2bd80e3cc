"""Rows without a gradient are not computed, and the updates are the same, in one process and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.processes import on_two_processes
from support.runs import Script, tiny_run

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer
from selfrl.trainers.row_order import in_order, skippable

# Groups of four, of which the second and the fourth are decided.
HALF = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
SMALL: dict[str, Any] = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "max_completion_length": 24,
    "optim": "sgd",  # Adam makes whole steps of what is rounding alone
    "learning_rate": 0.1,
    "max_grad_norm": 0.01,  # below every norm here: clipping sees the same one
}


def ended(out: Path, skips: bool, trainer_class: Any = GRPOTrainer, rewards: Any = HALF, **options: Any) -> Any:
    """A trainer after its updates, with the number of passes that had a gradient."""
    reward = Script(rewards) if isinstance(rewards, list) else rewards
    data = tiny_problems("train", 16)
    trainer = tiny_run(trainer_class, model_path("tiny"), out, reward, data, **{**SMALL, **options})
    trainer._skips = skips
    trainer.passes = 0

    def count(*args: Any) -> None:
        trainer.passes += torch.is_grad_enabled() and trainer.model.training

    trainer.model.register_forward_pre_hook(count)
    trainer.train()
    return trainer


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def logged(trainer: Any, name: str) -> list[float]:
    return [row[name] for row in trainer.state.log_history if name in row]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer_class", "options"),
    [
        *((GRPOTrainer, {"loss_type": name}) for name in ("grpo", "dapo", "dr_grpo", "cispo", "luspo", "sapo")),
        (GRPOTrainer, {"num_iterations": 2, "max_steps": 4}),
        (GRPOTrainer, {"importance_sampling_level": "sequence"}),
        (GRPOTrainer, {"optim": "adamw_torch", "learning_rate": 1e-3, "adam_epsilon": 1e-3, "max_steps": 3}),
        (RLOOTrainer, {"beta": 0.0}),
        (NFTTrainer, {}),
    ],
    ids=str,
)
def test_updates_are_those_of_all_rows(trainer_class: Any, options: dict[str, Any], tmp_path: Path) -> None:
    whole, fewer = (ended(tmp_path / str(skips), skips, trainer_class, **options) for skips in (False, True))
    assert fewer.passes * 2 == whole.passes
    assert set(logged(fewer, "rows/skipped")) == set(logged(fewer, "rows/silent")) == {0.5}
    assert not logged(whole, "rows/skipped")
    torch.testing.assert_close(weights(fewer), weights(whole), rtol=0, atol=1e-6)
    for ours, theirs in zip(fewer.state.log_history, whole.state.log_history, strict=True):
        for name in ("loss", "grad_norm", "reward", "completions/mean_length"):
            assert ours.get(name, 0.0) == pytest.approx(theirs.get(name, 0.0), abs=1e-5, rel=1e-4), name


@pytest.mark.slow
def test_a_step_without_a_gradient_still_moves_by_its_momentum(tmp_path: Path) -> None:
    def first_alone(completions: list[str], trainer_state: Any, **columns: Any) -> list[float]:
        return [float(trainer_state.global_step == 0 and i % 2) for i in range(len(completions))]

    options: dict[str, Any] = {"optim": "adamw_torch", "learning_rate": 1e-3, "max_steps": 2, "rewards": first_alone}
    whole, fewer = (ended(tmp_path / str(skips), skips, **options) for skips in (False, True))
    assert logged(fewer, "rows/silent") == [0.0, 1.0]
    assert logged(fewer, "rows/skipped") == [0.0, 7 / 8]
    assert fewer.passes == 8 + 1
    torch.testing.assert_close(weights(fewer), weights(whole), rtol=0, atol=1e-6)
    once = ended(tmp_path / "once", True, **{**options, "max_steps": 1})
    assert (weights(fewer) - weights(once)).abs().max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer_class", "options"),
    [
        (GRPOTrainer, {"beta": 0.1}),
        (GRPOTrainer, {"entropy_coef": 0.01}),
        (GRPOTrainer, {"loss_type": "bnpo"}),
        (NFTTrainer, {"beta": 0.1}),
    ],
    ids=str,
)
def test_where_every_row_has_a_gradient_all_are_computed(
    trainer_class: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    trainer = ended(tmp_path, True, trainer_class, max_steps=1, **options)
    assert trainer.passes == 8
    assert not logged(trainer, "rows/skipped")


@pytest.mark.slow
def test_nft_on_right_answers_alone_leaves_out_the_wrong_ones(tmp_path: Path) -> None:
    options: dict[str, Any] = {"negative_weight": 0.0, "rewards": [1.0, 0.0, 0.0, 0.0], "max_steps": 1}
    whole, fewer = (ended(tmp_path / str(skips), skips, NFTTrainer, **options) for skips in (False, True))
    assert (fewer.passes, whole.passes) == (2, 8)
    torch.testing.assert_close(weights(fewer), weights(whole), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_completions_that_are_masked_are_left_out(tmp_path: Path) -> None:
    options: dict[str, Any] = {"mask_truncated_completions": True, "max_completion_length": 9, "rewards": [1.0, 0.0]}
    whole, fewer = (ended(tmp_path / str(skips), skips, **options) for skips in (False, True))
    assert logged(fewer, "rows/silent") == pytest.approx(logged(fewer, "completions/clipped_ratio"))
    assert fewer.passes < whole.passes
    torch.testing.assert_close(weights(fewer), weights(whole), rtol=0, atol=1e-6)


class OfProcess:
    """A process's first groups are decided: one of the first's, three of the second's."""

    __name__ = "OfProcess"

    def __call__(self, completions: list[str], **columns: Any) -> list[float]:
        decided = 4 if torch.distributed.get_rank() == 0 else 12
        return [0.0 if i < decided else float(i % 2) for i in range(len(completions))]


def two(out: str, skips: bool) -> tuple[torch.Tensor, int, list[float], list[float]]:
    trainer = ended(Path(out), skips, rewards=OfProcess())
    return weights(trainer), trainer.passes, logged(trainer, "rows/silent"), logged(trainer, "rows/skipped")


@pytest.mark.slow
def test_two_processes_leave_out_as_many_each(tmp_path: Path) -> None:
    whole, fewer = (on_two_processes(two, str(tmp_path / str(skips)), skips) for skips in (False, True))
    for ours, theirs in zip(fewer, whole, strict=True):
        torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-6)
        assert (ours[1], theirs[1]) == (12, 16)
        assert ours[2:] == ([0.5, 0.5], [0.25, 0.25])
    assert torch.equal(fewer[0][0], fewer[1][0])


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=3, max_size=3), min_size=4, max_size=4),
    st.sampled_from([1, 2, 4]),
)
def test_rows_change_places_within_their_block_alone(drawn: list[list[tuple[int, bool]]], block: int) -> None:
    parts = [
        {
            "prompt_mask": torch.ones(3, 2, dtype=torch.long),
            "completion_mask": torch.tensor([[1] * n + [0] * (5 - n) for n, _ in part]),
            "name": torch.tensor([10 * i + j for j in range(3)]),
            "num_items_in_batch": torch.tensor(7),
            "extra": None,
        }
        for i, part in enumerate(drawn)
    ]
    silent_N = torch.tensor([silent for part in drawn for _, silent in part])
    found = in_order(parts, block, silent_N)
    left_out = skippable(silent_N, 3, block)
    for start in range(0, 4, block):
        before, after = parts[start : start + block], found[start : start + block]
        names = [name for part in after for name in part["name"].tolist()]
        assert sorted(names) == [name for part in before for name in part["name"].tolist()]
        rows = [drawn[name // 10][name % 10] for name in names]
        assert [(not silent, said) for said, silent in rows] == sorted((not silent, said) for said, silent in rows)
        assert [said for said, _ in rows] == [int(n) for part in after for n in part["completion_mask"].sum(1)]
        count = int(left_out[start // block])
        assert count < block
        assert all(silent for _, silent in rows[: 3 * count])
        assert count == block - 1 or not all(silent for _, silent in rows[: 3 * count + 3])
    assert all(part["num_items_in_batch"] == 7 and part["extra"] is None for part in found)
