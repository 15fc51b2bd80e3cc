"""The control with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from numbers import Real
from typing import Any

from selfrl.answers import canonical_key, extract, read_answer
from selfrl.answers.symbolic import keys_equivalent
from selfrl.conversation import completion_text


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
        pairs = [
            (completion_text(completion), self._gold(gold, row))
            for row, (completion, gold) in enumerate(zip(completions, columns[self.column], strict=True))
        ]
        rewards = _grades(pairs)
        if log_metric is not None:
            log_metric(f"{self.__name__}/abstained", sum(r is None for r in rewards) / len(rewards))
        return rewards

    def _gold(self, gold: Any, row: int) -> str | None:
        if gold is None or gold != gold:  # a row without a label, perhaps as NaN
            return None
        if not isinstance(gold, str | Real):
            raise ValueError(
                f"Row {row} of the batch has {gold!r} in the column {self.column!r}: a gold answer is text or a number."
            )
        return str(gold)


def _grades(pairs: Sequence[tuple[str, str | None]]) -> list[float | None]:
    """Grade (completion, gold) pairs; each distinct comparison is made once, however many completions share it."""

    @cache
    def same(key: str, truth: str) -> bool | None:
        return keys_equivalent(key, truth)

    def grade(text: str, gold: str | None) -> float | None:
        answer, truth = read_answer(text), None if gold is None else gold_key(gold)
        if truth is None or answer.unreadable:
            return None
        equal = answer.key is not None and same(answer.key, truth)
        return None if equal is None else float(equal)

    return [grade(text, gold) for text, gold in pairs]
