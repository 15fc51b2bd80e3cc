"""Dynamic sampling (DAPO, 2503.14476): new prompts in the place of those whose rollouts teach nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from torch.nn.functional import pad

from selfrl.conversation import prompt_id
from selfrl.data.pairs import pair_rows

Batch = dict[str, Any]
LEFT_PADDED = ("prompt_ids", "prompt_mask")


def check_redrawable(dataset: Any) -> None:
    """Refuse data from which no replacement can be drawn.

    Raises:
        ValueError: for a stream, or for prompts with images, whose tensors are not rows of the batch.
    """
    if isinstance(dataset, IterableDataset):
        raise ValueError("Dynamic sampling cannot draw from a stream: load train_dataset as a map-style data set.")
    if images := {"image", "images"} & set(dataset.column_names):
        raise ValueError(f"Dynamic sampling does not work with the column {min(images)!r} yet: leave it off.")


def draw_prompts(dataset: Any, seen: set[str], seed: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    """Rows of a data set in a random order of their own, whole pairs together, no prompt twice and none in `seen`.

    The order depends on nothing but `seed`, so a run that is resumed draws what it would have drawn.

    Example:
        >>> from datasets import Dataset
        >>> data = Dataset.from_dict({"prompt": ["a", "b", "c"]})
        >>> sorted(rows[0]["prompt"] for rows in draw_prompts(data, {prompt_id("b")}, seed=[0, 7]))
        ['a', 'c']
    """
    units: Sequence[tuple[int, ...]] = (
        pair_rows(dataset) if "pair_id" in dataset.column_names else [(row,) for row in range(len(dataset))]
    )
    seen = set(seen)
    for index in np.random.default_rng(seed).permutation(len(units)):
        rows = [dataset[row] for row in units[index]]
        ids = {prompt_id(row["prompt"]) for row in rows}
        if not ids & seen:
            seen |= ids
            yield rows


def fill_batch(
    batch: Batch,
    draw: Callable[[int], Batch | None],
    teaches: Callable[[Batch], torch.Tensor],
    group_size: int,
    rounds: int,
    pad_id: int,
) -> Batch:
    """Put groups that teach in the place of those that do not.

    Args:
        batch: rows of all processes in whole groups, as tensors (B,) or (B, T); scalars are left out of the result.
        draw: from a number of groups to a scored batch of about as many, or None when no prompts are left.
        teaches: from a batch to (B,) bool, equal within a group.
        group_size: rows a group.
        rounds: how often to draw at most.
        pad_id: padding token.

    Returns:
        a batch of as many groups: those that teach in the order they were drawn, then, if there are too few, the
        first of the others.
    """
    groups = len(batch["completion_ids"]) // group_size
    pool = {name: value for name, value in batch.items() if value.ndim > 0}
    for _ in range(rounds):
        missing = groups - int(teaches(pool).sum()) // group_size
        if missing <= 0:
            break
        fresh = draw(missing)
        if fresh is None:
            break
        pool = _join(pool, fresh, pad_id)
    order = torch.argsort(~teaches(pool), stable=True)[: groups * group_size]
    return {name: value[order] for name, value in pool.items()}


def _join(first: Batch, second: Batch, pad_id: int) -> Batch:
    joined = {}
    for name, value in first.items():
        parts = [value, second[name]]
        if value.ndim > 1:
            width = max(part.size(1) for part in parts)
            parts = [_widen(name, part, width, pad_id) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def _widen(name: str, tensor_BT: torch.Tensor, width: int, pad_id: int) -> torch.Tensor:
    extra = width - tensor_BT.size(1)
    sides = (extra, 0) if name in LEFT_PADDED else (0, extra)
    return pad(tensor_BT, sides, value=pad_id if name.endswith("_ids") else 0)
