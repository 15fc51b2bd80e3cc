"""More voters where the vote is open: who is asked, who is heard, and that all processes agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from support.processes import on_two_processes
from support.runs import scored, tiny_run
from trl import TrlParser

from selfrl.answers import read_answer, vote
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.rewards import (
    AccuracyReward,
    ContrastiveAgreementReward,
    MajorityVoteReward,
    RandomReward,
    SemanticEntropyReward,
)
from selfrl.rewards.contract import groups_of
from selfrl.rewards.vote_stopping import further_votes
from selfrl.trainers import GRPOConfig, GRPOTrainer, NFTTrainer, RLOOTrainer, TeacherConfig
from selfrl.trainers.adaptive_votes import VoteBudget

BUDGET = {"least": 4, "most": 20}
NAMES = {"group": "voter_completions", "teacher": "teacher_completions"}


class Hears:
    """What a voting reward is handed, call by call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
        rewards = super().__call__(prompts, completions, completion_ids, **columns)  # type: ignore[misc]
        self.calls.append({"prompts": prompts, "completions": completions, "rewards": rewards, **columns})
        return rewards


class Majority(Hears, MajorityVoteReward): ...


class Contrastive(Hears, ContrastiveAgreementReward): ...


def run_of(out: Path, reward: Any, trainer_class: Any = GRPOTrainer, **options: Any) -> Any:
    options = {"max_completion_length": 40, "num_generations_vote": BUDGET, "max_steps": 3, **options}
    paired = isinstance(reward, ContrastiveAgreementReward)
    data = tiny_problems("train", 32)
    return tiny_run(trainer_class, model_path("tiny"), out, reward, expand_pairs(data) if paired else data, **options)


def polled(call: dict[str, Any], voters: str = "group") -> list[tuple[list[str], list[str]]]:
    """Texts of those who voted for each prompt of a call, without and with further voters."""
    found = []
    for rows in groups_of(call["prompts"]):
        heard = [call[NAMES[voters]][row] for row in rows]
        own = [call["completions"][row] for row in rows]
        first = own if voters == "group" else [texts[0] for texts in heard]
        further = [text for texts in heard for text in (texts if voters == "group" else texts[1:])]
        found.append((first, further))
    return found


def keys_of(texts: list[str]) -> list[str | None]:
    return [read_answer(text).key for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer, NFTTrainer])
def test_open_votes_alone_get_more_voters_and_all_of_them_elect(trainer_class: Any, tmp_path: Path) -> None:
    reward = Majority()
    trainer = run_of(tmp_path, reward, trainer_class)
    batches = scored(trainer)
    ask, decode = trainer._answers_to, trainer.processing_class.decode
    trainer._answers_to = lambda asked: [decode(ids) + text for ids, text in zip(asked, ask(asked), strict=True)]
    trainer.train()
    assert len(reward.calls) == 3
    votes, decided = 0, set()
    for call in reward.calls:
        place = 0
        for first, further in polled(call):
            assert len(first) == 4
            assert all(text.startswith(call["prompts"][place]) for text in further)
            keys = keys_of([*first, *further])
            # the vote was open before each block, and is closed now
            assert all(further_votes(keys[:count], **BUDGET) for count in range(4, len(keys), 8))
            assert further_votes(keys, **BUDGET) == 0
            decided.add(len(keys))
            votes += len(keys)
            label = vote(keys)
            assert call["rewards"][place : place + 4] == [float(key == label) for key in keys[:4]]
            place += 4
    assert len(decided) > 1  # some closed early, some did not
    logged = [row["votes/drawn"] for row in trainer.state.log_history if "votes/drawn" in row]
    assert sum(logged) / 3 == pytest.approx(votes / 6)
    saved = [row["votes/saved"] for row in trainer.state.log_history if "votes/saved" in row]
    assert sum(saved) / 3 == pytest.approx(1 - votes / 6 / 20)
    assert all(len(batch["completion_ids"]) == 8 for batch in batches)  # none of them is trained on


@pytest.mark.slow
def test_a_pair_is_rewarded_by_the_longer_vote_on_the_other_view(tmp_path: Path) -> None:
    reward = Contrastive()
    run_of(tmp_path, reward, max_steps=2).train()
    further = 0
    for call in reward.calls:
        (one, more_one), (two, more_two) = polled(call)
        further += len(more_one) + len(more_two)
        labels = vote(keys_of([*two, *more_two])), vote(keys_of([*one, *more_one]))
        expected = [
            [float(key == label) for key in keys_of(own)] for own, label in zip((one, two), labels, strict=True)
        ]
        assert call["rewards"] == [value for values in expected for value in values]
    assert further > 0


@pytest.mark.slow
def test_where_a_teacher_votes_the_teacher_is_asked_again(tmp_path: Path) -> None:
    reward = Majority(voters="teacher")
    trainer = run_of(tmp_path, reward, teacher=TeacherConfig(), max_steps=1)
    for tensor in trainer.shadow.values():
        tensor.zero_()  # says noise: no vote of its own is ever closed
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.model.train()
    trainer._generate_and_score_completions([{"prompt": "Add 3 and 4.\n"}] * 4)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())
    ((first, further),) = polled(reward.calls[0], "teacher")
    assert len(first) == 4
    assert len(further) == 16
    assert not any("boxed{" in text for text in further)
    assert "boxed{" in reward.calls[0]["completions"][0]
    assert "voter_completions" not in reward.calls[0]


