"""Group relative policy optimisation with voting rewards."""

from __future__ import annotations

from dataclasses import dataclass

import trl

from selfrl.trainers.paired_views import VotingConfig, VotingGroups
from selfrl.trainers.policy import PolicyColumn
from selfrl.trainers.signal_columns import SignalColumns
from selfrl.trainers.system_prompt import SystemPrompt
from selfrl.trainers.teacher import Teacher


@dataclass
class GRPOConfig(VotingConfig, trl.GRPOConfig):
    """TRL's `GRPOConfig` with a train count apart from the vote count, see [`VotingConfig`]."""


class GRPOTrainer(SystemPrompt, VotingGroups, Teacher, PolicyColumn, SignalColumns, trl.GRPOTrainer):
    """TRL's `GRPOTrainer` for label-free rewards.

    [`VotingGroups`], [`SignalColumns`], [`PolicyColumn`], [`SystemPrompt`] and [`Teacher`] say what it adds.

    Raises:
        ValueError: before a model loads, for an empty data set, a missing column, a pair with one view, or a batch
            that would cut a pair.
    """
