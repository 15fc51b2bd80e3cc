"""Advantages where one policy plays two roles: rewards of proposers and solvers are never normalised together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import Any

DECAY = 0.95


def hierarchical(rewards: Sequence[float], problems: Sequence[Hashable]) -> list[float]:
    """Each reward minus the mean of those of the same problem (`hierarchical_grpo`, prime-rl #3138); 0 for a lone one.

    For solvers the problem is the proposed one, for proposers the group that they proposed in.

    Raises:
        ValueError: for another number of problems.

    Example:
        >>> [round(a, 4) for a in hierarchical([1, 1, 0, 5], ["a", "a", "a", "b"])]
        [0.3333, 0.3333, -0.6667, 0.0]
    """
    if len(rewards) != len(problems):
        raise ValueError(f"{len(rewards)} rewards have {len(problems)} problems: give one for each.")
    groups: dict[Hashable, list[float]] = {}
    for reward, problem in zip(rewards, problems, strict=True):
        groups.setdefault(problem, []).append(reward)
    return [reward - fmean(groups[problem]) for reward, problem in zip(rewards, problems, strict=True)]


class RoleBaselines:
    """A moving mean of the rewards of each game and role (RAE, SPIRAL 2506.24119); starts at 0.

    Args:
        decay: of the baseline; the new reward has the rest.

    Raises:
        ValueError: for a decay outside 0 and 1.

    Example:
        >>> baselines = RoleBaselines()
        >>> [round(baselines.advantage("sums", "solver", reward), 4) for reward in (1, 1, 0)]
        [1.0, 0.95, -0.0975]
    """

    def __init__(self, decay: float = DECAY) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"The baselines' decay is {decay}: it must lie between 0 and 1.")
        self.decay = decay
        self._means: dict[tuple[str, str], float] = {}

    def advantage(self, game: str, role: str, reward: float) -> float:
        """The reward minus the baseline as it was, which then moves."""
        before = self._means.get((game, role), 0.0)
        self._means[game, role] = self.decay * before + (1 - self.decay) * reward
        return reward - before

    def mean(self, game: str, role: str) -> float:
        """The baseline as it is."""
        return self._means.get((game, role), 0.0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"means": [[*key, value] for key, value in self._means.items()]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._means = {(game, role): value for game, role, value in state["means"]}
