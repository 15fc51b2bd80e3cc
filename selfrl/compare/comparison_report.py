"""Table and plot of a comparison."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console
from scipy.stats import t

from selfrl.compare.fates import FATES_HEAD, fate_rows, fates_note
from selfrl.compare.result_text import result_text
from selfrl.files import write_whole
from selfrl.tables import markdown_table, percent, wrapping_table

HEAD = [
    "arm",
    "start",
    "best (step)",
    "end",
    "change",
    "worst seed",
    "maj start → end",
    "no answer",
    "labels start → end",
]
PAIRED_HEAD = ["end of one − end of another", "points", "95 % over seeds"]


def table_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row an arm, means over seeds; accuracies in percent, changes in points, the arm that ends best first.

    Start and end are those of the final measure, if there is one; the best point is the curve's.
    """
    arms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        arms[result["arm"]].append(result)

    def row(name: str, runs: list[dict[str, Any]]) -> list[str]:
        curve = mean_curve([[(point["step"], point["avg"]) for point in run["curve"]] for run in runs])
        best_step, best = max(curve, key=lambda point: point[1])
        starts, ends = zip(*map(ends_of, runs), strict=True)
        changes = [end["avg"] - start["avg"] for start, end in zip(starts, ends, strict=True)]
        labels = mean_curve([run["labels"] for run in runs])
        return [
            name,
            percent(_mean(starts, "avg")),
            f"{percent(best)} ({best_step})",
            percent(_mean(ends, "avg")),
            f"{100 * statistics.mean(changes):+.1f}",
            f"{100 * min(changes):+.1f}",
            f"{percent(_mean(starts, 'maj'))} → {percent(_mean(ends, 'maj'))}",
            percent(_mean(ends, "no_answer")),
            f"{100 * labels[0][1]:.0f} → {100 * labels[-1][1]:.0f}" if labels else "",
        ]

    ordered = sorted(arms.items(), key=lambda arm: -_mean([ends_of(run)[1] for run in arm[1]], "avg"))
    return [row(name, runs) for name, runs in ordered]


def differences(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Each pair of arms by what one ends above the other: mean over the seeds that both have, and its 95 % interval.

    The interval is Student's, of the differences of runs with one seed. Pairs with fewer than two such seeds have none.

    >>> runs = [{"arm": a, "seed": s, "ends": [], "curve": [{"avg": v}]} for a, s, v in
    ...         [("a", 0, 0.5), ("a", 1, 0.6), ("b", 0, 0.4), ("b", 1, 0.45)]]
    >>> differences(runs)
    [['a − b', '+12.5', '-19.3 to +44.3']]
    """
    ends: dict[str, dict[int, float]] = defaultdict(dict)
    for result in results:
        ends[result["arm"]][result["seed"]] = 100 * ends_of(result)[1]["avg"]
    rows = []
    for one, two in combinations(sorted(ends, key=lambda arm: -statistics.mean(ends[arm].values())), 2):
        points = [ends[one][seed] - ends[two][seed] for seed in sorted(ends[one].keys() & ends[two].keys())]
        if len(points) > 1:
            half = float(t.ppf(0.975, len(points) - 1)) * statistics.stdev(points) / len(points) ** 0.5
            mean = statistics.mean(points)
            rows.append([f"{one} − {two}", f"{mean:+.1f}", f"{mean - half:+.1f} to {mean + half:+.1f}"])
    return rows


def ends_of(result: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores of a run's start and end: by the final measure, or else the ends of its curve."""
    points = result["ends"] or result["curve"]
    return points[0], points[-1]


def _mean(points: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.mean(point[key] for point in points)


def mean_curve(curves: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Mean over curves at the steps that all of them have.

    >>> mean_curve([[(0, 1.0), (5, 0.0)], [(0, 0.0)]])
    [(0, 0.5)]
    """
    values: dict[int, list[float]] = defaultdict(list)
    for curve in curves:
        for step, value in curve:
            values[step].append(value)
    return [(step, statistics.mean(v)) for step, v in sorted(values.items()) if len(v) == len(curves)]


def write_report(
    out: Path, command: str, results: Sequence[dict[str, Any]], console: Console, failed: Sequence[str] = ()
) -> None:
    """Print the tables, and write `report.md`, `results.json` and `comparison.png` into `out`.

    Args:
        out: the folder.
        command: that printed it.
        results: of the finished runs.
        console: where to print.
        failed: a sentence for every run that is missing.
    """
    rows = table_rows(results)
    note = f"{_note(results)} Printed by `{command}`."
    console.print(wrapping_table(HEAD, rows))
    console.print(note)
    paired = differences(results)
    if paired:
        console.print(wrapping_table(PAIRED_HEAD, paired))
    arms = [row[0] for row in rows]
    became = fate_rows(results, arms)
    if became:
        console.print(wrapping_table(FATES_HEAD, became))
        console.print(fates_note(results))
    lines = ["# Comparison", "", note, *(f"\n{sentence}" for sentence in failed), "", *markdown_table(HEAD, rows)]
    lines += ["", *markdown_table(PAIRED_HEAD, paired)] if paired else []
    lines += ["", fates_note(results), "", *markdown_table(FATES_HEAD, became)] if became else []
    lines += ["", "![accuracy and pseudo-labels against the step](comparison.png)", ""]
    lines += ["Each run's folder holds its recipe, `log.txt`, `metrics.jsonl`, and what the recipe has it save.", ""]
    write_whole(out / "report.md", "\n".join(lines))
    write_whole(out / "results.json", result_text({"command": command, "runs": results}))
    plot(out / "comparison.png", results, arms)
    console.print(f"Report: {out / 'report.md'}, plot: {out / 'comparison.png'}", soft_wrap=True)


def _note(results: Sequence[dict[str, Any]]) -> str:
    """What was measured."""
    first, point = ends_of(results[0])[0], results[0]["curve"][0]
    seeds = sorted({result["seed"] for result in results})
    over = f"means over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    best = f"; the best of a curve of {point['questions']} x {point['n']}" if results[0]["ends"] else ""
    return (
        f"Held-out avg@{first['n']} in percent, {first['questions']} questions x {first['n']} samples, {over}; "
        f"95 % of one start {percent(first['low'])}–{percent(first['high'])}{best}. "
        "The majority of the start's answers (maj) is what sharpening alone would give."
    )


def plot(path: Path, results: Sequence[dict[str, Any]], arms: Sequence[str]) -> None:
    """Held-out accuracy and pseudo-label accuracy against the step: mean over seeds, and their range."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained", sharey=True)
    colours = plt.get_cmap("tab10")
    for i, arm in enumerate(arms):
        runs = [result for result in results if result["arm"] == arm]
        curves = (
            [[(point["step"], point["avg"]) for point in run["curve"]] for run in runs],
            [run["labels"] for run in runs],
        )
        for axis, several in zip(axes, curves, strict=True):
            steps = [step for step, _ in mean_curve(several)]
            if not steps:
                continue
            tables = [dict(curve) for curve in several]
            axis.plot(*zip(*mean_curve(several), strict=True), color=colours(i % 10), label=arm)
            low, high = ([pick(t[step] for t in tables) for step in steps] for pick in (min, max))
            axis.fill_between(steps, low, high, color=colours(i % 10), alpha=0.12)
    axes[0].set(xlabel="step", ylabel="held-out accuracy", ylim=(0, 1))
    axes[1].set(xlabel="step", ylabel="pseudo-label accuracy (training batch)")
    for axis in axes:
        axis.grid(alpha=0.3)
    labelled = int(bool(axes[1].get_lines()))
    axes[labelled].legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
