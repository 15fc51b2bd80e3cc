"""What a loss of one's own needs in the place of TRL's: a forward pass, the KL term, the normaliser, sums to log."""

from __future__ import annotations

from typing import Any

import torch

from selfrl.trainers.trl_surface import PICTURES, Batch, GroupTrainer


def kl_to_reference(logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
    """Schulman's k3 estimate of KL(policy‖reference) a token: r − 1 − log r with r = π_ref / π, at least 0.

    Raises:
        ValueError: for shapes that differ.

    Example:
        >>> kl_to_reference(torch.tensor([[0.0, -1.0]]), torch.tensor([[0.0, -2.0]])).round(decimals=4)
        tensor([[0.0000, 0.3679]])
    """
    if logps_BT.shape != ref_logps_BT.shape:
        raise ValueError(
            f"logps {tuple(logps_BT.shape)} and ref_logps {tuple(ref_logps_BT.shape)} must have one shape, (B, T)."
        )
    log_ratio_BT = ref_logps_BT - logps_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1


class OwnLoss(GroupTrainer):
    """Mixin over a TRL group trainer whose `_compute_loss` is its own; losses are already scaled for accumulation."""

    loss_type: str

    def _forward(self, model: Any, inputs: Batch) -> Any:
        """Log-probabilities and entropies of the completions (B, T), and the router's loss."""
        return self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
            inputs["completion_ids"].size(1),
            compute_entropy=True,
            compute_aux_loss=self.aux_loss_enabled,
            **{name: inputs.get(name) for name in PICTURES},
        )

    @property
    def _accumulation(self) -> float:
        return self.current_gradient_accumulation_steps if self.model.training else 1.0

    def _normalizer(self, inputs: Batch, constant: float | None = None) -> Any:
        """What the sum of a micro-batch's token losses is divided by.

        Args:
            inputs: the micro-batch.
            constant: of a whole update; without one "dr_grpo" takes batch x max_completion_length, "dapo" the tokens.
        """
        if constant is not None:
            return constant / self.accelerator.num_processes  # processes' gradients are averaged
        if self.loss_type == "dr_grpo":
            return len(inputs["completion_ids"]) * self.max_completion_length * self._accumulation
        # `num_items_in_batch` spans all processes and the whole generation batch, of which this is one part
        parts = self.args.steps_per_generation if self.model.training else 1
        tokens = inputs["num_items_in_batch"].clamp(min=1) / self.accelerator.num_processes
        return tokens * self._accumulation / parts

    def _with_router_loss(self, loss: torch.Tensor, router_loss: torch.Tensor | None) -> torch.Tensor:
        """The loss with a mixture-of-experts model's load-balancing term."""
        if not self.aux_loss_enabled or router_loss is None:
            return loss
        self._log("aux_loss", self.accelerator.gather_for_metrics(router_loss).mean())
        return loss + self.router_aux_loss_coef * router_loss / self._accumulation

    def _log(self, name: str, value: torch.Tensor | float) -> None:
        self._metrics["train" if self.model.training else "eval"][name].append(float(value))

    def _summed(self, sums: dict[str, torch.Tensor]) -> dict[str, float]:
        """Sums over all processes."""
        totals = self.accelerator.reduce(torch.stack([value.detach().float() for value in sums.values()]))
        return dict(zip(sums, totals.tolist(), strict=True))
