"""Table and plot of a comparison."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from selfrl.tables import markdown_table

HEAD = ["arm", "start", "best (step)", "end", "change", "worst seed", "maj end", "no answer", "labels start → end"]


def table_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row an arm, means over seeds; accuracies in percent, changes in points, the arm that ends best first."""
    arms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        arms[result["arm"]].append(result)

    def row(name: str, runs: list[dict[str, Any]]) -> list[str]:
        curve = mean_curve([[(point["step"], point["avg"]) for point in run["curve"]] for run in runs])
        best_step, best = max(curve, key=lambda point: point[1])
        changes = [run["curve"][-1]["avg"] - run["curve"][0]["avg"] for run in runs]
        labels = mean_curve([run["labels"] for run in runs])
        last = [run["curve"][-1] for run in runs]
        return [
            name,
            f"{100 * curve[0][1]:.1f}",
            f"{100 * best:.1f} ({best_step})",
            f"{100 * curve[-1][1]:.1f}",
            f"{100 * statistics.mean(changes):+.1f}",
            f"{100 * min(changes):+.1f}",
            f"{100 * statistics.mean(point['maj'] for point in last):.1f}",
            f"{100 * statistics.mean(point['no_answer'] for point in last):.1f}",
            f"{100 * labels[0][1]:.0f} → {100 * labels[-1][1]:.0f}" if labels else "",
        ]

    ordered = sorted(arms.items(), key=lambda arm: -statistics.mean(run["curve"][-1]["avg"] for run in arm[1]))
    return [row(name, runs) for name, runs in ordered]


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


def write_report(out: Path, command: str, results: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the table, and write `report.md` and `comparison.png` into `out`."""
    rows = table_rows(results)
    first = results[0]["curve"][0]
    seeds = sorted({result["seed"] for result in results})
    note = (
        f"Held-out avg@{first['n']} in percent on {first['questions']} questions, means over seeds "
        f"{', '.join(map(str, seeds))}; printed by `{command}`"
    )
    table = Table(*HEAD, caption=note)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    lines = ["# Comparison", "", note + ".", "", *markdown_table(HEAD, rows)]
    lines += ["", "![accuracy and pseudo-labels against the step](comparison.png)", ""]
    (out / "report.md").write_text("\n".join(lines))
    plot(out / "comparison.png", results, [row[0] for row in rows])
    console.print(f"Report: {out / 'report.md'}, plot: {out / 'comparison.png'}")


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
    axes[1].legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
