"""When a vote is decided before all have voted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

BLOCK = 8  # votes that are drawn before the lead is looked at again
CONFIDENCE = 1.64  # standard deviations: the runner-up would win in one case of twenty


def is_open(keys: Sequence[str | None], most: int) -> bool:
    """Whether the votes that are left may well make another answer win.

    After n of N votes, with n₁ and n₂ for the two leading answers and m = N − n left, the lead at the end is
    about normal with the mean (n₁ − n₂) · N/n and the variance (n₁ + n₂) · m · N/n². The vote is closed once
    n₁ − n₂ > 1.64 · √((n₁ + n₂) · m/N); a lead that cannot be turned any more always closes it.

    Args:
        keys: of those who voted so far, None without an answer.
        most: N, votes that are cast at most.

    Example:
        >>> is_open(["4"] * 6 + ["5", None], 64), is_open(["4"] * 4 + ["5", "6", "7", None], 64)
        (False, True)
        >>> is_open(["4"] * 22 + ["5"] * 18, 64), is_open(["4"] * 32 + ["5"] * 24, 64)
        (True, False)
    """
    left = most - len(keys)
    if left <= 0:
        return False
    counts = sorted(Counter(key for key in keys if key is not None).values(), reverse=True)
    first, second = (*counts, 0, 0)[:2]
    return first - second <= CONFIDENCE * sqrt((first + second) * left / most)


def further_votes(keys: Sequence[str | None], least: int, most: int) -> int:
    """How many votes to draw next: what is missing of `least`, then a block while the vote is open, up to `most`.

    Raises:
        ValueError: for numbers that leave no vote.

    Example:
        >>> further_votes(["4"] * 4, 8, 64), further_votes(["4"] * 8, 8, 64), further_votes(["4", "5"] * 30, 8, 64)
        (4, 0, 4)
    """
    if not 1 <= least <= most:
        raise ValueError(f"least is {least} and most {most}: a vote needs 1 <= least <= most.")
    if len(keys) < least:
        return least - len(keys)
    return min(BLOCK, most - len(keys)) if is_open(keys, most) else 0
