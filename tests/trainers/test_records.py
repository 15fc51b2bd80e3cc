"""Records of groups: what they hold, who hears them, and that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from support.processes import on_two_processes
from support.runs import Script, tiny_run

import selfrl.trainers.records
from selfrl.conversation import prompt_id
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.group_record import GroupRecord
from selfrl.models import TINY_MODEL
from selfrl.monitor.labels import LabelWatch
from selfrl.rewards import (
    AccuracyReward,
    ContrastiveAgreementReward,
    MajorityVoteReward,
    SelfCertaintyReward,
    SemanticEntropyReward,
)
from selfrl.rewards.reward_sums import weighted_sums
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.batches: list[list[GroupRecord]] = []

    def __call__(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        self.batches.append(list(records))
        return {"heard": float(len(records))}


def heard(trainer: Any) -> Listener:
    listener = Listener()
    trainer.add_listener(listener)
    trainer.train()
    return listener


LONG = {"max_completion_length": 40, "per_device_train_batch_size": 16}


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer, NFTTrainer])
def test_a_record_holds_the_vote_the_rewards_and_the_lengths(trainer_class: Any, tmp_path: Path) -> None:
    rewards = [MajorityVoteReward(), AccuracyReward()]
    options = {**LONG, "reward_weights": [1.0, 0.0], "steps_per_generation": 2, "gradient_accumulation_steps": 1}
    trainer = tiny_run(trainer_class, TINY_MODEL, tmp_path, rewards, **options)
    listener = heard(trainer)
    (records,) = listener.batches
    data = trainer.train_dataset
    assert {record.prompt_id for record in records} <= {prompt_id(p) for p in data["prompt"]}
    assert len(records) == 32 / 4
    for record in records:
        assert record.step == 0
        assert len(record.keys) == len(record.rewards) == len(record.lengths) == len(record.cut_off) == 4
        assert all(length == 40 for length, cut in zip(record.lengths, record.cut_off, strict=True) if cut)
        if record.label is None:
            assert record.rewards == (None,) * 4
        else:
            assert record.rewards == tuple(float(key == record.label) for key in record.keys)
            assert record.label == record.votes.most_common(1)[0][0]
    answers = dict(zip((prompt_id(p) for p in data["prompt"]), data["answer"], strict=True))
    assert [r.label_is_right for r in records] == [r.label and r.label == answers[r.prompt_id] for r in records]
    assert trainer.state.log_history[0]["heard"] == len(records)
    assert trainer.history.visits(records[0].prompt_id) == 1


def test_the_signals_of_a_record_are_means_over_tokens(tmp_path: Path) -> None:
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, SelfCertaintyReward(), max_steps=1)
    ((records,),) = (heard(trainer).batches,)
    for record in records:
        torch.testing.assert_close(torch.tensor(record.signals["self_certainty"]), torch.tensor(record.rewards))


def test_a_run_without_votes_votes_for_a_listener_alone(tmp_path: Path) -> None:
    silent = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, Script([1, 0]), **LONG)
    silent.train()
    visits = [visit for name in silent.history.state()["last"] for visit in silent.history.last(name)]
    assert visits
    assert all(visit.label is None and visit.majority_ratio is None and visit.solve_rate == 0.5 for visit in visits)
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, Script([1, 0]), **LONG)
    trainer.add_listener(LabelWatch())
    records = heard(trainer).batches[0]
    assert any(record.label is not None for record in records)
    assert trainer.state.log_history[0]["labels/label_accuracy"] > 0.5


def test_both_views_have_records_with_the_label_of_the_other(tmp_path: Path) -> None:
    pairs = expand_pairs(tiny_problems("train", 8))
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, ContrastiveAgreementReward(), pairs, max_steps=1, **LONG)
    (records,) = heard(trainer).batches
    assert len(records) == 4
    for first, second in zip(records[::2], records[1::2], strict=True):
        for record, other in ((first, second), (second, first)):
            elected = other.votes.most_common(1)
            assert record.label == (elected[0][0] if elected else None)


def test_a_system_prompt_does_not_change_the_prompts_id(tmp_path: Path) -> None:
    rows = [{"prompt": [{"role": "user", "content": p}]} for p in tiny_problems("train", 4)["prompt"]]
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, MajorityVoteReward(), Dataset.from_list(rows), max_steps=2)
    trainer.system_prompt = "Add."
    records = [record for batch in heard(trainer).batches for record in batch]
    assert {record.prompt_id for record in records} <= {prompt_id(row["prompt"]) for row in rows}


def test_answers_are_read_once_however_many_rewards_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    inner = selfrl.trainers.records.read_answer

    def counted(text: str, **options: Any) -> Any:
        read.append(text)
        return inner(text, **options)

    def refused(text: str, **options: Any) -> Any:
        raise AssertionError("an answer was read apart from the batch")

    monkeypatch.setattr(selfrl.trainers.records, "read_answer", counted)
    monkeypatch.setattr("selfrl.rewards.contract.read_answer", refused)
    rewards = [MajorityVoteReward(), SemanticEntropyReward(), AccuracyReward()]
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, rewards, max_steps=1, **LONG)
    trainer.add_listener(LabelWatch())
    trainer.train()
    assert len(read) == 16


def test_evaluation_is_no_visit(tmp_path: Path) -> None:
    options = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 1, "per_device_eval_batch_size": 8}
    data = tiny_problems("heldout", 4)
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, MajorityVoteReward(), eval_dataset=data, **options)
    assert len(heard(trainer).batches) == 1
    assert sum(trainer.history.state()["counts"].values()) == 2


def test_weighted_sums_are_those_of_trl() -> None:
    rewards = torch.tensor([[1.0, torch.nan, 9.0], [torch.nan, torch.nan, 9.0], [1.0, 0.5, torch.nan]])
    expected = torch.tensor([1.0, torch.nan, 2.0])
    torch.testing.assert_close(weighted_sums(rewards, torch.tensor([1.0, 2.0, 0.0])), expected, equal_nan=True)


def records_of_this_process(out: str) -> list[tuple[Any, ...]]:
    trainer = tiny_run(GRPOTrainer, TINY_MODEL, Path(out), MajorityVoteReward(), max_steps=1, **LONG)
    listener = heard(trainer)
    return [
        (r.prompt_id, r.keys, r.label, r.rewards, r.lengths, r.cut_off, trainer.history.visits(r.prompt_id))
        for r in listener.batches[0]
    ]


@pytest.mark.slow
def test_every_process_hears_the_records_of_all(tmp_path: Path) -> None:
    first, second = on_two_processes(records_of_this_process, str(tmp_path))
    assert first == second
    assert len(first) == 2 * 16 / 4
