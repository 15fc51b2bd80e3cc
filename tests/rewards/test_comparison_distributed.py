"""The pairwise reward on two processes: the rewards of one, half the calls each, and errors that reach both."""

import random
from typing import Any

import pytest
from support.processes import on_two_processes

from selfrl.generation import Generation, Sampling
from selfrl.rewards import PairwiseSelfReward

ROWS = 18  # three groups of five and a smaller one, in turns
ROUNDS = (None, 2, 3)


class Moody:
    """Has any opinion, the same at every asking, or none; counts its calls, and may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[int] = []

    def generate(self, prompts: Any, sampling: Sampling) -> list[list[Generation]]:
        self.calls.append(len(prompts))
        if self.error is not None:
            raise self.error
        replies = [random.Random(p[0]["content"]).choice(["A", "B", "A", "B", "tie", ""]) for p in prompts]
        return [[Generation(reply, "stop", 1, 1)] if reply else [] for reply in replies]


def batch() -> dict[str, list[Any]]:
    return {
        "prompts": [f"prompt {i % 4}" for i in range(ROWS)],
        "completions": [[{"role": "assistant", "content": f"answer {i // 4 % 4} of {i % 4}"}] for i in range(ROWS)],
    }


def reward_of(judge: Any, rounds: int | None = None) -> PairwiseSelfReward:
    return PairwiseSelfReward(judge, swiss_rounds=rounds, template="{{ prompt }}|{{ first }}|{{ second }}")


def judge_together(borders: list[int]) -> dict[str, Any]:
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()

    class LocalError(Exception):
        """One that no other process can be told of as it is."""

    found: dict[str, Any] = {"rewards": [], "calls": [], "metrics": [], "errors": []}

    def mine(border: int) -> dict[str, list[Any]]:
        rows = slice(0, border) if rank == 0 else slice(border, ROWS)
        return {name: column[rows] for name, column in batch().items()}

    for border in borders:
        for rounds in ROUNDS:
            judge, logged = Moody(), {}
            found["rewards"].append(reward_of(judge, rounds)(**mine(border), log_metric=logged.__setitem__))
            found["calls"].append(judge.calls)
            found["metrics"].append(logged)
    for failing in (0, 1):
        for error in (OSError("the judge is away"), LocalError("not to be pickled")):
            try:
                reward_of(Moody(error if rank == failing else None))(**mine(ROWS // 2))
            except Exception as told:
                found["errors"].append([type(told).__name__, str(told)])
    # nobody is out of step afterwards
    found["rewards"].append(reward_of(Moody())(**mine(7)))
    return found


@pytest.mark.slow
def test_two_processes_agree_with_one_and_share_its_calls() -> None:
    borders = [ROWS // 2, 1, ROWS]  # the last leaves the second process without rows
    first, second = on_two_processes(judge_together, borders)

    whole, calls, metrics = [], [], []
    for rounds in ROUNDS:
        judge, logged = Moody(), {}
        whole.append(reward_of(judge, rounds)(**batch(), log_metric=logged.__setitem__))
        calls.append(judge.calls)
        metrics.append(logged)
    assert all(len(set(rewards)) > 6 for rewards in whole)
    expected = whole * len(borders) + whole[:1]
    assert [left + right for left, right in zip(first["rewards"], second["rewards"], strict=True)] == expected
    assert first["metrics"] == second["metrics"] == metrics * len(borders)
    for left, right, alone in zip(first["calls"], second["calls"], calls * len(borders), strict=True):
        assert [a + b for a, b in zip(left, right, strict=True)] == alone
        assert all(0 <= a - b <= 2 for a, b in zip(left, right, strict=True))  # a comparison is two calls
    sentences = [["OSError", "the judge is away"], ["RuntimeError", "LocalError: not to be pickled"]]
    assert first["errors"] == second["errors"] == sentences * 2
