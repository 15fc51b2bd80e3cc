"""The same batch on one process and on two gives the same rewards, to the last bit."""

import random
from typing import Any

import pytest
import torch
from support.processes import on_two_processes

from selfrl.conversation import prompt_id
from selfrl.group_record import PromptHistory
from selfrl.rewards import (
    AccuracyReward,
    BoundaryReward,
    ContrastiveAgreementReward,
    FormatReward,
    MajorityVoteReward,
    PromptGroupReward,
    RandomReward,
    SemanticEntropyReward,
)
from selfrl.rewards.prompt_groups import Group
from selfrl.trainers.records import ScoredBatch

G = 5
ANSWERS = ["1/3", "0.5", r"\sqrt{8}", r"2\sqrt{2}", "9^{9^9}", "", "7", r"\frac12", "7", "7", "x+1", "1+x"]
ROWS = 6 * G  # three pairs of two views: every border below cuts a pair, the uneven ones a group too


class Whole(PromptGroupReward):
    """Reads all that a group holds."""

    columns = ("weight",)
    signals = ("entropy",)

    def group_rewards(self, group: Group) -> list[float | None]:
        lengths = sum(map(len, group.texts)) + len(group.prompt)
        sums = [weight * e.sum().item() for weight, e in zip(*group.columns.values(), strict=True)]
        return [lengths + sums[0] + own + (key == group.label) for own, key in zip(sums, group.keys, strict=True)]


REWARDS = [
    MajorityVoteReward(),
    MajorityVoteReward(soft=True, ties="abstain"),
    ContrastiveAgreementReward(),
    SemanticEntropyReward(),
    AccuracyReward(),
    FormatReward(),
    RandomReward(seed=4),
    MajorityVoteReward(voters="teacher"),
    ContrastiveAgreementReward(voters="teacher"),
    BoundaryReward(),
    Whole(),
]
SHUFFLED = random.Random(3).sample(range(ROWS), ROWS)  # a group's rows need not stand together


def batch() -> dict[str, list[Any]]:
    return {
        "prompts": [f"prompt {i // G}" for i in range(ROWS)],
        "completions": [rf"so \boxed{{{ANSWERS[(7 * i) % 12]}}}" for i in range(ROWS)],
        "completion_ids": [[i] for i in range(ROWS)],
        "weight": [i % 3 for i in range(ROWS)],
        "pair_id": [i // (2 * G) for i in range(ROWS)],
        "view": [i // G % 2 for i in range(ROWS)],
        "answer": ["7"] * ROWS,
        "teacher_completions": [[rf"\boxed{{{ANSWERS[(5 * i + 1) % 12]}}}"] for i in range(ROWS)],
        "log_prob": [torch.tensor([-0.1 * (i % 7), -0.2]) for i in range(ROWS)],
        "entropy": [torch.tensor([0.3, 0.1])] * ROWS,
        "token_texts": [[f"It is {i % 3}.", " I am sure."] for i in range(ROWS)],
        "vocab_size": [50] * ROWS,
    }


STANDING = list(range(ROWS))
# a case is an order of the rows, and how many of them the first process has
CASES = [(STANDING, ROWS // 2), (STANDING, G + 2), (STANDING, 3 * G - 1), (SHUFFLED, G + 2)]


def rows_of(places: list[int]) -> dict[str, list[Any]]:
    return {name: [column[i] for i in places] for name, column in batch().items()}


def told(reward: Any, columns: dict[str, Any]) -> tuple[list[float | None], Any]:
    """Rewards, and the votes that a trainer is told of."""
    records = ScoredBatch(PromptHistory(), [prompt_id(p) for p in columns["prompts"]])
    return reward(**columns, batch_records=[records] * len(columns["prompts"])), records.votes


def on_this_process() -> tuple[list[Any], list[str]]:
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    mine = [order[:border] if torch.distributed.get_rank() == 0 else order[border:] for order, border in CASES]
    found = [[told(reward, rows_of(places)) for reward in REWARDS] for places in mine]
    broken: dict[str, Any] = rows_of(mine[0])
    errors = []
    # not only the errors that the library foresees
    for column, kind in (({"view": [0] * (ROWS // 2)}, ValueError), ({"pair_id": [[0]] * (ROWS // 2)}, TypeError)):
        try:
            ContrastiveAgreementReward()(**{**broken, **column})
        except kind as error:
            errors.append(str(error))
    return found, errors


@pytest.mark.slow
def test_two_processes_agree_with_one() -> None:
    (first, errors), (second, same_errors) = on_two_processes(on_this_process)
    assert len(errors) == 2
    assert errors == same_errors  # an error ends every process, with the same sentence
    for (order, border), left, right in zip(CASES, first, second, strict=True):
        whole = [told(reward, rows_of(order)) for reward in REWARDS]
        assert {type(r) for rewards, _ in whole for r in rewards} == {float, type(None)}
        assert sum(votes is not None for _, votes in whole) == 7
        for (rewards, votes), one, two in zip(whole, left, right, strict=True):
            assert len(one[0]) == border
            assert one[0] + two[0] == rewards
            assert one[1] == two[1] == votes  # every process is told of all groups
