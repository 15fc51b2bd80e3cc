"""Where prompts come from, in an order that follows from the seed and the number of steps made alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import IterableDataset as Stream
from transformers import TrainerCallback
from trl.trainer.utils import RepeatSampler

from selfrl.conversation import row_id
from selfrl.data.pairs import pair_rows
from selfrl.trainers.trl_surface import GroupTrainer, Rows, Setup


class EpochSampler(RepeatSampler):
    """TRL's `RepeatSampler` whose order in epoch e is that of its e-th pass, wherever a resumed run begins.

    Example:
        >>> sampler = EpochSampler(range(5), mini_repeat_count=1, seed=0)
        >>> passes = [list(RepeatSampler(range(5), mini_repeat_count=1, seed=0)) for _ in range(1)]
        >>> list(sampler) == passes[0]
        True
        >>> sampler.set_epoch(1)
        >>> list(sampler) == passes[0]
        False
    """

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if self.shuffle and self.seed is not None:
            self.generator.manual_seed(self.seed)
            for _ in range(self.epoch):
                torch.randperm(self.num_samples, generator=self.generator)
        yield from super().__iter__()


class PairedRepeatSampler(Sampler[int]):
    """[`EpochSampler`] over pairs: each draw gives view 0's group, then view 1's.

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
        self.draws = EpochSampler(
            data_source=pairs,
            mini_repeat_count=1,
            batch_size=pairs_per_batch,
            repeat_count=repeat_count,
            shuffle=shuffle,
            seed=seed,
        )

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass."""
        self.draws.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        for draw in self.draws:
            for row in self.pairs[draw]:
                yield from [row] * self.group_size

    def __len__(self) -> int:
        return len(self.draws) * 2 * self.group_size


class EndlessStream(Stream[Any]):
    """A stream that begins anew when it ends, shuffled in another way, so that its order has no epochs to lose.

    A pass without a single row ends it.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        turn, found = 0, True
        while found:
            found = False
            self.dataset.set_epoch(turn)
            for row in self.dataset:
                found = True
                yield row
            turn += 1


def draw_prompts(dataset: Any, seen: set[str], seed: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    """Rows of a data set in a random order of their own, whole pairs together, no prompt twice and none in `seen`.

    The order depends on nothing but `seed`, so a run that is resumed draws what it would have drawn.

    Example:
        >>> from datasets import Dataset
        >>> data = Dataset.from_dict({"prompt": ["a", "b", "c"]})
        >>> sorted(rows[0]["prompt"] for rows in draw_prompts(data, {row_id({'prompt': 'b'})}, seed=[0, 7]))
        ['a', 'c']
    """
    units: Sequence[tuple[int, ...]] = pair_rows(dataset) if is_paired(dataset) else [(i,) for i in range(len(dataset))]
    seen = set(seen)
    for index in np.random.default_rng(seed).permutation(len(units)):
        rows = [dataset[row] for row in units[index]]
        ids = {row_id(row) for row in rows}
        if not ids & seen:
            seen |= ids
            yield rows


def is_paired(dataset: Any) -> bool:
    """Whether rows are views of pairs."""
    return dataset is not None and "pair_id" in (dataset.column_names or ())


class PromptSource(GroupTrainer):
    """Mixin over a TRL group trainer: prompts come in TRL's order, and a resumed run goes on in it in any epoch."""

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self._train_sampler: Any = None
        self.add_callback(_Epochs(self))

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        dataset = self.train_dataset if dataset is None else dataset
        batch, repeats = self.args.generation_batch_size // self.num_generations, self._repeats
        if is_paired(dataset):
            self._train_sampler = PairedRepeatSampler(
                pair_rows(dataset),
                group_size=self.num_generations,
                pairs_per_batch=batch // 2,
                repeat_count=repeats,
                shuffle=self.shuffle_dataset,
                seed=self.args.seed,
            )
        else:
            self._train_sampler = EpochSampler(
                data_source=dataset,
                mini_repeat_count=self.num_generations,
                batch_size=batch,
                repeat_count=repeats,
                shuffle=self.shuffle_dataset,
                seed=self.args.seed,
            )
        return self._train_sampler

    def _replacements(self, seen: set[str], seed: Sequence[int]) -> Iterator[Rows]:
        return draw_prompts(self.train_dataset, seen, seed)

    @property
    def _repeats(self) -> int:
        """How often TRL asks for each generation batch."""
        return self.num_iterations * self.args.steps_per_generation

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        if not is_paired(eval_dataset):
            return super()._get_eval_sampler(eval_dataset)
        return PairedRepeatSampler(pair_rows(eval_dataset), group_size=self.num_generations_eval, seed=self.args.seed)

    def _get_dataloader(self, dataset: Any, *args: Any, **kwargs: Any) -> DataLoader[Any]:
        if kwargs.get("is_training") and isinstance(dataset, IterableDataset):
            dataset = EndlessStream(dataset)
        return super()._get_dataloader(dataset, *args, **kwargs)


class _Epochs(TrainerCallback):
    """Tells the sampler which epoch begins; accelerate does not reach it through every wrapper."""

    def __init__(self, trainer: PromptSource) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **kwargs: Any) -> None:
        sampler = self.trainer._train_sampler
        if sampler is not None:
            steps = max(math.ceil(len(train_dataloader) / args.gradient_accumulation_steps), 1)
            sampler.set_epoch(state.global_step // steps)
