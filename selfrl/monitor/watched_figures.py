"""Which figures a guard watches, in which direction each moves in a collapse, and what that usually means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

Scale = Literal["completions", "groups", "log", "plain"]


class Watched(NamedTuple):
    """A figure, and the direction that is bad.

    Args:
        name: of the figure.
        sign: 1 if it rises in a collapse, −1 if it falls.
        scale: a share of "completions" or "groups" is taken as a logit, a "log" as a logarithm, a "plain" as it is.
        floor: least spread of a baseline, on that scale.
        meaning: what it usually is, in words.
    """

    name: str
    sign: int
    scale: Scale
    floor: float
    meaning: str

    @property
    def label(self) -> str:
        """Its name with the direction."""
        return f"{self.name} {'up' if self.sign > 0 else 'down'}"

    def scaled(self, figures: Mapping[str, float], counts: Mapping[str, int]) -> float | None:
        """The figure on its scale, so that a collapse raises it; None if it is not there.

        Shares become logits of counts with a half added to both sides, so that 0 and 1 are finite.

        >>> watched = Watched("truncated", 1, "completions", 0.1, "")
        >>> round(watched.scaled({"truncated": 0.25}, {"completions": 8}), 4), watched.scaled({}, {})
        (-0.9555, None)
        """
        value = figures.get(self.name)
        if value is None or not math.isfinite(value):
            return None
        if self.scale == "log":
            return self.sign * math.log(max(value, 1e-6))
        if self.scale == "plain":
            return self.sign * value
        count = counts[self.scale]
        return self.sign * math.log((count * value + 0.5) / (count * (1 - value) + 0.5))


class Bound(NamedTuple):
    """An absolute limit of a figure.

    Args:
        name: of the figure.
        sign: 1 for a most, −1 for a least.
        limit: beyond it is an alarm.
        calm: up to here nothing has begun.
        repeats: how often in a row it must be broken.
        meaning: what it usually is, in words.
        groups: fewest groups in a batch of which it means something.
    """

    name: str
    sign: int
    limit: float
    calm: float
    repeats: int
    meaning: str
    groups: int = 0

    def broken(self, value: float) -> bool:
        """Whether a figure lies beyond it.

        >>> Bound("truncated", 1, 0.5, 0.1, 3, "").broken(0.6), Bound("length", -1, 0.2, 0.5, 3, "").broken(0.6)
        (True, False)
        """
        return self.sign * value > self.sign * self.limit

    def is_calm(self, value: float) -> bool:
        """Whether nothing has begun."""
        return self.sign * value <= self.sign * self.calm


WATCHED = (
    Watched("concentration", 1, "completions", 0.1, "one answer is given whatever is asked"),
    Watched("majority_ratio", -1, "completions", 0.1, "the policy agrees less with itself: it unlearns"),
    Watched("no_answer", 1, "completions", 0.1, "completions end without an answer: rambling, or a lost format"),
    Watched("truncated", 1, "completions", 0.1, "completions run into the length limit: repetition or padding"),
    Watched("length", -1, "log", 0.02, "completions shrink: short texts are probable, and votes reward them"),
    Watched("length", 1, "log", 0.02, "completions grow: length is rewarded, or the text repeats itself"),
    Watched("repetition", 1, "plain", 0.005, "completions repeat themselves: a confidence reward is being hacked"),
    Watched("flip_rate", 1, "groups", 0.1, "labels of prompts change from visit to visit: the vote has lost its way"),
)

BOUNDS = (
    Bound("anchors/lost", 1, 0.15, 0.05, 1, "what the policy agreed with itself on at the start is getting unlikely"),
    Bound("truncated", 1, 0.5, 0.25, 3, "most completions run into the length limit"),
    Bound("concentration", 1, 0.3, 0.25, 3, "one answer is given whatever is asked", groups=32),
    Bound("zero_spread", 1, 0.9, 0.8, 10, "hardly a group has two rewards: solved, locked, or a reward never given"),
    Bound("length_against_start", -1, 0.25, 0.5, 3, "completions are a quarter of what they were"),
)
