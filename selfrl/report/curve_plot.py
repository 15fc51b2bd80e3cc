"""The page's main curves as a picture for a paper or a message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from selfrl.files import whole_file
from selfrl.report.chart_curves import Chart, charts_of
from selfrl.report.report_data import colour
from selfrl.report.run_data import RunData

MAIN = set("accuracy reward labels agreement answers length entropy repetition concentration rank".split())
MOST_BANDS = 3  # more hide the curves
COLUMNS = 3


def plot_curves(path: Path, runs: Sequence[RunData]) -> bool:
    """Write the picture; nothing is written, and False returned, where there is no curve."""
    charts = [chart for chart in charts_of(runs) if chart.key.split()[0] in MAIN]
    if not charts:
        return False
    rows = -(-len(charts) // COLUMNS)
    figure = Figure(figsize=(5 * COLUMNS, 3.4 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis, chart in zip(axes, charts, strict=False):
        _draw(axis, chart, runs)
    for axis in axes[len(charts) :]:
        axis.set_axis_off()
    for i, run in enumerate(runs):
        axes[0].plot([], [], color=colour(i), linestyle=_style(run), label=_plain(run.folder.name))
    figure.legend(loc="outside lower center", ncols=min(len(runs), 5), fontsize="small")
    with whole_file(path) as part:
        figure.savefig(part, format="png", dpi=110)
    return True


def _draw(axis: Any, chart: Chart, runs: Sequence[RunData]) -> None:
    for curve in chart.curves:
        run = runs[curve.run]
        axis.plot(*zip(*curve.points, strict=True), color=colour(curve.run), linestyle=_style(run), lw=1.4)
        if curve.band and len(chart.curves) <= MOST_BANDS:
            axis.fill_between(*zip(*curve.band, strict=True), color=colour(curve.run), alpha=0.12, lw=0)
    for level in chart.levels:
        line = axis.axhline(level.value, color="0.4" if level.run is None else colour(level.run), ls="--", lw=1)
        if level is chart.levels[0]:
            line.set_label(level.words)
    for i, run in enumerate(runs):
        for alarm in run.alarms:
            axis.axvline(alarm["step"], color=colour(i), ls="-.", lw=0.8)
    if chart.beside:
        other = axis.twinx()
        other.set_ylabel("reward (dotted)", fontsize="small")
        for curve in chart.beside:
            other.plot(*zip(*curve.points, strict=True), color=colour(curve.run), ls=":", lw=1)
    if chart.share:
        axis.set_ylim(-0.02, 1.02)
    axis.set_title(_plain(chart.title), fontsize="medium")
    axis.set_xlabel("step", fontsize="small")
    axis.grid(alpha=0.3)


def _style(run: RunData) -> str:
    return "--" if run.is_control else "-"


def _plain(text: str) -> str:
    """Without the signs of a formula."""
    return text.replace("$", r"\$")
