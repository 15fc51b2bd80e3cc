"""The control with labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from numbers import Real
from typing import Any

from selfrl.answers.gold import gold_key, right_label
from selfrl.answers.keys import ReadAnswer
from selfrl.rewards.contract import BaseReward, Batch, Scores, share_abstaining


class AccuracyReward(BaseReward):
    r"""r_i = 1[ans(y_i) = gold]: ground truth, as a control beside label-free rewards.

    Equality is of canonical keys, then by math-verify in a killable child process.

    Abstains (None): an answer that is unsafe to read or could not be compared in time, and every completion of a
    gold answer that has no key, None and NaN among them; their share is logged as `abstained`. A completion without
    an answer gets 0.

    Raises:
        ValueError: without the column of gold answers, or for a gold answer that is not text or a number.

    Args:
        column: the column of gold answers.

    Example:
        >>> AccuracyReward()(["2+2?"] * 2, [r"\boxed{4.0}", r"\boxed{5}"], answer=["4", "4"])
        [1.0, 0.0]
    """

    abstains = True

    def __init__(self, column: str = "answer") -> None:
        self.column = column
        self.columns = (column,)

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        golds = [self._gold(gold, row) for row, gold in enumerate(batch.column(self.column))]
        rewards = grades(batch.answers(), golds)
        return Scores(rewards, {"abstained": share_abstaining(rewards)})

    def _gold(self, gold: Any, row: int) -> str | None:
        if gold is None or gold != gold:  # a row without a label, perhaps as NaN
            return None
        if not isinstance(gold, str | Real):
            raise ValueError(
                f"Row {row} of the batch has {gold!r} in the column {self.column!r}: a gold answer is text or a number."
            )
        return str(gold)


def grades(answers: Sequence[ReadAnswer], golds: Sequence[str | None]) -> list[float | None]:
    """Grade answers as read; each distinct comparison is made once, however many completions share it.

    >>> grades([ReadAnswer("1/2", False), ReadAnswer(None, False), ReadAnswer(None, True)], ["0.5"] * 3)
    [1.0, 0.0, None]
    """
    same = cache(right_label)

    def grade(answer: ReadAnswer, gold: str | None) -> float | None:
        if gold_key(gold) is None or answer.unreadable:
            return None
        right = answer.key is not None and same(answer.key, gold)
        return None if right is None else float(right)

    return [grade(answer, gold) for answer, gold in zip(answers, golds, strict=True)]
