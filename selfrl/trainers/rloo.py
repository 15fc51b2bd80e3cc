"""REINFORCE leave-one-out for label-free rewards."""

from __future__ import annotations

from dataclasses import dataclass

import trl

from selfrl.trainers.completion_table import CompletionTable
from selfrl.trainers.dynamic_sampling import SamplingConfig
from selfrl.trainers.features import Features


@dataclass
class RLOOConfig(SamplingConfig, trl.RLOOConfig):
    """TRL's `RLOOConfig` with a train count apart from the vote count, and dynamic sampling: [`SamplingConfig`]."""


class RLOOTrainer(Features, CompletionTable, trl.RLOOTrainer):
    """TRL's `RLOOTrainer` for label-free rewards, in its place with the same arguments.

    [`selfrl.trainers.features.Features`] says what it adds.

    Raises:
        ValueError: before a model loads, for an empty data set, a missing column, a pair with one view, or a batch
            that would cut a pair.
    """

    config_class = RLOOConfig
    _kl_in_loss = False  # it is in the reward

    scores_always = True
