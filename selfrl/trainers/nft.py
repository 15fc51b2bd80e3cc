"""Negative-aware fine-tuning."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch

from selfrl.signals.negative_aware import PROMPT_WEIGHTS, negative_aware_terms
from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer
from selfrl.trainers.nft_labels import labels_of, rate_shares
from selfrl.trainers.own_loss import OwnLoss, kl_to_reference
from selfrl.trainers.trl_surface import Batch, Rows, Setup


@dataclass
class NFTConfig(GRPOConfig):
    """[`GRPOConfig`] with the settings of negative-aware fine-tuning (NFT, 2505.18116).

    Of GRPO's own settings, `importance_sampling_level` chooses the ratio ("token" or "sequence") and `loss_type` the
    normaliser: "dr_grpo" divides by the constant batch x max_completion_length, "dapo" by the number of tokens.
    `scale_rewards` and the `epsilon`s, which belong to GRPO's advantages and clipping, have no effect.

    Args:
        loss_type: "dr_grpo" or "dapo".
        prompt_weight: "one_minus_rate" (on-policy: GRPO without the deviation), "grpo" (on-policy: GRPO; both for
            labels of 0 and 1 and shares of right answers between 0.02 and 0.98) or "none".
        negative_weight: weight of wrong answers; 0 is rejection-sampling fine-tuning (RFT).
        clamp_positive: floor of a right answer's ratio; 0 is none.
        clamp_negative: floor of the negative policy's ratio.
        label_threshold: the least reward that counts as right. Default: the reward, which must then lie between 0
            and 1, is the label itself, and a value between them a mixture of both branches.
        loss_normalizer: what the sum of an update's token losses, over all its micro-batches and processes, is divided
            by, in the place of what `loss_type` says; the paper's code has 1000.

    Raises:
        ValueError: for a value that these do not take, or a setting of GRPO's loss that NFT has no use for.
    """

    loss_type: str = field(default="dr_grpo", metadata={"help": "Normaliser: dr_grpo (constant) or dapo (tokens)."})
    prompt_weight: str = field(
        default="one_minus_rate", metadata={"help": "Weight of a prompt: one_minus_rate, grpo or none."}
    )
    negative_weight: float = field(default=1.0, metadata={"help": "Weight of wrong answers; 0 is RFT."})
    clamp_positive: float = field(default=0.0, metadata={"help": "Floor of a right answer's ratio; 0 is none."})
    clamp_negative: float = field(default=1.0, metadata={"help": "Floor of the negative policy's ratio."})
    label_threshold: float | None = field(
        default=None, metadata={"help": "Least reward that counts as right. Default: the reward is the label."}
    )
    loss_normalizer: float | None = field(
        default=None, metadata={"help": "Constant that an update's summed token losses are divided by."}
    )

    def __post_init__(self) -> None:
        if self.loss_type not in ("dr_grpo", "dapo"):
            raise ValueError(f"loss_type is {self.loss_type!r}: NFT takes dr_grpo (a constant) or dapo (tokens).")
        if self.prompt_weight not in PROMPT_WEIGHTS:
            raise ValueError(f"prompt_weight is {self.prompt_weight!r}: choose among {', '.join(PROMPT_WEIGHTS)}.")
        if self.negative_weight < 0:
            raise ValueError(f"negative_weight is {self.negative_weight}: it must be 0 or more.")
        if self.clamp_positive < 0:
            raise ValueError(f"clamp_positive is {self.clamp_positive}: it must be 0 (none) or more.")
        if self.clamp_negative <= 0:
            raise ValueError(f"clamp_negative is {self.clamp_negative}: it must be above 0, or the loss diverges.")
        if self.loss_normalizer is not None and self.loss_normalizer <= 0:
            raise ValueError(f"loss_normalizer is {self.loss_normalizer}: it must be above 0.")
        foreign = {
            "delta": self.delta is not None,
            "off_policy_mask_threshold": self.off_policy_mask_threshold is not None,
            "top_entropy_quantile": self.top_entropy_quantile < 1,
            "entropy_coef": self.entropy_coef != 0,
            "use_adaptive_entropy": self.use_adaptive_entropy,
            "multi_objective_aggregation": self.multi_objective_aggregation != "sum_then_normalize",
        }
        for name in (name for name, given in foreign.items() if given):
            raise ValueError(f"{name} belongs to GRPO's loss and has no meaning in NFT: leave it at its default.")
        super().__post_init__()


class NFTTrainer(OwnLoss, GRPOTrainer):
    """Negative-aware fine-tuning (NFT, 2505.18116) in the place of GRPO's loss.

    The reward is the label: ground truth, majority vote, contrastive agreement, or any other that is 1 for right
    and 0 for wrong. Several rewards are summed by their weights. A completion whose rewards are all `None` counts
    neither in its prompt's share of right answers nor in the loss; a prompt whose answers are all right, all wrong
    or without label has no loss, and is what dynamic sampling replaces.

    NFT differs from GRPO only where the policy has moved away from the one that wrote the rollouts: take several
    updates a batch (`steps_per_generation` above `gradient_accumulation_steps`, or `num_iterations` above 1; the
    paper takes 16).

    Logged beside GRPO's metrics, without those of its clipping: `nft/kept_groups` (share of prompts with both right
    and wrong answers, among all that were drawn), `nft/filled` (the same share in the batch that is trained on),
    `nft/rate/…` (shares of prompts by their share of right answers), `nft/ratio_max` and `nft/clamped_negatives`
    (share of the tokens of wrong answers below `clamp_negative`).

    Raises:
        ValueError: like [`GRPOTrainer`]; for another configuration than [`NFTConfig`]; in training, for a reward
            outside 0 and 1 without `label_threshold`.
    """

    config_class = NFTConfig

    def _check(self, setup: Setup) -> None:
        args = setup.args
        if not isinstance(args, NFTConfig):
            raise ValueError(f"NFTTrainer has a {type(args).__name__} as args: give it a selfrl.trainers.NFTConfig.")
        super()._check(setup)
        if args.steps_per_generation * args.num_iterations <= args.gradient_accumulation_steps:
            warnings.warn(
                "One update a batch makes NFT the same as GRPO: raise steps_per_generation above "
                "gradient_accumulation_steps, or num_iterations above 1.",
                stacklevel=2,
            )

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        self._rates: list[torch.Tensor] = []
        batch = super()._generate_and_score_completions(inputs)
        for name, share in rate_shares(torch.cat(self._rates)).items():
            self._log(f"nft/{name}", share)
        if self.model.training:
            self._log("nft/filled", self.accelerator.gather(batch["teaches"].float()).mean())
        return batch

    def _row_columns(self, rewards_NF: torch.Tensor) -> dict[str, torch.Tensor]:
        labels_N = labels_of(rewards_NF, self.reward_weights, self.args.label_threshold)
        labels_QG = labels_N.view(-1, self._group_size)
        rates_Q = labels_QG.nanmean(1)
        self._rates.append(rates_Q)
        rates_N = rates_Q.repeat_interleave(self._group_size)
        return {
            "labels": labels_N,
            "rates": rates_N,
            "group_sizes": (~labels_QG.isnan()).sum(1).repeat_interleave(self._group_size),
            "teaches": (rates_N > 0) & (rates_N < 1),
        }

    def _silent(self, part: Batch) -> torch.Tensor:
        counted_B = (part["labels"] > 0) | ((part["labels"] < 1) & (self.args.negative_weight > 0))
        return ~(part["teaches"] & counted_B & part["completion_mask"].any(1))

    def _compute_loss(self, model: Any, inputs: Batch) -> torch.Tensor:
        mask_BT = inputs["completion_mask"] * inputs.get("tool_mask", 1)
        logps_BT, entropies_BT, router_loss = self._forward(model, inputs)
        old_logps_BT = inputs.get("old_per_token_logps", logps_BT.detach())
        terms = negative_aware_terms(
            logps_BT,
            old_logps_BT,
            mask_BT,
            inputs["labels"],
            inputs["rates"],
            ratio=self.importance_sampling_level,
            prompt_weight=self.args.prompt_weight,
            group_sizes_B=inputs["group_sizes"],
            negative_weight=self.args.negative_weight,
            clamp_positive=self.args.clamp_positive,
            clamp_negative=self.args.clamp_negative,
        )
        # vLLM's own log-probabilities differ from the trainer's, which are the old policy here
        loss_BT = terms.losses * inputs.get("importance_sampling_ratio", 1.0)
        sums = {"entropy": (entropies_BT * mask_BT).sum(), "tokens": mask_BT.sum()}
        if self.beta != 0.0:
            kl_BT = kl_to_reference(logps_BT, inputs["ref_per_token_logps"]) * mask_BT
            if self.args.use_bias_correction_kl:
                kl_BT = kl_BT * terms.ratios
            loss_BT = loss_BT + self.beta * kl_BT
            sums["kl"] = kl_BT.sum()
        loss = loss_BT.sum() / self._normalizer(inputs, self.args.loss_normalizer)
        loss = self._with_router_loss(loss, router_loss)
        negatives_BT = mask_BT * (inputs["teaches"] & (inputs["labels"] < 1)).unsqueeze(1)
        sums |= {"negatives": negatives_BT.sum(), "clamped": (terms.clamped * negatives_BT).sum()}
        total = self._summed(sums)
        for name in ("entropy", "kl"):
            if name in total:
                self._log(name, total[name] / max(total["tokens"], 1))
        self._log("nft/clamped_negatives", total["clamped"] / max(total["negatives"], 1))
        self._log("nft/ratio_max", self.accelerator.gather(terms.ratios.detach().max()).max())
        return loss
