"""What selfrl's GRPO and RLOO trainers add to TRL's: paired views, and fewer trained than voted completions."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import Sampler

from selfrl.data.pairs import pair_rows
from selfrl.generation.vllm_cpu import prepare_vllm_on_cpu
from selfrl.trainers.checks import check_dataset, check_enough_pairs, check_train_count, check_whole_pairs
from selfrl.trainers.prompt_source import PairedRepeatSampler


@dataclass
class VotingConfig:
    """What selfrl adds to TRL's configurations.

    Args:
        num_generations_train: how many of a group's `num_generations` completions are trained on; all vote.
            Default: all.
    """

    num_generations_train: int | None = field(
        default=None,
        metadata={"help": "Completions of a group that are trained on; all num_generations vote. Default: all."},
    )


class VotingGroups:
    """Mixin over a TRL group trainer.

    - **Paired views** (Co-rewarding I, 2508.00410): rows with `pair_id` and `view` are sampled so that both views of
      a prompt meet in one generation batch, each with its own group of `num_generations` completions. Advantages are
      normalised within each group, hence separately per view, and the loss is the *sum* of both views' losses: TRL
      averages over all completions, which is half that sum, so it is doubled. (With a loss type that divides by the
      batch's token count, "dapo" or "bnpo", the views weigh by their tokens; the presets use "grpo".)
    - **Vote count and train count** (TTRL, 2504.16084: 64 votes, 32 trained): rewards see all `num_generations`
      completions of a group, the loss only its first `num_generations_train`, and so does the baseline.
    """

    args: Any
    accelerator: Any
    model: Any
    train_dataset: Any
    num_generations: int
    num_generations_eval: int
    num_iterations: int
    shuffle_dataset: bool

    def __init__(
        self,
        model: Any,
        reward_funcs: Any,
        args: Any,
        train_dataset: Any,
        eval_dataset: Any = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        rewards = list(reward_funcs) if isinstance(reward_funcs, list | tuple) else [reward_funcs]
        eval_sets = eval_dataset if isinstance(eval_dataset, dict) else {"eval_dataset": eval_dataset}
        check_dataset(train_dataset, rewards)
        for role, dataset in eval_sets.items():
            if dataset is not None:
                check_dataset(dataset, rewards, role)
                if _is_paired(dataset) and args.eval_strategy != "no":
                    rows = args.per_device_eval_batch_size * args.world_size
                    check_whole_pairs(
                        rows // (args.num_generations_eval or args.num_generations), "An evaluation batch"
                    )
                    pair_rows(dataset)
        if _is_paired(train_dataset):
            prompts = args.generation_batch_size // args.num_generations
            check_whole_pairs(prompts, "A generation batch")
            check_enough_pairs(prompts // 2, len(pair_rows(train_dataset)))
        if args.num_generations_train is not None:
            check_train_count(
                args.num_generations_train,
                args.num_generations,
                args.per_device_train_batch_size * args.steps_per_generation,
                args.steps_per_generation,
            )
        if args.use_vllm and args.vllm_mode == "colocate" and not torch.cuda.is_available():
            prepare_vllm_on_cpu()
        for module in ("grpo_trainer", "rloo_trainer"):
            logging.getLogger(f"trl.trainer.{module}").addFilter(_not_an_abstention)
        super().__init__(model, rewards, args, train_dataset, eval_dataset, *rest, **options)  # type: ignore[call-arg]

    def _get_train_sampler(self, dataset: Any = None) -> Sampler:
        dataset = self.train_dataset if dataset is None else dataset
        if not _is_paired(dataset):
            return super()._get_train_sampler(dataset)  # type: ignore[misc]
        return PairedRepeatSampler(
            pair_rows(dataset),
            group_size=self.num_generations,
            pairs_per_batch=self.args.generation_batch_size // self.num_generations // 2,
            repeat_count=self.num_iterations * self.args.steps_per_generation,
            shuffle=self.shuffle_dataset,
            seed=self.args.seed,
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler:
        if not _is_paired(eval_dataset):
            return super()._get_eval_sampler(eval_dataset)  # type: ignore[misc]
        return PairedRepeatSampler(pair_rows(eval_dataset), group_size=self.num_generations_eval, seed=self.args.seed)

    def compute_loss(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's loss, summed over views instead of averaged."""
        views = 2 if _is_paired(self.train_dataset) else 1
        return views * super().compute_loss(*args, **kwargs)  # type: ignore[misc]

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards_per_func = super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]
        if self._drops_votes:
            # NaN is TRL's mark for a completion that stays out of the baseline.
            rewards_per_func[~self._trained(len(rewards_per_func), rewards_per_func.device)] = torch.nan
        return rewards_per_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if not self._drops_votes:
            return output
        if "num_images" in output:
            raise ValueError("num_generations_train does not work with images yet: leave it unset.")
        keep = self._trained(len(inputs), output["completion_ids"].device)
        output = {
            key: value[keep] if isinstance(value, torch.Tensor) and value.ndim > 0 else value
            for key, value in output.items()
        }
        if "num_items_in_batch" in output:
            mask = output["completion_mask"] * output.get("tool_mask", 1)
            output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        return output

    @property
    def _drops_votes(self) -> bool:
        return self.model.training and self.args.num_generations_train is not None

    def _trained(self, rows: int, device: torch.device) -> torch.Tensor:
        """Which of `rows` completions in whole groups are trained on, (rows,) bool."""
        return torch.arange(rows, device=device) % self.num_generations < self.args.num_generations_train


def _is_paired(dataset: Any) -> bool:
    return "pair_id" in (dataset.column_names or ())


def _not_an_abstention(record: logging.LogRecord) -> bool:
    """Drop TRL's warning, with the whole row in it, for each batch where a reward abstains: groups without a label
    are normal here, and their share is logged as `labelled`."""
    return "All reward functions returned None" not in record.getMessage()
