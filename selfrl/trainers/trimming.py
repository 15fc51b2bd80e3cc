"""No padding computed: a pass of the model sees the columns that hold a token of its rows.

TRL pads every micro-batch to the widest row of its whole generation batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad

from selfrl.trainers.trl_surface import GroupTrainer, Setup

# Their frequencies depend on how long the input is, so that a column less would change the others.
LENGTH_DEPENDENT = ("dynamic", "longrope")


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


class Trimming(GroupTrainer):
    """Mixin over a TRL group trainer: neither scoring nor the loss computes columns that hold padding alone.

    Exact: a causal model's tokens do not see what comes after them, and rotary positions are relative. Left as TRL has
    it are rows with pictures, mixtures of experts whose router loss counts columns, compiled models (every shape is
    compiled anew), and rotary positions that depend on the length. Models with other positions keep the padding before
    their prompts.
    """

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        model = self.accelerator.unwrap_model(self.model)
        parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
        kinds = [str(part.get("rope_type")) for part in (parameters, *parameters.values()) if isinstance(part, dict)]
        self._trims = not (set(kinds) & set(LENGTH_DEPENDENT)) and not self.args.torch_compile
        self._trims_left = any(name.endswith("rotary_emb") for name, _ in model.named_modules())
        self._passes: list[Pass] = []

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
