"""Groups in a batch, and batches over several processes."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch.distributed as dist

Row = TypeVar("Row")
Result = TypeVar("Result")
Metrics = dict[str, float]


def completion_text(completion: Any) -> str:
    """The text of a completion: a string, or the content of the last assistant message that has any.

    >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "4"}]}])
    '4'
    """
    if isinstance(completion, str):
        return completion
    for message in reversed(completion):
        content = message.get("content")
        if message.get("role") == "assistant" and content:
            if isinstance(content, str):
                return content
            return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return ""


def prompt_id(prompt: Any) -> str:
    """A digest that equal prompts share: of text, of conversations, of the pixels of their images.

    >>> prompt_id([{"role": "user", "content": "2+2?"}]) == prompt_id([{"role": "user", "content": "2+2?"}])
    True
    """
    digest = hashlib.sha256()
    _feed(digest, prompt)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            digest.update(f"<{key}>".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            digest.update(b"<item>")
            _feed(digest, item)
    elif hasattr(value, "tobytes"):
        digest.update(value.tobytes())
    else:
        digest.update(str(value).encode("utf-8", "surrogatepass"))


def consecutive_groups(ids: Iterable[Any]) -> list[list[int]]:
    """Row numbers of each run of equal ids.

    >>> consecutive_groups(["a", "a", "b", "a"])
    [[0, 1], [2], [3]]
    """
    return [[i for i, _ in run] for _, run in itertools.groupby(enumerate(ids), key=lambda pair: pair[1])]


def over_all_processes(
    compute: Callable[[list[Row]], tuple[list[float | None], Metrics]], rows: Sequence[Row]
) -> tuple[list[float | None], Metrics]:
    """Compute rewards from the rows of all processes, and return this process's rewards and the global metrics.

    A group may span processes, so nothing is decided from a local slice. The main process computes for all: a
    symbolic merge under a time budget could otherwise come out differently on each. Every process must call this
    equally often.
    """
    everything, start = gathered(rows)
    if not _several():
        return compute(everything)
    result: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            result = [compute(everything)]
        except Exception as error:  # told to all, or the others would wait for ever
            result = [_told(error)]
    dist.broadcast_object_list(result, src=0)
    if isinstance(result[0], Exception):
        raise result[0]
    rewards, metrics = result[0]
    return rewards[start : start + len(rows)], metrics


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
