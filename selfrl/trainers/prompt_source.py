"""Sampling that keeps both views of a prompt in one generation batch."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler
from trl.trainer.utils import RepeatSampler


class PairedRepeatSampler(Sampler[int]):
    """TRL's `RepeatSampler` over pairs: each draw gives view 0's group, then view 1's.

    Args:
        pairs: row numbers (view 0, view 1), see [`selfrl.data.pairs.pair_rows`].
        group_size: completions a prompt (G); each row number is repeated that often.
        pairs_per_batch: pairs in one generation batch.
        repeat_count: how often a generation batch is served again.
        shuffle: whether the pairs are permuted.
        seed: of that permutation.

    Example:
        >>> list(PairedRepeatSampler([(0, 5), (3, 1)], group_size=2, pairs_per_batch=2, shuffle=False))
        [0, 0, 5, 5, 3, 3, 1, 1]
    """

    def __init__(
        self,
        pairs: list[tuple[int, int]],
        group_size: int,
        pairs_per_batch: int = 1,
        repeat_count: int = 1,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        self.pairs = pairs
        self.group_size = group_size
        self.draws = RepeatSampler(
            data_source=pairs,
            mini_repeat_count=1,
            batch_size=pairs_per_batch,
            repeat_count=repeat_count,
            shuffle=shuffle,
            seed=seed,
        )

    def __iter__(self) -> Iterator[int]:
        for draw in self.draws:
            for row in self.pairs[draw]:
                yield from [row] * self.group_size

    def __len__(self) -> int:
        return len(self.draws) * 2 * self.group_size
