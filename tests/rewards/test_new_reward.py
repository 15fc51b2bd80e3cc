"""A label-free reward of thirty lines, as somebody would add it: it reads keys, texts and a column of the data."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
import trl
from support.runs import tiny_run

from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import PromptGroupReward
from selfrl.rewards.prompt_groups import Group
from selfrl.trainers import GRPOTrainer


class BriefAgreementReward(PromptGroupReward):
    r"""Agreement with the majority within a budget of characters: r_i = 1[ans(y_i) = y*] · min(1, b / |y_i|).

    y* is the group's most common answer, |y_i| a completion's length in characters, and b the row's `budget`.

    Abstains (None): a group without a label; a completion whose answer cannot be read or compared safely.

    Raises:
        ValueError: without the column `budget`.

    Example:
        >>> BriefAgreementReward()(["2+2?"] * 2, [r"\boxed{4}", r"It is \boxed{4.0}"], budget=[9, 8])
        [1.0, 0.47058823529411764]
    """

    columns = ("budget",)

    def group_rewards(self, group: Group) -> list[float | None]:
        if group.label is None:
            return [None] * len(group.keys)
        rows = zip(group.keys, group.texts, group.columns["budget"], strict=True)
        return [float(key == group.label) * min(1.0, budget / max(len(text), 1)) for key, text, budget in rows]

    def group_metrics(self, groups: Any) -> dict[str, float]:
        lengths = [len(text) for group in groups for text in group.texts]
        return {"mean_characters": sum(lengths) / len(lengths)}


def test_it_has_thirty_lines() -> None:
    assert len(inspect.getsource(BriefAgreementReward).splitlines()) <= 30


def test_its_formula() -> None:
    prompts, texts = ["p", "q", "p", "p"], [r"\boxed{4}", "?", r"so \boxed{4.0}", r"\boxed{5}"]
    assert BriefAgreementReward()(prompts, texts, budget=[9, 9, 7, 9]) == [1.0, None, 0.5, 0.0]
    with pytest.raises(ValueError, match="BriefAgreementReward needs the column 'budget'"):
        BriefAgreementReward()(prompts, texts)
    assert pickle.loads(pickle.dumps(BriefAgreementReward()))(["p"], [r"\boxed{4}"], budget=[9]) == [1.0]


@pytest.mark.parametrize("trainer_class", [trl.GRPOTrainer, GRPOTrainer])
def test_it_trains_under_trls_trainer_and_ours(trainer_class: Any, tmp_path: Path) -> None:
    rows = tiny_problems("train", 8)
    rows = rows.add_column("budget", [20] * len(rows))
    reward = BriefAgreementReward()
    trainer = tiny_run(trainer_class, TINY_MODEL, tmp_path, reward, rows, max_completion_length=40)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    records: list[Any] = []
    if trainer_class is GRPOTrainer:
        trainer.add_listener(records.extend)
    trainer.train()
    logs = [row for row in trainer.state.log_history if "reward" in row]
    assert len(logs) == 2
    assert 0 < logs[0]["rewards/BriefAgreementReward/mean"] <= 1
    assert logs[0]["BriefAgreementReward/mean_characters"] > 5
    assert 0 < logs[0]["BriefAgreementReward/majority_ratio"] <= 1
    assert 0 <= logs[0]["BriefAgreementReward/label_accuracy"] <= 1
    assert any(not p.equal(q) for p, q in zip(before, trainer.model.parameters(), strict=True))
    # two batches of two prompts: the trainer's records hold this reward's votes
    assert [len(record.keys) for record in records] == ([4] * 4 if trainer_class is GRPOTrainer else [])
    assert any(record.label is not None for record in records) == bool(records)
