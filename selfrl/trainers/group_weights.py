"""How much a prompt's group teaches: difficulty x dispersion, after PuzzleCraft's idea (2512.14944)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from selfrl.rewards.proposer import learnability
from selfrl.rewards.vote_rule import count_entropy


def difficulty(rate: float) -> float:
    """4 p (1 − p) of a group's mean reward p: 1 at one half, 0 where all are right or all wrong.

    Raises:
        ValueError: for a rate outside 0 and 1.

    Example:
        >>> difficulty(0.5), difficulty(1.0)
        (1.0, 0.0)
    """
    return learnability(rate)


def dispersion(answers: Sequence[str | None], possible: int) -> float:
    """H(answers) / ln min(G, possible): 1 where a group's answers are spread as far as they can be, 0 where all agree.

    A completion without an answer has no part in H.

    Args:
        answers: of the group's G completions.
        possible: how many answers there are.

    Raises:
        ValueError: for no completions, or no possible answers.

    Example:
        >>> round(dispersion(["90"] * 4 + ["0"] * 2 + ["180", "270"], 4), 4)
        0.875
        >>> dispersion(["90"] * 4 + ["0"] * 4, 4), dispersion(["90"] * 8, 4)
        (0.5, 0.0)
    """
    if not answers or possible < 1:
        raise ValueError("A group needs completions and possible answers, to be spread over them.")
    counts = Counter(answer for answer in answers if answer is not None)
    most = math.log(min(len(answers), possible))
    if most == 0 or len(counts) < 2:
        return 0.0
    return count_entropy(counts.values()) / most


def group_weight(rate: float, answers: Sequence[str | None], possible: int, floor: float = 0.05) -> float:
    """Difficulty x dispersion, or `floor` for a group that has less.

    >>> group_weight(0.5, ["90"] * 4 + ["0"] * 2 + ["180", "270"], 4)
    0.875
    >>> group_weight(1.0, ["90"] * 8, 4)
    0.05
    """
    return max(difficulty(rate) * dispersion(answers, possible), floor)


@dataclass
class Stages:
    """The stage of each task, moved by how its groups of late did.

    Args:
        highest: task → its hardest stage; each begins at 0.
        window: groups that are looked at.
        up: mean reward above which a task goes one stage up.
        down: mean reward, in chances, below which it goes one stage down.

    Attributes:
        changes: (draws made before, stage of each task), the first from the start on.

    Example:
        >>> stages = Stages({"rotation": 2}, window=2)
        >>> stages.add("rotation", 0.9, chance=0.25, drawn=32), stages.add("rotation", 0.8, chance=0.25, drawn=64)
        (False, True)
        >>> stages.at(63), stages.at(64)
        ({'rotation': 0}, {'rotation': 1})
    """

    highest: dict[str, int]
    window: int = 100
    up: float = 0.8
    down: float = 1.3
    changes: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    recent: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.changes:
            self.changes = [(0, dict.fromkeys(self.highest, 0))]

    def at(self, drawn: int) -> dict[str, int]:
        """The stages in force once so many prompts were drawn."""
        return next(stages for start, stages in reversed(self.changes) if start <= drawn)

    @property
    def now(self) -> dict[str, int]:
        """The stages that were decided last."""
        return self.changes[-1][1]

    def add(self, task: str, rate: float, chance: float, drawn: int) -> bool:
        """Count a group of the task's present stage; True if the stage changes for what is drawn from `drawn` on."""
        recent = self.recent.setdefault(task, [])
        recent.append(rate)
        if len(recent) < self.window:
            return False
        mean, stage = fmean(recent), self.now[task]
        del recent[0]
        step = 1 if mean > self.up else -1 if mean < self.down * chance else 0
        moved = min(max(stage + step, 0), self.highest[task])
        if moved == stage:
            return False
        recent.clear()
        self.changes.append((drawn, {**self.now, task: moved}))
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"changes": [list(change) for change in self.changes], "recent": self.recent}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.changes = [(int(drawn), dict(stages)) for drawn, stages in state["changes"]]
        self.recent = {task: list(rates) for task, rates in state["recent"].items()}
