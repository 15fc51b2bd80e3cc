"""Work on the rows of all processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch.distributed as dist

Row = TypeVar("Row")
Result = TypeVar("Result")
Shared = TypeVar("Shared")


def over_all_processes(
    compute: Callable[[list[Row]], tuple[Sequence[Result], Shared]], rows: Sequence[Row]
) -> tuple[list[Result], Shared]:
    """Compute something from the rows of all processes: this process's results, and what all processes share.

    A group may span processes, so nothing is decided from a local slice. The main process computes for all: a
    symbolic merge under a time budget could otherwise come out differently on each. Every process must call this
    equally often.
    """
    everything, start = gathered(rows)
    if not _several():
        results, shared = compute(everything)
        return list(results), shared
    result: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            result = [compute(everything)]
        except Exception as error:  # told to all, or the others would wait for ever
            result = [_told(error)]
    dist.broadcast_object_list(result, src=0)
    if isinstance(result[0], Exception):
        raise result[0]
    results, shared = result[0]
    return list(results[start : start + len(rows)]), shared


def gathered(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows of all processes, in the order of their ranks, and where this process's begin."""
    if not _several():
        return list(rows), 0
    slices: list[list[Row]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(slices, list(rows))
    return [row for part in slices for row in part], sum(len(part) for part in slices[: dist.get_rank()])


def shared_out(items: Sequence[Row], work: Callable[[list[Row]], Sequence[Result]]) -> list[Result]:
    """Results of `work` on items that every process has, each process doing its share; all get all of them.

    `work` is called once on every process, with no items where there are fewer than processes.
    """
    if not _several():
        return list(work(list(items)))
    size = dist.get_world_size()
    try:
        done: Any = list(work(list(items[dist.get_rank() :: size])))
    except Exception as error:  # told to all, or the others would wait for ever
        done = _told(error)
    parts: list[Any] = [None] * size
    dist.all_gather_object(parts, done)
    for part in parts:
        if isinstance(part, Exception):
            raise part
    return [parts[i % size][i // size] for i in range(len(items))]


def _told(error: Exception) -> Exception:
    """The error as other processes can receive it: some, such as those of HTTP clients, cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()
