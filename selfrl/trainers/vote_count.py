"""More completions that vote than completions that are trained on: TTRL (2504.16084)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from selfrl.trainers.checks import check_train_count
from selfrl.trainers.row_pictures import picked
from selfrl.trainers.trl_surface import Batch, GroupConfig, GroupTrainer, Rows, Setup


@dataclass
class VotingConfig(GroupConfig):
    """What selfrl adds to TRL's configurations.

    Args:
        num_generations_train: how many of a group's `num_generations` completions are trained on; all vote.
            Default: all.
        num_generations_vote: {"least": …, "most": …}, how many vote for a label: beyond `num_generations` they are
            drawn where it is open, see [`selfrl.trainers.adaptive_votes.AdaptiveVotes`]. Default: the completions.
        lean_rollouts: transformers rollouts read each prompt once and drop rows that have ended, see
            [`selfrl.trainers.lean_rollouts.LeanRollouts`]; off, they are TRL's to the draw.
    """

    num_generations_train: int | None = field(
        default=None,
        metadata={"help": "Completions of a group that are trained on; all num_generations vote. Default: all."},
    )
    num_generations_vote: dict[str, Any] | str | None = field(
        default=None,
        metadata={"help": "Voters of a label, {least: 8, most: 64}: more are drawn where it is open. Default: all."},
    )
    lean_rollouts: bool = field(
        default=True,
        metadata={"help": "Transformers rollouts read each prompt once and drop rows that have ended."},
    )


class VoteCount(GroupTrainer):
    """Mixin over a TRL group trainer: rewards see all `num_generations` completions of a group, the loss and the
    baseline only its first `num_generations_train`.

    Raises:
        ValueError: before a model loads, for a number that the batch cannot be cut to.
    """

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        args = setup.args
        train = getattr(args, "num_generations_train", None)  # TRL's own configurations will do, too
        if train is not None:
            rows = args.per_device_train_batch_size * args.steps_per_generation
            check_train_count(train, args.num_generations, rows, args.steps_per_generation)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards_NF = super()._calculate_rewards(*args, **kwargs)
        if self._drops_votes:
            # NaN is TRL's mark for a completion that stays out of the baseline.
            rewards_NF[~self._trained(len(rewards_NF), rewards_NF.device)] = torch.nan
        return rewards_NF

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if not self._drops_votes:
            return output
        output = picked(output, self._trained(len(inputs), output["completion_ids"].device))
        if "num_items_in_batch" in output:
            mask = output["completion_mask"] * output.get("tool_mask", 1)
            output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        return output

    @property
    def _train_count(self) -> int:
        """Completions of a group that are trained on."""
        return getattr(self.args, "num_generations_train", None) or self.num_generations

    @property
    def _drops_votes(self) -> bool:
        return self.model.training and self._train_count < self.num_generations

    def _trained(self, rows: int, device: torch.device) -> torch.Tensor:
        """Which of `rows` completions in whole groups are trained on, (rows,) bool."""
        return torch.arange(rows, device=device) % self.num_generations < self._train_count
