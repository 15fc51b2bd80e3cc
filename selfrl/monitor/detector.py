"""Watches figures step by step for the moment at which they leave what they used to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from selfrl.monitor.change_detection import Baseline, baseline, cusum, standardised
from selfrl.monitor.watched_figures import WATCHED, Bound, Watched


@dataclass
class Track:
    """What is remembered of one watched figure.

    Args:
        window: values on its scale, until the baseline is frozen.
        base: the baseline; None before.
        last: the value before.
        total: S.
        since: the step after which S was last 0.
        quiet: whether an alarm was given that S has not come back from.
    """

    window: list[float] = field(default_factory=list)
    base: Baseline | None = None
    last: float = 0.0
    total: float = 0.0
    since: int = 0
    quiet: bool = False


@dataclass
class Crossing:
    """What is remembered of one bound.

    Args:
        times: how often in a row it was broken.
        calm: the last step at which nothing had begun.
        quiet: whether an alarm was given that the figure has not come back from.
    """

    times: int = 0
    calm: int = 0
    quiet: bool = False


class Alarm(NamedTuple):
    """Figures that left their band.

    Args:
        step: of the alarm.
        rule: "one" figure beyond the single limit, "two" at once beyond the joint one, or a "bound" that was broken.
        figures: their labels.
        change_point: the last step at which nothing had begun to move.
        words: what left which band when, and what it usually means.
    """

    step: int
    rule: str
    figures: tuple[str, ...]
    change_point: int
    words: str


class Limits(NamedTuple):
    """When a sum is too large.

    Args:
        single: h for any figure alone.
        joint: h for two figures at once.
        slack: k, in units of the baseline's spread.
        window: W, observations that make the baseline.
        bounds: absolute limits.
    """

    single: float
    joint: float
    slack: float
    window: int
    bounds: tuple[Bound, ...]


class Detector:
    """Sums of what lies beyond a frozen baseline, one a figure (CUSUM), and absolute limits.

    The first W observations make each figure's baseline: robust center and spread of the values, whitened by their
    lag-1 correlation. From then on S_t = max(0, S_{t−1} + z_t − k), with z clipped to ±4 and its sign such that
    collapse is positive. It is an alarm if any S is above the single limit, or two at once are above the joint one, or
    a bound is broken several times in a row. A figure is silent after its alarm until it has come back.

    Args:
        limits: when a sum is too large.
        watched: figures, and the direction that is bad.

    Example:
        >>> calm = Limits(7.9, 4.6, slack=1.0, window=4, bounds=())
        >>> detector = Detector(calm, [Watched("x", 1, "plain", 0.1, "it rises")])
        >>> alarms = [detector.observe(step, {"x": x}, {}) for step, x in enumerate([0.0, 0.1, 0.0, 0.1, 0.0, 9, 9, 9])]
        >>> [(alarm.step, alarm.change_point) for found in alarms for alarm in found]
        [(7, 4)]
    """

    def __init__(self, limits: Limits, watched: Sequence[Watched] = WATCHED) -> None:
        self.limits, self.watched = limits, tuple(watched)
        self.tracks = {one.label: Track() for one in self.watched}
        self.crossings = {bound.name: Crossing() for bound in limits.bounds}

    def observe(self, step: int, figures: Mapping[str, float], counts: Mapping[str, int]) -> list[Alarm]:
        """Take one batch's figures in.

        Args:
            step: optimizer steps made.
            figures: by name; those that are not there are passed over.
            counts: how many "completions" and "groups" shares are of.
        """
        for one in self.watched:
            value = one.scaled(figures, counts)
            if value is not None:
                self._follow(self.tracks[one.label], step, value, one.floor)
        return [*self._summed(step), *self._bounded(step, figures, counts)]

    def _follow(self, track: Track, step: int, value: float, floor: float) -> None:
        if track.base is None:
            track.window.append(value)
            if len(track.window) == self.limits.window:
                track.base, track.window = baseline(track.window, floor), []
                track.since = step
        else:
            track.total = cusum(track.total, standardised(value, track.last, track.base), self.limits.slack)
            if track.total == 0:
                track.since, track.quiet = step, False
        track.last = value

    def _summed(self, step: int) -> list[Alarm]:
        loud = {one: self.tracks[one.label] for one in self.watched if not self.tracks[one.label].quiet}
        alone = [one for one, track in loud.items() if track.total > self.limits.single]
        together = [one for one, track in loud.items() if track.total > self.limits.joint]
        rule, left = ("one", alone) if alone else ("two", together if len(together) > 1 else [])
        if not left:
            return []
        for one in left:
            loud[one].quiet = True
        change = min(loud[one].since for one in left)
        told = "; ".join(
            f"{one.label} has left its band since step {loud[one].since} (S {loud[one].total:.1f}): {one.meaning}"
            for one in left
        )
        return [Alarm(step, rule, tuple(one.label for one in left), change, f"{told}.")]

    def _bounded(self, step: int, figures: Mapping[str, float], counts: Mapping[str, int]) -> list[Alarm]:
        alarms = []
        for bound in self.limits.bounds:
            value = figures.get(bound.name)
            if value is None or (bound.groups and counts["groups"] < bound.groups):
                continue
            crossing = self.crossings[bound.name]
            crossing.times = crossing.times + 1 if bound.broken(value) else 0
            if bound.is_calm(value):
                crossing.calm, crossing.quiet = step, False
            if crossing.times >= bound.repeats and not crossing.quiet:
                crossing.quiet = True
                side = "above" if bound.sign > 0 else "below"
                words = f"{bound.name} is {value:.3g}, {side} {bound.limit:g}: {bound.meaning}."
                alarms.append(Alarm(step, "bound", (bound.name,), crossing.calm, words))
        return alarms

    @property
    def largest_sum(self) -> float:
        """The largest S of all figures."""
        return max(track.total for track in self.tracks.values())

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "tracks": {name: asdict(track) for name, track in self.tracks.items()},
            "crossings": {name: asdict(crossing) for name, crossing in self.crossings.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for name, values in state["tracks"].items():
            base = values["base"]
            self.tracks[name] = Track(**{**values, "base": None if base is None else Baseline(*base)})
        self.crossings = {name: Crossing(**values) for name, values in state["crossings"].items()}
