"""Three parts by size: what is done to sure and to unsure prompts shows in no mean over both."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeVar

TERCILES = ("low", "middle", "high")
Item = TypeVar("Item", bound=Any)


def terciles(sizes: Mapping[Item, float]) -> list[list[Item]]:
    """Items in three parts, as equal as they come, from the smallest to the largest.

    Args:
        sizes: item → size; of equal ones the lower item goes first.

    Example:
        >>> terciles({1: 0.5, 2: 0.25, 3: 1.0, 0: 0.5})
        [[2], [0], [1, 3]]
    """
    ordered = sorted(sizes, key=lambda item: (sizes[item], item))
    bounds = [len(ordered) * i // len(TERCILES) for i in range(len(TERCILES) + 1)]
    return [ordered[low:high] for low, high in pairwise(bounds)]
