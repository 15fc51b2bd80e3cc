"""Reinforcement learning by self-confidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from selfrl.shaping.sequence_confidence import SequenceConfidence
from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer
from selfrl.trainers.own_loss import OwnLoss
from selfrl.trainers.trl_surface import Batch, Setup


@dataclass
class RLSCConfig(GRPOConfig):
    """[`GRPOConfig`] with the settings of self-confidence (RLSC, 2506.06395).

    Of GRPO's own settings those of its advantages, clipping, entropy and `loss_type` have no effect.

    Args:
        length_normalised: weigh completions by their probability a token, not as a whole.
        smoothing: α, added to each weight.

    Raises:
        ValueError: for a smoothing below 0, or a KL coefficient, which the method has no term for.
    """

    length_normalised: bool = field(default=False, metadata={"help": "Weigh completions by probability a token."})
    smoothing: float = field(default=0.0, metadata={"help": "Added to each weight."})

    def __post_init__(self) -> None:
        SequenceConfidence(self.length_normalised, self.smoothing)
        if self.beta != 0:
            raise ValueError(f"beta is {self.beta}: RLSC has no KL term, so leave it at 0.")
        super().__post_init__()


class RLSCTrainer(OwnLoss, GRPOTrainer):
    r"""Self-confidence (RLSC, 2506.06395): the policy learns its own completions by how probable they were.

    It maximises E_{y ~ p_old} p_θ(y) over the completions y_1..y_G of each prompt:

        L = −mean over prompts of Σ_i w_i log p_θ(y_i),   w_i = p_old(y_i) / Σ_j p_old(y_j) (+ α),

    with p_old, the policy that wrote them, held fixed. All in the log domain, as p_old(y) of a whole completion
    underflows. There is no reward in it, no negative and no baseline, so it only sharpens: 10 to 20 steps in the paper.
    Rewards are watched; at least one is needed, as everywhere in TRL.

    Raises:
        ValueError: like [`GRPOTrainer`]; for another configuration than [`RLSCConfig`], or shapers beside its own.
    """

    config_class = RLSCConfig

    def _check(self, setup: Setup) -> None:
        if not isinstance(setup.args, RLSCConfig):
            raise ValueError(
                f"RLSCTrainer has a {type(setup.args).__name__} as args: give it a selfrl.trainers.RLSCConfig."
            )
        if setup.shapers:
            raise ValueError("RLSC weighs completions itself: drop `shaping`, or take GRPO.")
        setup.shapers = [SequenceConfidence(setup.args.length_normalised, setup.args.smoothing)]
        super()._check(setup)

    def _compute_loss(self, model: Any, inputs: Batch) -> torch.Tensor:
        mask_BT = inputs["completion_mask"] * inputs.get("tool_mask", 1)
        logps_BT, entropies_BT, router_loss = self._forward(model, inputs)
        log_probs_B = (logps_BT * mask_BT).sum(1)
        prompts = len(mask_BT) / self._train_count
        loss = -(inputs["advantages"] * log_probs_B).sum() / prompts / self._accumulation
        loss = self._with_router_loss(loss, router_loss)
        total = self._summed({"entropy": (entropies_BT * mask_BT).sum(), "tokens": mask_BT.sum()})
        self._log("entropy", total["entropy"] / max(total["tokens"], 1))
        return loss
