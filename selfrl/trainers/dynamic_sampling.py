"""Dynamic sampling (DAPO, 2503.14476): new prompts in the place of those whose rollouts teach nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import IterableDataset
from torch.nn.functional import pad

from selfrl.conversation import row_id
from selfrl.rewards.reward_sums import weighted_sums
from selfrl.trainers.row_pictures import (
    PROMPT,
    TOKEN_TYPES,
    blank_rows,
    has_rows,
    put_together,
    taken_apart,
)
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup
from selfrl.trainers.vote_count import VotingConfig

LEFT_PADDED = ("prompt_ids", "prompt_mask", *(name + PROMPT for name in TOKEN_TYPES))


@dataclass
class SamplingConfig(VotingConfig):
    """[`VotingConfig`] with dynamic sampling.

    Args:
        dynamic_sampling_rounds: prompts whose completions all have the same reward teach nothing. Up to that many
            times a batch, draw new prompts in their place; 0 leaves their places empty.
    """

    dynamic_sampling_rounds: int = field(
        default=0, metadata={"help": "How often to draw new prompts for those that teach nothing; 0 is never."}
    )

    def __post_init__(self) -> None:
        if self.dynamic_sampling_rounds < 0:
            raise ValueError(f"dynamic_sampling_rounds is {self.dynamic_sampling_rounds}: it must be 0 or more.")
        super().__post_init__()


class DynamicSampling(GroupTrainer):
    """Mixin over a TRL group trainer: draws new prompts for those that teach nothing, on all processes together.

    A trainer says by `_row_columns` what it keeps of each row beside TRL's tensors; the column `teaches` decides. TRL's
    own metrics stay those of the prompts drawn first, and the table of completions holds the rows drawn last, trained
    on or not.

    Raises:
        ValueError: before a model loads, for dynamic sampling from a stream.
    """

    accelerator: Any
    _drops_votes: bool
    _train_count: int
    _trained: Callable[[int, torch.device], torch.Tensor]

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        if getattr(setup.args, "dynamic_sampling_rounds", 0):  # TRL's own configurations will do, too
            check_redrawable(setup.train_dataset)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._rewards_NF = super()._calculate_rewards(*args, **kwargs)
        return self._rewards_NF

    def _row_columns(self, rewards_NF: torch.Tensor) -> dict[str, torch.Tensor]:
        """Columns (N,) of the rows of all processes, from the rewards; with dynamic sampling, `teaches` among them.

        Here a row teaches if its group's rewards differ.
        """
        if not getattr(self.args, "dynamic_sampling_rounds", 0):
            return {}
        sums_N = weighted_sums(rewards_NF, self.reward_weights)
        return {"teaches": spread(sums_N.view(-1, self._group_size)).repeat_interleave(self._group_size)}

    @property
    def _group_size(self) -> int:
        return self.num_generations if self.model.training else self.num_generations_eval

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        batch = self._scored(inputs)
        if self.model.training and getattr(self.args, "dynamic_sampling_rounds", 0):
            batch = self._filled(batch, inputs)
        return batch

    def _scored(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        start = self.accelerator.process_index * len(inputs)
        columns = self._row_columns(self._rewards_NF)
        columns = {name: column[start : start + len(inputs)] for name, column in columns.items()}
        if self._drops_votes:
            columns = {name: column[self._trained(len(column), column.device)] for name, column in columns.items()}
        return output | columns

    def _filled(self, batch: Batch, inputs: Rows) -> Batch:
        """The batch with new prompts for those that teach nothing."""
        processes, me = self.accelerator.num_processes, self.accelerator.process_index
        seen = set(gather_object(list({row_id(row) for row in inputs})))
        drawn = self._replacements(seen, self._draw_seed)
        candidates = (rows for rows in drawn if all(map(self._may_draw, rows)))
        # TRL's metrics stay those of the prompts that the sampler chose
        logged = {name: len(values) for name, values in self._metrics["train"].items()}

        def draw(groups: int) -> Batch | None:
            mine: Rows = []
            drawn = 0
            while drawn < groups:
                units = list(itertools.islice(candidates, processes))
                if len(units) < processes:
                    break
                mine += [dict(row) for row in units[me] for _ in range(self.num_generations)]
                drawn += sum(map(len, units))
            return self._gathered(self._scored(mine)) if mine else None

        whole = fill_batch(
            self._gathered(batch),
            draw,
            group_size=self._train_count,
            rounds=self.args.dynamic_sampling_rounds,
            pad_id=self._tokenizer.pad_token_id,
        )
        for name, values in self._metrics["train"].items():
            del values[logged.get(name, 0) :]
        rows = len(whole["completion_ids"]) // processes
        filled = put_together({name: value[me * rows : (me + 1) * rows] for name, value in whole.items()})
        if "num_items_in_batch" in batch:
            filled["num_items_in_batch"] = (whole["completion_mask"] * whole.get("tool_mask", 1)).sum()
        return filled

    @property
    def _draw_seed(self) -> tuple[int, int, int]:
        """Another one for each generation batch; the same after a resume."""
        return self.args.seed, self.state.global_step, self._step % self.args.gradient_accumulation_steps

    def _gathered(self, batch: Batch) -> Batch:
        """The rows of all processes, taken apart; what is one number for the whole batch is left out."""
        return {
            name: self._gathered_column(name, value) for name, value in taken_apart(batch).items() if has_rows(value)
        }

    def _gathered_column(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            rows = gather_object(value)
            return [row.to(self.accelerator.device) if isinstance(row, torch.Tensor) else row for row in rows]
        padded = self.accelerator.pad_across_processes(
            value, dim=1, pad_index=_padding(name, self._tokenizer.pad_token_id), pad_first=name in LEFT_PADDED
        )
        return self.accelerator.gather(padded)


def check_redrawable(dataset: Any) -> None:
    """Refuse data from which no replacement can be drawn.

    Raises:
        ValueError: for no data, a stream, or rows without prompts.
    """
    if dataset is None or isinstance(dataset, IterableDataset):
        raise ValueError("Dynamic sampling cannot draw from a stream: load train_dataset as a map-style data set.")
    if "prompt" not in dataset.column_names:
        raise ValueError("Dynamic sampling needs the column `prompt` in train_dataset, to draw none twice: add it.")


def spread(rewards_QG: torch.Tensor) -> torch.Tensor:
    """Whether the rewards of each group (Q, G), NaN where not scored, differ: (Q,) bool.

    Raises:
        ValueError: for another shape.

    Example:
        >>> spread(torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, torch.nan]]))
        tensor([ True, False, False])
    """
    if rewards_QG.ndim != 2:
        raise ValueError(f"rewards {tuple(rewards_QG.shape)} must be (Q, G), one row a group.")
    known = ~rewards_QG.isnan()
    high = rewards_QG.masked_fill(~known, -torch.inf).amax(1)
    low = rewards_QG.masked_fill(~known, torch.inf).amin(1)
    return (high - low > 1e-6) & known.any(1)


def fill_batch(batch: Batch, draw: Callable[[int], Batch | None], group_size: int, rounds: int, pad_id: int) -> Batch:
    """Put groups that teach in the place of those that do not.

    Args:
        batch: rows of all processes in whole groups, taken apart ([`selfrl.trainers.row_pictures`]), `teaches` (B,)
            bool among them, equal within a group; scalars are left out of the result.
        draw: from a number of groups to a scored batch of about as many, or None when no prompts are left.
        group_size: rows a group.
        rounds: how often to draw at most.
        pad_id: padding token.

    Returns:
        a batch of as many groups: those that teach in the order they were drawn, then, if there are too few, the
        first of the others.
    """
    groups = len(batch["completion_ids"]) // group_size
    pool = {name: value for name, value in batch.items() if has_rows(value)}
    for _ in range(rounds):
        missing = groups - int(pool["teaches"].sum()) // group_size
        if missing <= 0:
            break
        fresh = draw(missing)
        if fresh is None:
            break
        pool = _join(pool, {name: value for name, value in fresh.items() if has_rows(value)}, pad_id)
    order = torch.argsort(~pool["teaches"], stable=True)[: groups * group_size]
    return {
        name: [value[i] for i in order.tolist()] if isinstance(value, list) else value[order]
        for name, value in pool.items()
    }


def _join(first: Batch, second: Batch, pad_id: int) -> Batch:
    joined: Batch = {}
    for name in {**first, **second}:
        parts = [
            batch[name] if name in batch else blank_rows(other[name], len(batch["completion_ids"]))
            for batch, other in ((first, second), (second, first))
        ]
        if isinstance(parts[0], list):
            joined[name] = parts[0] + parts[1]
            continue
        if parts[0].ndim > 1:
            width = max(part.size(1) for part in parts)
            parts = [_widen(name, part, width, pad_id) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def _widen(name: str, tensor: torch.Tensor, width: int, pad_id: int) -> torch.Tensor:
    """(B, W, …) with more columns, or pictures."""
    extra = width - tensor.size(1)
    sides = (extra, 0) if name in LEFT_PADDED else (0, extra)
    return pad(tensor, [0, 0] * (tensor.ndim - 2) + list(sides), value=_padding(name, pad_id))


def _padding(name: str, pad_id: int) -> int:
    return pad_id if name in ("prompt_ids", "completion_ids") else 0
