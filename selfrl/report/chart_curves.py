"""The curves of some runs, chart by chart; a figure that no run logged makes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from selfrl.report.run_data import Points, RunData

START = "maj@{n} of the start: what sharpening alone gives"


class Figure(NamedTuple):
    """A chart of one figure.

    Args:
        key: of the chart.
        title: above it.
        note: what is drawn.
        names: of the figure; the first that a run logged counts.
        share: whether it lies between 0 and 1.
    """

    key: str
    title: str
    note: str
    names: tuple[str, ...]
    share: bool = False


FIGURES = (
    Figure("labels", "Right labels", "groups whose label is the gold answer", ("labels/label_accuracy",), True),
    Figure("agreement", "Agreement", "majority ratio; p10–p90 shaded", ("groups/majority_ratio",), True),
    Figure("distinct", "Distinct answers", "different answers in a group", ("groups/distinct_answers",)),
    Figure("answers", "Answer entropy", "of a group's answers, nats", ("groups/answer_entropy",)),
    Figure("length", "Length", "tokens a completion", ("groups/length", "completions/mean_length")),
    Figure("entropy", "Token entropy", "nats a token", ("entropy",)),
    Figure("kl", "KL to the reference", "nats a token", ("kl",)),
    Figure("repetition", "Repetition", "share of repeated 4-grams of tokens", ("groups/repetition",)),
    Figure("concentration", "Concentration", "share of a batch's commonest answer", ("groups/concentration",), True),
    Figure("spread", "Groups that teach nothing", "all rewards of the group are equal", ("groups/zero_spread",), True),
    Figure("flips", "Flips", "prompts whose label changed since the last visit", ("groups/flip_rate",), True),
    Figure("relocked", "Re-locked labels", "flipped once, and agreed on again", ("groups/relocked",), True),
    Figure("anchors", "Log-ratio of anchors", "what the start agreed on: now against then", ("anchors/log_ratio",)),
    Figure("rank", "Effective rank", "of hidden states (RankMe)", ("anchors/effective_rank", "effective_rank")),
)


class Curve(NamedTuple):
    """One run's line.

    Args:
        run: its number.
        points: (step, value).
        band: (step, low, high) around them; empty without.
    """

    run: int
    points: Points
    band: list[tuple[int, float, float]] = []  # noqa: RUF012  # never changed


class Level(NamedTuple):
    """A horizontal line: a value, its words, and the run that it belongs to; None for all."""

    value: float
    words: str
    run: int | None


@dataclass(frozen=True)
class Chart:
    """What is drawn together.

    Args:
        key: names it.
        title: above it.
        note: what is drawn.
        curves: by the left axis.
        share: whether that axis goes from 0 to 1.
        beside: by the right axis, dotted.
        levels: horizontal lines.
    """

    key: str
    title: str
    note: str
    curves: list[Curve]
    share: bool = False
    beside: list[Curve] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)


def charts_of(runs: Sequence[RunData]) -> list[Chart]:
    """Every chart that has a curve: reward against accuracy first, one a probe's task."""
    return [*_against_accuracy(runs), *(chart for figure in FIGURES if (chart := _chart(figure, runs)).curves)]


def _chart(figure: Figure, runs: Sequence[RunData]) -> Chart:
    curves = [
        Curve(i, points, _band(run, figure.names)) for i, run in enumerate(runs) if (points := run.curve(*figure.names))
    ]
    return Chart(figure.key, figure.title, figure.note, curves, figure.share)


def _band(run: RunData, names: Iterable[str]) -> list[tuple[int, float, float]]:
    """p10 and p90 of the first figure that has them."""
    for name in names:
        low, high = dict(run.curve(f"{name}/p10")), dict(run.curve(f"{name}/p90"))
        if low:
            return [(step, low[step], high[step]) for step in low if step in high]
    return []


def _against_accuracy(runs: Sequence[RunData]) -> list[Chart]:
    rewards = [Curve(i, points) for i, run in enumerate(runs) if (points := run.curve("reward"))]
    probes = [run.probes() for run in runs]
    tasks = dict.fromkeys(task for probe in probes for task, *_ in probe)
    if not tasks:
        return [Chart("reward", "Reward", "mean reward of a batch", rewards)] if rewards else []
    return [
        Chart(
            f"accuracy {task}",
            f"Reward against accuracy on {task}",
            "held-out avg@n by the left axis; the run's own reward dotted, by the right one",
            _accuracies(task, probes),
            True,
            rewards,
            start_levels(task, probes),
        )
        for task in tasks
    ]


def _accuracies(task: str, probes: Sequence[dict[tuple[str, int, bool, str], Points]]) -> list[Curve]:
    """The probe's curve of each run."""
    return [
        Curve(i, points)
        for i, probe in enumerate(probes)
        for (name, _, final, kind), points in probe.items()
        if name == task and kind == "avg" and not final
    ]


def start_levels(task: str, probes: Sequence[dict[tuple[str, int, bool, str], Points]]) -> list[Level]:
    """maj@n of each run's start, by the final measure if there is one; one line for all runs that have the same."""
    found: dict[int, tuple[int, float]] = {}
    for i, probe in enumerate(probes):
        for (name, n, final, kind), points in probe.items():
            if name == task and kind == "maj" and points[0][0] == 0 and (final or i not in found):
                found[i] = (n, points[0][1])
    levels = []
    for n, value in dict.fromkeys(found.values()):
        same = [i for i, start in found.items() if start == (n, value)]
        whose = f" ({len(same)} runs)" if 1 < len(same) < len(found) else ""
        lone = same[0] if len(same) == 1 < len(found) else None
        levels.append(Level(value, START.format(n=n) + whose, lone))
    return levels
