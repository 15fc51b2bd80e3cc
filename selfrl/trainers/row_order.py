"""Which rows share a micro-batch: those without a gradient, which are not computed, and those of like lengths.

TRL shuffles rows without regard to length, and computes those whose advantage is zero.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from selfrl.trainers.trl_surface import Batch, GroupTrainer

# Their loss has means over what happens to share a micro-batch.
COMPOSED = ("bnpo",)
SKIPPED = "skipped"  # of a micro-batch: none of its rows has a gradient


def in_order(parts: list[Batch], block: int, silent_N: torch.Tensor | None = None) -> list[Batch]:
    """Micro-batches whose rows were sorted, each block of so many among itself: silent rows first, then by length.

    Args:
        parts: micro-batches of one size.
        block: micro-batches among which rows may change places.
        silent_N: which rows of all parts have no gradient, (N,) bool; None: all may have one.

    Example:
        >>> mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
        >>> parts = [{"prompt_mask": mask[i : i + 2], "completion_mask": mask[i : i + 2]} for i in (0, 2)]
        >>> [part["completion_mask"].sum(1).tolist() for part in in_order(parts, 2)]
        [[1, 1], [2, 3]]
        >>> silent = torch.tensor([True, False, False, False])
        >>> [part["completion_mask"].sum(1).tolist() for part in in_order(parts, 2, silent)]
        [[3, 1], [1, 2]]
    """
    found: list[Batch] = []
    rows = len(parts[0]["completion_mask"])
    for start in range(0, len(parts), block):
        some = parts[start : start + block]
        lengths_N = torch.cat([part["completion_mask"].sum(1) + part["prompt_mask"].sum(1) for part in some])
        order = torch.argsort(lengths_N, stable=True)
        if silent_N is not None:
            sounding_N = ~silent_N[start * rows : (start + len(some)) * rows]
            order = order[torch.argsort(sounding_N[order].long(), stable=True)]
        whole = {name: _joined([part[name] for part in some], rows) for name in some[0]}
        for i, part in enumerate(some):
            chosen = order[i * rows : (i + 1) * rows]
            found.append({name: part[name] if all_ is None else all_[chosen] for name, all_ in whole.items()})
    return found


def skippable(silent_N: torch.Tensor, rows: int, block: int) -> torch.Tensor:
    """How many whole micro-batches of each block hold silent rows alone, once these stand first: (blocks,).

    The last of a block is always computed: an optimizer step needs gradients, be they zero, and processes meet in it.

    Args:
        silent_N: which rows have no gradient, (N,) bool.
        rows: of a micro-batch.
        block: micro-batches.

    Example:
        >>> skippable(torch.tensor([1, 0, 1, 1, 1, 1, 1, 1]).bool(), rows=1, block=4)
        tensor([3, 3])
        >>> skippable(torch.tensor([1, 0, 1, 1, 0, 0, 0, 0]).bool(), rows=2, block=2)
        tensor([1, 0])
    """
    counts = torch.stack([part.sum() for part in silent_N.split(rows * block)])
    return torch.div(counts, rows, rounding_mode="floor").clamp(max=block - 1)


def _joined(values: list[Any], rows: int) -> torch.Tensor | None:
    """Tensors with a row each as one; None for what is no such thing."""
    if all(isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == rows for value in values):
        return torch.cat(values)
    return None


class RowOrder(GroupTrainer):
    """Mixin over a TRL group trainer: micro-batches of rows without a gradient are not computed, and rows of like
    lengths share one.

    Exact: only rows within one optimizer step change places, and what is left out has a gradient of zero. As many
    micro-batches are left out on each process as on the one with the fewest. `rows/silent` is the share of rows without
    a gradient, `rows/skipped` of those that are not computed; TRL's figures of a loss (entropy, clipped ratios) are
    means over the others.

    The order stays TRL's for rows with pictures, mixtures of experts with a router loss, `bnpo` and entropy quantiles,
    which look at the micro-batch. Nothing is left out where every row has a gradient (KL to a reference in the loss, an
    entropy bonus), or under DeepSpeed, whose engine counts backward passes.
    """

    _reorders: bool = True  # off only to be compared with
    _skips: bool = True

    def _silent(self, part: Batch) -> torch.Tensor:
        """Which rows of a micro-batch have no gradient, (B,) bool."""
        said_B = (part["completion_mask"] * part.get("tool_mask", 1)).any(1)
        return (part["advantages"] == 0).view(len(said_B), -1).all(1) | ~said_B

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        parts = self._buffered_inputs
        if not self.model.training or parts is before or parts is None or self._keeps_order(parts[0]):
            return inputs
        block = math.gcd(self.args.gradient_accumulation_steps, self.args.steps_per_generation)
        silent_N = torch.cat([self._silent(part) for part in parts]) if self._may_skip else None
        parts = in_order(parts, block, silent_N)
        if silent_N is not None:
            self._mark(parts, silent_N, block)
        self._buffered_inputs = parts
        return parts[self._step % self.args.steps_per_generation]

    def _mark(self, parts: list[Batch], silent_N: torch.Tensor, block: int) -> None:
        """Say which micro-batches are left out: as many of each block on all processes."""
        rows = len(silent_N) // len(parts)
        mine = torch.cat([skippable(silent_N, rows, block), silent_N.sum().unsqueeze(0)])
        all_ = self.accelerator.gather(mine).view(-1, len(mine))
        fewest = all_[:, :-1].amin(0).tolist()
        for i, part in enumerate(parts):
            part[SKIPPED] = i % block < fewest[i // block]
        metrics = self._metrics["train"]
        metrics["rows/silent"].append(all_[:, -1].sum().item() / (len(all_) * len(silent_N)))
        metrics["rows/skipped"].append(sum(fewest) / len(parts))

    def compute_loss(self, model: Any, inputs: Batch, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's loss, or zero for a micro-batch that is left out."""
        if inputs.get(SKIPPED):
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _keeps_order(self, part: Batch) -> bool:
        composed = (
            getattr(self.args, "loss_type", None) in COMPOSED or getattr(self.args, "top_entropy_quantile", 1) < 1
        )
        return composed or self.aux_loss_enabled or "pixel_values" in part or not self._reorders

    @property
    def _may_skip(self) -> bool:
        """Whether a row can be without a gradient at all."""
        bonus = getattr(self.args, "entropy_coef", 0) or getattr(self.args, "use_adaptive_entropy", False)
        return self._skips and not bonus and not self._kl_in_loss and not self.is_deepspeed_enabled

    @property
    def _kl_in_loss(self) -> bool:
        """Whether the loss holds the KL term of every row; RLOO has it in the reward."""
        return self.beta != 0
