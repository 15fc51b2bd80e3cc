"""No padding computed: a pass of the model sees the columns that hold a token of its rows, and like lengths together.

TRL pads every micro-batch to the widest row of its whole generation batch, and shuffles rows without regard to length.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad

from selfrl.trainers.trl_surface import Batch, GroupTrainer, Setup

# Their frequencies depend on how long the input is, so that a column less would change the others.
LENGTH_DEPENDENT = ("dynamic", "longrope")
# Their loss has means over what happens to share a micro-batch.
COMPOSED = ("bnpo",)


class Pass(NamedTuple):
    """One call of the model.

    Args:
        rows: numbers (b,) of the rows that it scores.
        kept: columns of completions.
    """

    rows: torch.Tensor
    kept: int


def extents(mask_BL: torch.Tensor, completion: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of padding before each row's prompt (B,), and columns of its completion up to the last token (B,).

    Args:
        mask_BL: 1 for tokens; prompts are padded at the left, `completion` columns of completions at the right.
        completion: how many columns are completions.

    Raises:
        ValueError: for a mask of another shape.

    Example:
        >>> extents(torch.tensor([[0, 1, 1, 0, 0], [1, 1, 1, 1, 0]]), completion=3)
        (tensor([1, 0]), tensor([1, 2]))
    """
    if mask_BL.ndim != 2 or not 0 < completion <= mask_BL.shape[1]:
        raise ValueError(f"mask {tuple(mask_BL.shape)} must be (B, L), with {completion} of L columns for completions.")
    held_BL = mask_BL.bool()
    prompt_BP, said_BT = held_BL[:, :-completion], held_BL[:, -completion:]
    left_B = (prompt_BP.cumsum(1) == 0).sum(1)
    places_T = torch.arange(1, completion + 1, device=mask_BL.device)
    return left_B, (said_BT * places_T).amax(1)


def by_length(parts: list[Batch], block: int) -> list[Batch]:
    """Micro-batches whose rows were sorted by length, each block of so many among itself.

    >>> mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
    >>> parts = [{"prompt_mask": mask[i : i + 2], "completion_mask": mask[i : i + 2]} for i in (0, 2)]
    >>> [part["completion_mask"].sum(1).tolist() for part in by_length(parts, 2)]
    [[1, 1], [2, 3]]
    """
    found: list[Batch] = []
    for start in range(0, len(parts), block):
        some = parts[start : start + block]
        rows = len(some[0]["completion_mask"])
        lengths_N = torch.cat([part["completion_mask"].sum(1) + part["prompt_mask"].sum(1) for part in some])
        order = torch.argsort(lengths_N, stable=True)
        whole = {name: _joined([part[name] for part in some], rows) for name in some[0]}
        for i, part in enumerate(some):
            chosen = order[i * rows : (i + 1) * rows]
            found.append({name: part[name] if all_ is None else all_[chosen] for name, all_ in whole.items()})
    return found


def _joined(values: list[Any], rows: int) -> torch.Tensor | None:
    """Tensors with a row each as one; None for what is no such thing."""
    if all(isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == rows for value in values):
        return torch.cat(values)
    return None


class Trimming(GroupTrainer):
    """Mixin over a TRL group trainer: neither scoring nor the loss computes columns that hold padding alone.

    Exact: a causal model's tokens do not see what comes after them, rotary positions are relative, and only rows within
    one optimizer step change places. Left as TRL has it are rows with pictures, mixtures of experts whose router loss
    counts columns, compiled models (every shape is compiled anew), and rotary positions that depend on the length.
    Models with other positions keep the padding before their prompts, and the order of rows stays with `bnpo` and
    with entropy quantiles, which look at the micro-batch.
    """

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        model = self.accelerator.unwrap_model(self.model)
        parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
        kinds = [str(part.get("rope_type")) for part in (parameters, *parameters.values()) if isinstance(part, dict)]
        self._trims = not (set(kinds) & set(LENGTH_DEPENDENT)) and not self.args.torch_compile
        self._trims_left = any(name.endswith("rotary_emb") for name, _ in model.named_modules())
        self._passes: list[Pass] = []

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if not self.model.training or self._buffered_inputs is before or self._buffered_inputs is None:
            return inputs
        if self._keeps_order(self._buffered_inputs[0]):
            return inputs
        block = math.gcd(self.args.gradient_accumulation_steps, self.args.steps_per_generation)
        self._buffered_inputs = by_length(self._buffered_inputs, block)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _keeps_order(self, part: Batch) -> bool:
        composed = (
            getattr(self.args, "loss_type", None) in COMPOSED or getattr(self.args, "top_entropy_quantile", 1) < 1
        )
        return composed or self.aux_loss_enabled or "pixel_values" in part or not self._trims

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **pictures: Any,
    ) -> Any:
        score = super()._get_per_token_logps_and_entropies
        rows_B = torch.arange(len(input_ids), device=input_ids.device)
        size = batch_size or max(len(rows_B), 1)
        if not self._trims or compute_aux_loss or any(part is not None for part in pictures.values()):
            self._passes = [Pass(rows, logits_to_keep) for rows in rows_B.split(size)]
            return score(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size=batch_size,
                compute_entropy=compute_entropy,
                compute_aux_loss=compute_aux_loss,
                **pictures,
            )
        left_B, kept_B = extents(attention_mask, logits_to_keep)
        if size < len(rows_B):
            rows_B = torch.argsort(kept_B - left_B, stable=True)
        prompt = input_ids.shape[1] - logits_to_keep
        self._passes, scored = [], []
        for rows in rows_B.split(size):
            left, kept = self._span(left_B[rows], kept_B[rows], logits_to_keep)
            self._passes.append(Pass(rows, kept))
            seen = slice(left, prompt + kept)
            logps, entropies, _ = score(
                model, input_ids[rows, seen], attention_mask[rows, seen], kept, compute_entropy=compute_entropy
            )
            scored.append((_widened(logps, logits_to_keep), _widened(entropies, logits_to_keep)))
        back = torch.argsort(rows_B)
        logps_BT, entropies_BT = (
            None if parts[0] is None else torch.cat(parts)[back] for parts in zip(*scored, strict=True)
        )
        return logps_BT, entropies_BT, None

    def _span(self, left_B: torch.Tensor, kept_B: torch.Tensor, completion: int) -> tuple[int, int]:
        """The first column of some rows, and how many of their completions', in the multiples that TRL pads to."""
        left = int(left_B.min()) if self._trims_left else 0
        kept = max(int(kept_B.max()), 1)
        multiple = self.args.pad_to_multiple_of or 1
        return left // multiple * multiple, min(-(-kept // multiple) * multiple, completion)


def _widened(values_BK: torch.Tensor | None, width: int) -> torch.Tensor | None:
    """Values (B, K) with zeros up to a width; None as it is."""
    return None if values_BK is None else pad(values_BK, (0, width - values_BK.shape[1]))
