"""Negative-aware fine-tuning."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object

from selfrl.conversation import prompt_id
from selfrl.signals.negative_aware import PROMPT_WEIGHTS, negative_aware_terms
from selfrl.trainers.dynamic_sampling import LEFT_PADDED, check_redrawable, draw_prompts, fill_batch
from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer


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
        dynamic_sampling_rounds: prompts that are answered all right or all wrong teach nothing. Up to that many
            times a batch, draw new prompts in their place; 0 leaves their places empty.

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
    dynamic_sampling_rounds: int = field(
        default=0, metadata={"help": "How often to draw new prompts for those that teach nothing; 0 is never."}
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
        if self.dynamic_sampling_rounds < 0:
            raise ValueError(f"dynamic_sampling_rounds is {self.dynamic_sampling_rounds}: it must be 0 or more.")
        foreign = {
            "use_liger_kernel": self.use_liger_kernel,
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


class NFTTrainer(GRPOTrainer):
    """Negative-aware fine-tuning (NFT, 2505.18116) in the place of GRPO's loss.

    The reward is the label: ground truth, majority vote, contrastive agreement, or any other that is 1 for right
    and 0 for wrong. Several rewards are summed by their weights. A completion whose rewards are all `None` counts
    neither in its prompt's share of right answers nor in the loss; a prompt whose answers are all right, all wrong
    or without label has no loss.

    NFT differs from GRPO only where the policy has moved away from the one that wrote the rollouts: take several
    updates a batch (`steps_per_generation` above `gradient_accumulation_steps`, or `num_iterations` above 1; the
    paper takes 16).

    Logged beside GRPO's metrics, without those of its clipping: `nft/kept_groups` (share of prompts with both right
    and wrong answers, among all that were drawn), `nft/filled` (the same share in the batch that is trained on),
    `nft/rate/…` (shares of prompts by their share of right answers), `nft/ratio_max` and `nft/clamped_negatives`
    (share of the tokens of wrong answers below `clamp_negative`). With dynamic sampling GRPO's own metrics are those
    of the prompts drawn first, and the table of completions holds the rows drawn last, trained on or not.

    Raises:
        ValueError: like [`GRPOTrainer`]; for dynamic sampling from a stream or with images; in training, for a
            reward outside 0 and 1 without `label_threshold`.
    """

    def __init__(
        self, model: Any, reward_funcs: Any, args: NFTConfig, train_dataset: Any, *rest: Any, **options: Any
    ) -> None:
        if args.dynamic_sampling_rounds:
            check_redrawable(train_dataset)
        if args.steps_per_generation * args.num_iterations <= args.gradient_accumulation_steps:
            warnings.warn(
                "One update a batch makes NFT the same as GRPO: raise steps_per_generation above "
                "gradient_accumulation_steps, or num_iterations above 1.",
                stacklevel=2,
            )
        super().__init__(model, reward_funcs, args, train_dataset, *rest, **options)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._rewards_per_func = super()._calculate_rewards(*args, **kwargs)
        return self._rewards_per_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rates: list[torch.Tensor] = []
        batch = self._score_and_label(inputs)
        if self.model.training and self.args.dynamic_sampling_rounds:
            batch = self._fill(batch, inputs)
        for name, share in rate_shares(torch.cat(self._rates)).items():
            self._log(f"nft/{name}", share)
        if self.model.training:
            self._log("nft/filled", self.accelerator.gather(_teaches(batch).float()).mean())
        return batch

    def _score_and_label(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        group = self.num_generations if self.model.training else self.num_generations_eval
        labels_N = labels_of(self._rewards_per_func, self.reward_weights, self.args.label_threshold)
        labels_QG = labels_N.view(-1, group)
        rates_Q = labels_QG.nanmean(1)
        self._rates.append(rates_Q)
        start = self.accelerator.process_index * len(inputs)
        mine = slice(start, start + len(inputs))
        columns = {
            "labels": labels_N[mine],
            "rates": rates_Q.repeat_interleave(group)[mine],
            "group_sizes": (~labels_QG.isnan()).sum(1).repeat_interleave(group)[mine],
        }
        if self._drops_votes:
            trained = self._trained(len(inputs), labels_N.device)
            columns = {name: column[trained] for name, column in columns.items()}
        return output | columns

    def _fill(self, batch: dict[str, Any], inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Draw new prompts for those that teach nothing, on all processes together."""
        processes, me = self.accelerator.num_processes, self.accelerator.process_index
        prompts = {prompt_id(row["prompt"]) for row in inputs}
        seen = set(gather_object(list(prompts)))
        candidates = draw_prompts(self.train_dataset, seen, seed=self._draw_seed)
        # TRL's metrics stay those of the prompts that the sampler chose
        logged = {name: len(values) for name, values in self._metrics["train"].items()}

        def draw(groups: int) -> dict[str, torch.Tensor] | None:
            mine: list[dict[str, Any]] = []
            drawn = 0
            while drawn < groups:
                units = list(itertools.islice(candidates, processes))
                if len(units) < processes:
                    break
                mine += [dict(row) for row in units[me] for _ in range(self.num_generations)]
                drawn += sum(map(len, units))
            return self._gathered(self._score_and_label(mine)) if mine else None

        whole = fill_batch(
            self._gathered(batch),
            draw,
            _teaches,
            group_size=self.args.num_generations_train or self.num_generations,
            rounds=self.args.dynamic_sampling_rounds,
            pad_id=self._tokenizer.pad_token_id,
        )
        for name, values in self._metrics["train"].items():
            del values[logged.get(name, 0) :]
        rows = len(whole["completion_ids"]) // processes
        mask = whole["completion_mask"] * whole.get("tool_mask", 1)
        return {name: value[me * rows : (me + 1) * rows] for name, value in whole.items()} | {
            "num_items_in_batch": mask.sum()
        }

    @property
    def _draw_seed(self) -> tuple[int, int, int]:
        """Another one for each generation batch; the same after a resume."""
        return self.args.seed, self.state.global_step, self._step % self.args.gradient_accumulation_steps

    def _gathered(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The rows of all processes; what is one number for the whole batch is left out."""
        return {
            name: self.accelerator.gather(
                self.accelerator.pad_across_processes(
                    value,
                    dim=1,
                    pad_index=self._tokenizer.pad_token_id if name.endswith("_ids") else 0,
                    pad_first=name in LEFT_PADDED,
                )
            )
            for name, value in batch.items()
            if value.ndim > 0
        }

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        mask_BT = inputs["completion_mask"] * inputs.get("tool_mask", 1)
        logps_BT, entropies_BT, router_loss = self._score(model, inputs)
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
            log_ratio_BT = inputs["ref_per_token_logps"] - logps_BT
            kl_BT = (log_ratio_BT.exp() - log_ratio_BT - 1) * mask_BT
            if self.args.use_bias_correction_kl:
                kl_BT = kl_BT * terms.ratios
            loss_BT = loss_BT + self.beta * kl_BT
            sums["kl"] = kl_BT.sum()
        loss = loss_BT.sum() / self._normalizer(inputs)
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * router_loss / self._accumulation
            self._log("aux_loss", self.accelerator.gather_for_metrics(router_loss).mean())
        negatives_BT = mask_BT * (_teaches(inputs) & (inputs["labels"] < 1)).unsqueeze(1)
        sums |= {"negatives": negatives_BT.sum(), "clamped": (terms.clamped * negatives_BT).sum()}
        self._log_sums(sums, terms.ratios.detach().max())
        return loss

    def _score(self, model: Any, inputs: dict[str, Any]) -> Any:
        """Log-probabilities and entropies of the completions (B, T), and the router's loss."""
        pictures = (
            "pixel_values image_grid_thw num_images pixel_attention_mask spatial_shapes num_tiles image_sizes "
            "token_type_ids mm_token_type_ids image_position_ids"
        )
        return self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
            inputs["completion_ids"].size(1),
            compute_entropy=True,
            compute_aux_loss=self.aux_loss_enabled,
            **{name: inputs.get(name) for name in pictures.split()},
        )

    @property
    def _accumulation(self) -> float:
        return self.current_gradient_accumulation_steps if self.model.training else 1.0

    def _normalizer(self, inputs: dict[str, Any]) -> Any:
        if self.loss_type == "dr_grpo":
            return len(inputs["completion_ids"]) * self.max_completion_length * self._accumulation
        # `num_items_in_batch` spans all processes and the whole generation batch, of which this is one part
        parts = self.args.steps_per_generation if self.model.training else 1
        tokens = inputs["num_items_in_batch"].clamp(min=1) / self.accelerator.num_processes
        return tokens * self._accumulation / parts

    def _log(self, name: str, value: torch.Tensor | float) -> None:
        self._metrics["train" if self.model.training else "eval"][name].append(float(value))

    def _log_sums(self, sums: dict[str, torch.Tensor], ratio_max: torch.Tensor) -> None:
        totals = self.accelerator.reduce(torch.stack([value.detach().float() for value in sums.values()]))
        total = dict(zip(sums, totals.tolist(), strict=True))
        for name in ("entropy", "kl"):
            if name in total:
                self._log(name, total[name] / max(total["tokens"], 1))
        self._log("nft/clamped_negatives", total["clamped"] / max(total["negatives"], 1))
        self._log("nft/ratio_max", self.accelerator.gather(ratio_max).max())


