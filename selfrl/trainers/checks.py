"""Checks of a run's data and batch shape, made before any model loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset, IterableDataset

from selfrl.data.missing import missing_rows


def check_dataset(dataset: Any, rewards: Sequence[Any], role: str = "train_dataset", needs_prompt: bool = True) -> None:
    """Refuse data that the trainer or its rewards cannot use.

    Rewards, and shapers, name the columns they need in an attribute `columns`.

    Args:
        dataset: a data set or a stream.
        rewards: that it is for, and shapers.
        role: what it is called in the message.
        needs_prompt: whether each row must have a prompt; an environment can give it.

    Raises:
        ValueError: for an empty data set, a missing `prompt` column, a row without a prompt, or a column that a reward
            needs.
    """
    columns = getattr(dataset, "column_names", None)
    if columns is None:  # a stream that does not know its columns
        return
    if needs_prompt and "prompt" not in columns:
        raise ValueError(f"{role} has no `prompt` column (it has {columns}): rename the column of your questions.")
    if isinstance(dataset, Dataset) and len(dataset) == 0:
        raise ValueError(f"{role} is empty: check its path, split and filters.")
    if needs_prompt and isinstance(dataset, Dataset) and (missing := missing_rows(dataset["prompt"])):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"{role} has no prompt in row {missing[0]}{more}: drop them (null, blank or without content).")
    for reward in rewards:
        for column in getattr(reward, "columns", ()):
            if column not in columns:
                hint = (
                    "expand paraphrase pairs with selfrl.data.pairs.expand_pairs"
                    if column in ("pair_id", "view")
                    else "add or rename it"
                )
                raise ValueError(
                    f"{type(reward).__name__} needs the column {column!r}, which {role} lacks "
                    f"(it has {columns}): {hint}."
                )
    if "pair_id" in columns and isinstance(dataset, IterableDataset):
        raise ValueError(
            f"{role} is a stream with `pair_id`, whose views cannot be brought together: "
            "load it as a map-style data set."
        )


def check_whole_pairs(prompts: int, batch: str) -> None:
    """Refuse a batch that would cut a pair.

    Args:
        prompts: unique prompts in the batch.
        batch: what it is called in the message.

    Raises:
        ValueError: if `prompts` is odd.
    """
    if prompts % 2:
        raise ValueError(
            f"{batch} holds {prompts} prompts, which cuts a pair of views: make its size divided by the number of "
            "generations even."
        )


def check_enough_pairs(wanted: int, pairs: int) -> None:
    """Refuse a generation batch of more pairs than there are.

    Raises:
        ValueError: if `wanted` exceeds `pairs`.
    """
    if wanted > pairs:
        raise ValueError(
            f"A generation batch holds {wanted} pairs but the data set only {pairs}: lower generation_batch_size or "
            "add pairs."
        )


def check_train_count(train: int, votes: int, local_rows: int, steps_per_generation: int) -> None:
    """Refuse a `num_generations_train` that the batch cannot be cut to.

    Args:
        train: completions of a group that are trained on.
        votes: completions of a group that are generated (num_generations).
        local_rows: completions that one process generates at a time.
        steps_per_generation: micro-batches that they are split into.

    Raises:
        ValueError: with what to change.
    """
    if not 2 <= train <= votes:
        raise ValueError(f"num_generations_train is {train}: it must lie between 2 and num_generations ({votes}).")
    if local_rows % votes:
        raise ValueError(
            f"num_generations_train needs whole groups on every process, but one process generates {local_rows} "
            f"completions in groups of {votes}: make per_device_train_batch_size x steps_per_generation a multiple "
            f"of {votes}."
        )
    if local_rows // votes * train % steps_per_generation:
        raise ValueError(
            f"{local_rows // votes * train} kept completions do not split into {steps_per_generation} micro-batches: "
            "change num_generations_train or steps_per_generation."
        )
