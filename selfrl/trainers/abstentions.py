"""Abstentions that TRL would misread."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl.trainer.utils import nanstd

from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows

_LOGGERS = tuple(logging.getLogger(f"trl.trainer.{name}") for name in ("grpo_trainer", "rloo_trainer"))


class Abstentions(GroupTrainer):
    """Mixin over a TRL group trainer for rewards that abstain.

    - **A reward of weight 0 is watched**: a completion that no other reward scores stays out of the baseline, though a
      watched one has a value for it. What is watched is logged as it is.
    - TRL warns, with the whole row in it, whenever no reward scores a completion. Where every reward abstains by
      design (`abstains`, see [`selfrl.rewards.contract`]) that is normal, and its share is logged.
    """

    _watched: torch.Tensor | None = None

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        with _quiet(all(getattr(reward, "abstains", False) for reward in self.reward_funcs)):
            rewards_NF = super()._calculate_rewards(*args, **kwargs)
        watched_F = (self.reward_weights == 0).to(rewards_NF.device)
        self._watched = None
        if watched_F.any() and not watched_F.all():
            self._watched = rewards_NF
            unscored_N = rewards_NF[:, ~watched_F].isnan().all(1)
            rewards_NF = rewards_NF.masked_fill(unscored_N.unsqueeze(1) & watched_F, torch.nan)
        return rewards_NF

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if self._watched is not None:
            self._log_watched(self._watched)
        return output

    def _log_watched(self, rewards_NF: torch.Tensor) -> None:
        """Put the watched rewards' own figures in the place of those that TRL has just logged."""
        metrics = self._metrics["train" if self.model.training else "eval"]
        for i, name in enumerate(self.reward_func_names):
            if self.reward_weights[i] != 0:
                continue
            values_N = rewards_NF[:, i]
            metrics[f"rewards/{name}/mean"][-1] = values_N.nanmean().item()
            metrics[f"rewards/{name}/std"][-1] = nanstd(values_N).item()
            table = self._logs["rewards"][name]
            for _ in range(min(len(values_N), len(table))):
                table.pop()
            table.extend(values_N.tolist())


@contextmanager
def _quiet(by_design: bool) -> Iterator[None]:
    """Drop TRL's warning about completions without a reward while this is open, if they are normal."""
    if by_design:
        for logger in _LOGGERS:
            logger.addFilter(_not_an_abstention)
    try:
        yield
    finally:
        for logger in _LOGGERS:
            logger.removeFilter(_not_an_abstention)


def _not_an_abstention(record: logging.LogRecord) -> bool:
    return "All reward functions returned None" not in record.getMessage()