@pytest.mark.slow
def test_the_same_seed_asks_the_same_and_evaluation_asks_nobody(tmp_path: Path) -> None:
    heard = []
    for seed in (1, 1, 2):
        reward = Majority()
        trainer = run_of(tmp_path, reward, seed=seed, max_steps=1)
        trainer.train()
        heard.append(reward.calls[0]["voter_completions"])
    assert heard[0] == heard[1] != heard[2]
    trainer.model.eval()
    trainer._generate_and_score_completions([{"prompt": "Add 3 and 4.\n"}] * 4)
    assert "voter_completions" not in reward.calls[-1]


def two(out: str) -> tuple[list[dict[str, Any]], torch.Tensor, list[float]]:
    reward = Majority()
    # 6 rows a process and groups of 4: the second group is cut between the processes
    trainer = run_of(Path(out), reward, per_device_train_batch_size=6, max_steps=2)
    trainer.train()
    kept = [{name: call[name] for name in ("prompts", "completions", "voter_completions")} for call in reward.calls]
    rewards = [call["rewards"] for call in reward.calls]
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    drawn = [row["votes/drawn"] for row in trainer.state.log_history if "votes/drawn" in row]
    return [{**call, "rewards": given} for call, given in zip(kept, rewards, strict=True)], weights, drawn


@pytest.mark.slow
def test_two_processes_draw_together_what_their_groups_lack(tmp_path: Path) -> None:
    (calls, weights, drawn), (others, other_weights, other_drawn) = on_two_processes(two, str(tmp_path))
    assert torch.equal(weights, other_weights)
    assert drawn == other_drawn
    for mine, theirs, mean in zip(calls, others, drawn, strict=True):
        whole = {name: [*mine[name], *theirs[name]] for name in mine}
        groups = polled(whole)
        assert [len(first) for first, _ in groups] == [4, 4, 4]
        place = 0
        for first, further in groups:
            keys = keys_of([*first, *further])
            assert further_votes(keys, **BUDGET) == 0
            assert whole["rewards"][place : place + 4] == [float(key == vote(keys)) for key in keys[:4]]
            place += 4
        assert mean == pytest.approx(sum(len(first) + len(further) for first, further in groups) / 3)
    assert max(drawn) > 4


@pytest.mark.parametrize(
    ("reward", "options", "words"),
    [
        (AccuracyReward(), {}, "no reward elects"),
        (SemanticEntropyReward(), {}, "no reward elects"),
        (MajorityVoteReward(), {"num_generations_vote": {"least": 2, "most": 20}}, "4 are cast anyway"),
        (MajorityVoteReward(), {"num_generations_vote": {"least": 8, "most": 4}}, "least <= most"),
        (MajorityVoteReward(), {"num_generations_vote": {"most": 4}}, "least: 8, most: 64"),
        (MajorityVoteReward(), {"num_generations_vote": {"least": 4.5, "most": 9}}, "whole numbers"),
        (MajorityVoteReward(), {"num_generations_vote": "{least"}, "least: 8, most: 64"),
        (MajorityVoteReward(), {"num_generations_vote": 64}, "least: 8, most: 64"),
        (MajorityVoteReward(voters="teacher"), {"teacher": TeacherConfig(teacher_rollouts=2)}, "8 are cast anyway"),
        (MajorityVoteReward(voters="teacher"), {}, "takes its label from a teacher"),
        (MajorityVoteReward(), {"tools": [len]}, "cannot answer with tools"),
    ],
    ids=str,
)
def test_what_leaves_no_vote_is_refused_before_a_model_loads(
    reward: Any, options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        tiny_run(
            GRPOTrainer,
            "no/model",
            tmp_path,
            reward,
            tiny_problems("train", 8),
            **{"num_generations_vote": BUDGET, **options},
        )


def test_rows_with_pictures_are_refused(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"prompt": ["a"] * 8, "image": [None] * 8})
    with pytest.raises(ValueError, match="pictures"):
        tiny_run(GRPOTrainer, "no/model", tmp_path, MajorityVoteReward(), rows, num_generations_vote=BUDGET)


@pytest.mark.slow
def test_without_a_budget_nobody_else_is_heard(tmp_path: Path) -> None:
    reward = Majority()
    run_of(tmp_path, [reward, RandomReward()], num_generations_vote=None, max_steps=1).train()
    assert "voter_completions" not in reward.calls[0]


def test_a_script_names_the_budget_in_its_file_or_on_its_command_line(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("num_generations_vote: {least: 8, most: 64}\n")
    own = ["--output_dir", str(tmp_path), "--use_cpu", "--bf16", "false"]
    for given in (["--config", str(tmp_path / "run.yaml")], ["--num_generations_vote", '{"least": 8, "most": 64}']):
        (config,) = TrlParser(GRPOConfig).parse_args_and_config([*own, *given])
        assert VoteBudget.of(config.num_generations_vote) == VoteBudget(8, 64)
