"""Advantages by role, where one policy is both proposer and solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from selfrl.checkpoint import Part
from selfrl.distributed import gathered
from selfrl.rewards.reward_sums import weighted_sums
from selfrl.trainers.role_advantages import DECAY, RoleBaselines, hierarchical
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup

ROLE, GAME = "role", "game"
METHODS = ("rae", "hierarchical")


@dataclass
class RoleConfig:
    """How advantages are taken.

    Args:
        role_method: "rae" has a moving mean of the rewards of each game and role (SPIRAL, 2506.24119); "hierarchical"
            the mean of those of the same role and prompt, without a standard deviation.
        role_decay: of the moving mean.

    Raises:
        ValueError: for an unknown method, or a decay outside 0 and 1.
    """

    role_method: str = field(default="rae", metadata={"help": "Baseline of a role: rae or hierarchical."})
    role_decay: float = field(default=DECAY, metadata={"help": "Decay of the moving mean of rae."})

    def __post_init__(self) -> None:
        if self.role_method not in METHODS:
            raise ValueError(f"role_method is {self.role_method!r}: choose {' or '.join(METHODS)}.")
        RoleBaselines(self.role_decay)


class Roles(GroupTrainer):
    """Mixin over a TRL group trainer, with `roles=RoleConfig()`: rewards of two roles are never normalised together.

    Rows say in the column `role` who answers, and in `game` (one for all, if it is not there) what is played. The
    advantages take the place of TRL's, whose scaling of rewards has no part in them. What abstains has the advantage 0
    and moves no baseline. Baselines run over the rows of all processes in their order, are equal on all of them, and
    are in every checkpoint. Logged: `roles/GAME/ROLE`.

    Raises:
        ValueError: before a model loads, for data without `role`, for NFT, whose loss has no advantages, and together
            with a curriculum, dynamic sampling, or an aggregation of normalised rewards.
    """

    _prompt_ids: list[str]

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        if setup.roles is None:
            return
        if hasattr(setup.args, "prompt_weight"):
            raise ValueError("Roles have baselines of advantages, and NFT has none: take GRPO or RLOO.")
        if setup.curriculum is not None:
            raise ValueError("Roles and a curriculum both decide over advantages: drop one of them.")
        if getattr(setup.args, "dynamic_sampling_rounds", 0):
            raise ValueError("A group of equal rewards teaches where roles have baselines: drop dynamic sampling.")
        if getattr(setup.args, "multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
            raise ValueError("Roles take rewards as they are: drop multi_objective_aggregation.")
        if setup.train_dataset is None or ROLE not in (setup.train_dataset.column_names or ()):
            raise ValueError(f"Roles need the column {ROLE!r}: add it to the data, as in proposer and solver.")

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.roles: RoleConfig | None = setup.roles
        self.role_means = RoleBaselines(DECAY if self.roles is None else self.roles.role_decay)
        if self.roles is not None:
            self.checkpoint.register(Part("roles", self.role_means.state, self.role_means.load))

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards_NF = super()._calculate_rewards(*args, **kwargs)
        self._role_sums_N = weighted_sums(rewards_NF, self.reward_weights)
        return rewards_NF

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if self.roles is None or not self.model.training:
            return output
        mine = [(str(row.get(GAME)), str(row[ROLE]), name) for row, name in zip(inputs, self._prompt_ids, strict=True)]
        rows, start = gathered(mine)
        advantages = self._role_advantages(rows, self._role_sums_N.tolist())
        for game, role in dict.fromkeys((game, role) for game, role, _ in rows):
            if self.roles.role_method == "rae":
                self._metrics["train"][f"roles/{game}/{role}"].append(self.role_means.mean(game, role))
        self._set_advantages(output, advantages, start)
        return output

    def _role_advantages(self, rows: list[tuple[str, str, str]], rewards: list[float]) -> list[float]:
        """Of the rows of all processes, in their order; 0 where the reward is NaN."""
        assert self.roles is not None
        scored = [i for i, reward in enumerate(rewards) if reward == reward]
        found = [0.0] * len(rows)
        if self.roles.role_method == "rae":
            for i in scored:
                game, role, _ = rows[i]
                found[i] = self.role_means.advantage(game, role, rewards[i])
        else:
            for i, value in zip(
                scored, hierarchical([rewards[i] for i in scored], [rows[i] for i in scored]), strict=True
            ):
                found[i] = value
        return found
