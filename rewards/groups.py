"""Groups in a batch, and batches over several processes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")
Metrics = dict[str, float]


def consecutive_groups(ids: Iterable[Any]) -> list[list[int]]:
    """Row numbers of each run of equal ids.

    >>> consecutive_groups(["a", "a", "b", "a"])
    [[0, 1], [2], [3]]
    """
    return [[i for i, _ in run] for _, run in itertools.groupby(enumerate(ids), key=lambda pair: pair[1])]
