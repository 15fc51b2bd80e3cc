"""Prompts of the present stage alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from selfrl.rewards.pretext import task_of


class StageSampler(Sampler[int]):
    """Rows of a curriculum's present stages, in an order that follows from the seed and the stages alone.

    It gives as many rows as TRL's `RepeatSampler` would, but draws them among the rows whose task is at their stage
    just then. Which that is depends on how many prompts were drawn before, so that a resumed run, which draws again
    what its first part drew, is given the same rows.

    Args:
        rows: (task's name, stage) of every row of the data set.
        stages_at: from the number of prompts drawn so far, over all epochs, to the stage of each task.
        group_size: how often each row is given.
        batch_size: prompts of a generation batch.
        repeat_count: how often a generation batch is given.
        seed: of the order.

    Raises:
        ValueError: for fewer rows than a batch has, or a stage without rows.

    Example:
        >>> rows = [("rotation", 0), ("rotation", 1), ("rotation", 0), ("rotation", 1)]
        >>> sampler = StageSampler(rows, lambda drawn: {"rotation": 0 if drawn < 2 else 1}, 2, batch_size=2)
        >>> [sorted(set(part)) for part in (list(sampler)[:4], list(sampler)[4:])]
        [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        rows: Sequence[tuple[str, int]],
        stages_at: Callable[[int], Mapping[str, int]],
        group_size: int,
        batch_size: int = 1,
        repeat_count: int = 1,
        seed: int = 0,
    ) -> None:
        if len(rows) < batch_size:
            raise ValueError(
                f"A generation batch holds {batch_size} prompts but the data set only {len(rows)}: add rows."
            )
        self.rows, self.stages_at = list(rows), stages_at
        self.group_size, self.batch_size, self.repeat_count, self.seed = group_size, batch_size, repeat_count, seed
        self.batches = len(rows) // batch_size
        self.epoch = 0
        self.drawn = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        for batch in range(self.batches):
            start = (self.epoch * self.batches + batch) * self.batch_size
            chosen = self._batch(start)
            self.drawn = start + self.batch_size
            for _ in range(self.repeat_count):
                for row in chosen:
                    yield from [row] * self.group_size

    def _batch(self, start: int) -> list[int]:
        """The rows of the batch before which `start` prompts were drawn: a part of a shuffle of those of the stages."""
        stages = self.stages_at(start)
        active = [i for i, (task, stage) in enumerate(self.rows) if stages.get(task, stage) == stage]
        if not active:
            raise ValueError(f"No row of the data set is at the stages {dict(stages)}: build it with --stages.")
        chosen: list[int] = []
        number = start // self.batch_size
        a_shuffle = max(len(active) // self.batch_size, 1)  # batches that one shuffle serves
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number // a_shuffle)
        order = torch.randperm(len(active), generator=generator).tolist()
        first = number % a_shuffle * self.batch_size
        while len(chosen) < self.batch_size:  # fewer rows than a batch has come again
            chosen += [active[i] for i in order[first : first + self.batch_size - len(chosen)]]
            first = 0
        return chosen

    def __len__(self) -> int:
        return self.batches * self.batch_size * self.group_size * self.repeat_count


def rows_at_stages(dataset: Any) -> list[tuple[str, int]]:
    """(task's name, stage) of every row.

    Raises:
        ValueError: for a data set without these columns.
    """
    lacking = [column for column in ("task", "stage") if column not in dataset.column_names]
    if lacking:
        raise ValueError(
            f"A curriculum needs the column {lacking[0]!r}, which train_dataset lacks: write it with "
            "`selfrl pretext build … --stages`."
        )
    return [(task_of(spec).name, stage) for spec, stage in zip(dataset["task"], dataset["stage"], strict=True)]
