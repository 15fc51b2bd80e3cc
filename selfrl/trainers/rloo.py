"""REINFORCE leave-one-out with voting rewards."""

from __future__ import annotations

from dataclasses import dataclass, field

import trl

from selfrl.trainers.groups import VotingGroups


@dataclass
class RLOOConfig(trl.RLOOConfig):
    """TRL's `RLOOConfig` with a separate train count.

    Args:
        num_generations_train: how many of a group's `num_generations` completions are trained on; all vote.
            Default: all.
    """

    num_generations_train: int | None = field(
        default=None,
        metadata={"help": "Completions of a group that are trained on; all num_generations vote. Default: all."},
    )


class RLOOTrainer(VotingGroups, trl.RLOOTrainer):
    """TRL's `RLOOTrainer` for label-free rewards, see [`VotingGroups`] for what it adds.

    Raises:
        ValueError: before a model loads, for an empty data set, a missing column, a pair with one view, or a batch
            that would cut a pair.
    """