def labels_of(rewards_NF: torch.Tensor, weights_F: torch.Tensor, threshold: float | None = None) -> torch.Tensor:
    """Labels of completions, from the rewards of every reward function.

    Args:
        rewards_NF: rewards, NaN where a function abstains.
        weights_F: weights of the functions; one of weight 0 is only watched.
        threshold: least weighted sum that counts as right; None takes the sum itself as the label.

    Returns:
        (N,) labels, NaN where every function abstains.

    Raises:
        ValueError: without a threshold, for a sum outside 0 and 1.

    Example:
        >>> labels_of(torch.tensor([[1.0], [0.0], [torch.nan]]), torch.ones(1))
        tensor([1., 0., nan])
        >>> labels_of(torch.tensor([[2.0], [-1.0]]), torch.ones(1), threshold=1.0)
        tensor([1., 0.])
    """
    counted = weights_F != 0
    rewards_NF = rewards_NF[:, counted]
    sums_N = (rewards_NF * weights_F[counted].to(rewards_NF.device)).nansum(1)
    # weights of 0.1 and the like sum to a hair beside 1 in float32
    sums_N = sums_N.round(decimals=5).masked_fill(rewards_NF.isnan().all(1), torch.nan)
    if threshold is not None:
        return (sums_N >= threshold).float().masked_fill(sums_N.isnan(), torch.nan)
    outside = (sums_N < 0) | (sums_N > 1)
    if outside.any():
        raise ValueError(
            f"NFT's label must lie between 0 and 1, but a completion's reward is {sums_N[outside][0].item():g}: set "
            "label_threshold to the least reward that counts as right."
        )
    return sums_N


