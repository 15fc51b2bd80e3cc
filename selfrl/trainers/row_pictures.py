"""Rows of a scored batch with pictures, which TRL keeps in one tensor for all rows, by the layout of each model."""

from __future__ import annotations

from typing import Any

import torch
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

from selfrl.trainers.trl_surface import Batch

TOKEN_TYPES = ("token_type_ids", "mm_token_type_ids")  # (B, prompt + completion): padded on both sides
PROMPT, COMPLETION = ".prompt", ".completion"


def taken_apart(batch: Batch) -> Batch:
    """The batch with one entry a row in everything: lists of each row's pictures, and token types in two halves.

    >>> batch = {"prompt_ids": torch.ones(2, 3), "pixel_values": torch.arange(3), "num_images": [1, 2]}
    >>> taken_apart(batch)["pixel_values"]
    [tensor([0]), tensor([1, 2])]
    """
    apart = dict(split_pixel_values_by_grid(batch))
    width = batch["prompt_ids"].size(1)
    for name in TOKEN_TYPES:
        if name in apart:
            types_BT = apart.pop(name)
            apart |= {name + PROMPT: types_BT[:, :width], name + COMPLETION: types_BT[:, width:]}
    return apart


def put_together(batch: Batch) -> Batch:
    """The opposite of [`taken_apart`]."""
    whole = dict(unsplit_pixel_values_by_grid(batch))
    for name in TOKEN_TYPES:
        if name + PROMPT in whole:
            whole[name] = torch.cat([whole.pop(name + PROMPT), whole.pop(name + COMPLETION)], dim=1)
    return whole


def has_rows(value: Any) -> bool:
    """Whether an entry of a batch has one part a row; the others are one number for all."""
    return isinstance(value, list) or (isinstance(value, torch.Tensor) and value.ndim > 0)


def picked(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some rows of a batch, with what is one number for all of them as it is.

    Args:
        batch: whole or taken apart; the result is as it was.
        rows: (B,) bool, or row numbers.

    Example:
        >>> batch = {"prompt_ids": torch.ones(2, 3), "pixel_values": torch.arange(3), "num_images": [1, 2]}
        >>> picked(batch, torch.tensor([False, True]))["pixel_values"], picked(batch, torch.tensor([1]))["num_images"]
        (tensor([1, 2]), [2])
    """
    numbers = (rows.nonzero().flatten() if rows.dtype == torch.bool else rows).tolist()
    chosen = {}
    for name, value in taken_apart(batch).items():
        if isinstance(value, list):
            chosen[name] = [value[i] for i in numbers]
        else:
            chosen[name] = value[rows] if has_rows(value) else value
    return put_together(chosen)


def blank_rows(like: Any, count: int) -> Any:
    """Rows without pictures, to stand beside `like` where a whole draw has none.

    >>> blank_rows([torch.ones(2, 3)], 2)[1].shape, blank_rows([4], 1), blank_rows(torch.ones(2, 5, 3), 1).shape
    (torch.Size([0, 3]), [0], torch.Size([1, 0, 3]))
    """
    if isinstance(like, list):
        return [like[0][:0] if isinstance(like[0], torch.Tensor) else 0] * count
    return like.new_zeros((count, 0, *like.shape[2:]))
