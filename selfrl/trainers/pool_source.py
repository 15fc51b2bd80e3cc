"""Prompts from a pool that grows while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate.utils import broadcast_object_list
from datasets import IterableDataset
from torch.utils.data import Sampler

from selfrl.checkpoint import Part
from selfrl.distributed import gathered
from selfrl.group_record import GroupRecord
from selfrl.trainers.records import Listener
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup


class GrowingPool(Protocol):
    """What a trainer asks of a pool, such as [`selfrl.selfplay.live_pool.LivePool`]; it is itself a map-style data set.

    Every process has one, and they stay equal: each is told the same records and admits the same children.
    """

    @property
    def needs_policy(self) -> bool:
        """Whether [`propose`] wants the model in training."""

    def start(self, dataset: Any, seed: int, log: Path | None = None) -> None:
        """Begin with a data set's rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int) -> dict[str, Any]: ...

    def draw(self, number: int, count: int) -> list[int]:
        """Places of the prompts of a batch; the same for the same number."""

    def replacements(self, seen: set[str], seed: Sequence[int]) -> Iterator[Rows]:
        """Further prompts."""

    def learn(self, records: Sequence[GroupRecord]) -> tuple[set[str], dict[str, float]]:
        """Take a batch's records; gives ids of prompts that must not be trained on, and figures to log."""

    def propose(self, policy: Any = None) -> list[Any]:
        """Children, to be admitted on all processes."""

    def admit(self, children: Sequence[Any]) -> None:
        """Take in those that may come in."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from it."""


class PoolSampler(Sampler[int]):
    """Places of a pool, batch by batch as they are drawn, in the order of TRL's `RepeatSampler`.

    Args:
        draw: from a batch's number and size to places.
        group_size: how often each prompt is given.
        batch_size: prompts of a generation batch.
        batches: of an epoch.
        repeat_count: how often a generation batch is given.

    Example:
        >>> sampler = PoolSampler(lambda number, count: [number] * count, 2, batch_size=1, batches=2)
        >>> list(sampler), len(sampler)
        ([0, 0, 1, 1], 4)
        >>> sampler.set_epoch(1)
        >>> list(sampler)
        [2, 2, 3, 3]
    """

    def __init__(
        self,
        draw: Callable[[int, int], list[int]],
        group_size: int,
        batch_size: int,
        batches: int,
        repeat_count: int = 1,
    ) -> None:
        self.draw, self.group_size, self.batch_size = draw, group_size, batch_size
        self.batches, self.repeat_count, self.epoch = batches, repeat_count, 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        for batch in range(self.batches):
            places = self.draw(self.epoch * self.batches + batch, self.batch_size)
            for _ in range(self.repeat_count):
                for place in places:
                    yield from [place] * self.group_size

    def __len__(self) -> int:
        return self.batches * self.batch_size * self.group_size * self.repeat_count


class PoolSource(GroupTrainer):
    """Mixin over a TRL group trainer, with `pool=LivePool(…)`: sampler and dynamic sampling draw from the pool.

    Its seeds are the rows of `train_dataset`. It learns from the records of each batch, and has children written after
    it. The groups of prompts that it refuses abstain. Its state is in every checkpoint, its gate's verdicts in
    `gate.jsonl`. Logged: `pool/…` and `gate/…`.

    Raises:
        ValueError: before a model loads, for a stream, workers of the data loader, a curriculum of stages, fewer seeds
            than a batch has; and under FSDP or DeepSpeed, if the policy is to write.
    """

    add_listener: Callable[[Listener], None]
    policy_generator: Callable[[], Any]
    _repeats: int
    _train_sampler: Any
    _prompt_ids: list[str]

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        if setup.pool is None:
            return
        if setup.train_dataset is None or isinstance(setup.train_dataset, IterableDataset):
            raise ValueError("A pool needs its seeds at once: load train_dataset as a map-style data set.")
        if setup.args.dataloader_num_workers:
            raise ValueError("A pool grows in this process: set dataloader_num_workers to 0.")
        if setup.curriculum is not None and setup.curriculum.curriculum_stages:
            raise ValueError("A pool and stages both decide which prompts come: drop curriculum_stages or the pool.")
        prompts, seeds = setup.args.generation_batch_size // setup.args.num_generations, len(setup.train_dataset)
        if seeds < prompts:
            raise ValueError(f"A batch holds {prompts} prompts but there are {seeds} seeds: add some.")

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.pool: GrowingPool | None = setup.pool
        self._refused: set[str] = set()
        if self.pool is None:
            return
        if self.pool.needs_policy and (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            raise ValueError("The policy cannot write prompts under FSDP or DeepSpeed: name another writer.")
        log = Path(self.args.output_dir) / "gate.jsonl" if self.accelerator.is_main_process else None
        self.pool.start(self.train_dataset, self.args.seed, log)
        self.train_dataset = self.pool
        self.add_listener(self._learn_pool)
        self.checkpoint.register(Part("pool", self.pool.state, self.pool.load))

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        if self.pool is None:
            return super()._get_train_sampler(dataset)
        batch = self.args.generation_batch_size // self.num_generations
        self._train_sampler = PoolSampler(
            self.pool.draw, self.num_generations, batch, max(len(self.pool) // batch, 1), self._repeats
        )
        return self._train_sampler

    def _replacements(self, seen: set[str], seed: Sequence[int]) -> Iterator[Rows]:
        return super()._replacements(seen, seed) if self.pool is None else self.pool.replacements(seen, seed)

    def _learn_pool(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        assert self.pool is not None
        self._refused, figures = self.pool.learn(records)
        return figures

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards_NF = super()._calculate_rewards(*args, **kwargs)
        if self.pool is not None and self.model.training and self._refused:
            names, _ = gathered(self._prompt_ids)
            refused_N = torch.tensor([name in self._refused for name in names], device=rewards_NF.device)
            rewards_NF = rewards_NF.masked_fill(refused_N.unsqueeze(1), torch.nan)
        return rewards_NF

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if self.pool is not None and self.model.training:
            self.pool.admit(self._proposed(self.pool))
        return output

    def _proposed(self, pool: GrowingPool) -> list[Any]:
        """Children, written once and handed to all processes."""
        if not pool.needs_policy:
            return pool.propose()
        with self.policy_generator() as policy:
            children = [pool.propose(policy) if self.accelerator.is_main_process else None]
        broadcast_object_list(children)
        return children[0] or []