def rate_shares(rates_Q: torch.Tensor) -> dict[str, float]:
    """Shares of prompts, by their share of right answers r (Q,), NaN where no answer has a label.

    Example:
        >>> rate_shares(torch.tensor([0.0, 0.1, 0.5, 1.0]))["kept_groups"]
        0.5
        >>> [name for name, share in rate_shares(torch.tensor([0.0, 0.3])).items() if share]
        ['kept_groups', 'rate/0', 'rate/25-50%']
    """
    shares = {
        "kept_groups": (rates_Q > 0) & (rates_Q < 1),
        "rate/0": rates_Q == 0,
        "rate/0-25%": (rates_Q > 0) & (rates_Q < 0.25),
        "rate/25-50%": (rates_Q >= 0.25) & (rates_Q < 0.5),
        "rate/50-75%": (rates_Q >= 0.5) & (rates_Q < 0.75),
        "rate/75-100%": (rates_Q >= 0.75) & (rates_Q < 1),
        "rate/1": rates_Q == 1,
        "rate/unlabelled": rates_Q.isnan(),
    }
    return {name: member.float().mean().item() for name, member in shares.items()}


def _teaches(batch: dict[str, Any]) -> torch.Tensor:
    return (batch["rates"] > 0) & (batch["rates"] < 1)
