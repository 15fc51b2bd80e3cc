"""Prompts that are not there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from datasets import Dataset

logger = logging.getLogger(__name__)


def is_missing(prompt: Any) -> bool:
    """Whether a prompt is null, not a number, blank, or a conversation without messages or without content.

    >>> [is_missing(prompt) for prompt in (None, float("nan"), " ", [], [{"role": "user", "content": None}], "2+2?")]
    [True, True, True, True, True, False]
    """
    if prompt is None or prompt != prompt:
        return True
    if isinstance(prompt, str):
        return not prompt.strip()
    return isinstance(prompt, list) and not any(message.get("content") for message in prompt)


def missing_rows(prompts: Iterable[Any]) -> list[int]:
    """Row numbers of the prompts that are not there."""
    return [row for row, prompt in enumerate(prompts) if is_missing(prompt)]


def left_out(rows: Dataset, numbers: Sequence[int], why: str) -> Dataset:
    """The rows without some, which are counted in a warning.

    Raises:
        ValueError: if no row is left.
    """
    if not numbers:
        return rows
    if len(numbers) == len(rows):
        raise ValueError(f"All {len(rows)} rows of the data set have {why}: check the column's name and the file.")
    logger.warning("%d of %d rows have %s and are left out.", len(numbers), len(rows), why)
    dropped = set(numbers)
    return rows.select([i for i in range(len(rows)) if i not in dropped])
