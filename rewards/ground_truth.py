"""The control with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from selfrl.rewards.groups import completion_text

from selfrl.answers import canonical_key, extract, read_answer
from selfrl.answers.symbolic import keys_equivalent


@lru_cache(maxsize=65536)
def gold_key(answer: str) -> str | None:
    r"""Key of a gold answer, which may stand alone or at the end of a solution (`#### 7`, `\boxed{7}`).

    >>> gold_key("7"), gold_key("He has 3 + 4 = 7.\n#### 7")
    ('7', '7')
    """
    return canonical_key(extract(answer) or answer)


class AccuracyReward:
    r"""r_i = 1[ans(y_i) = gold]: ground truth, as a control beside label-free rewards.

    Equality is of canonical keys, then by math-verify in a killable child process.

    Abstains (None): an answer that is unsafe to read or could not be compared in time, and every completion of a
    gold answer that has no key; their share is logged as `abstained`. A completion without an answer gets 0.

    Raises:
        ValueError: without the column of gold answers.

    Args:
        column: the column of gold answers.

    Example:
        >>> AccuracyReward()(["2+2?"] * 2, [r"\boxed{4.0}", r"\boxed{5}"], answer=["4", "4"])
        [1.0, 0.0]
    """

    def __init__(self, column: str = "answer") -> None:
        self.__name__ = type(self).__name__
        self.column = column
        self.columns = (column,)

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        if self.column not in columns:
            raise ValueError(f"{self.__name__} needs the column {self.column!r}: add it or set `column`.")
        golds = columns[self.column]
        rewards = [
            _grade(completion_text(completion), str(gold)) for completion, gold in zip(completions, golds, strict=True)
        ]
        if log_metric is not None:
            log_metric(f"{self.__name__}/abstained", sum(r is None for r in rewards) / len(rewards))
        return rewards


def _grade(text: str, gold: str) -> float | None:
    answer, truth = read_answer(text), gold_key(gold)
    if truth is None or answer.unreadable:
        return None
    if answer.key is None:
        return 0.0
    same = keys_equivalent(answer.key, truth)
    return None if same is None else float(same)
