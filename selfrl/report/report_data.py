"""What the page shows, as one value that JSON can hold."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from selfrl.report.chart_curves import Chart, Curve, charts_of
from selfrl.report.completion_rows import MOST_ROWS, columns_of
from selfrl.report.end_tables import ENDS_HEAD, PAIRED_HEAD, UNPAIRED, end_rows, paired_rows
from selfrl.report.prompt_grid import prompt_grid
from selfrl.report.run_data import RunData

# Seen on white and on black, and apart from each other.
COLOURS = (
    *("#3b82d6", "#e0780a", "#2f9e5f", "#d64550", "#8b6bd9"),
    *("#a5714a", "#d25fa6", "#7b8794", "#9a9410", "#1ba2b4"),
)


def report_data(runs: Sequence[RunData], most: int = MOST_ROWS) -> dict[str, Any]:
    """Everything of some runs.

    Args:
        runs: whose.
        most: completions.
    """
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "runs": [_facts(run, i) for i, run in enumerate(runs)],
        "charts": [_chart(chart) for chart in charts_of(runs)],
        "alarms": [_alarm(alarm, i) for i, run in enumerate(runs) for alarm in run.alarms],
        "grids": [grid for i, run in enumerate(runs) if (grid := _grid(run, i)) is not None],
        "ends": {"head": ENDS_HEAD, "rows": end_rows(runs)},
        "paired": {"head": PAIRED_HEAD, "rows": paired_rows(runs), "none": UNPAIRED},
        "completions": columns_of(runs, most),
    }


def colour(run: int) -> str:
    """A run's colour, by its number.

    >>> colour(0), colour(10) != colour(11)
    ('#3b82d6', True)
    """
    if run < len(COLOURS):
        return COLOURS[run]
    red, green, blue = colorsys.hls_to_rgb(run * 0.618 % 1, 0.5, 0.55)  # golden angles: neighbours lie apart
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))


def _facts(run: RunData, number: int) -> dict[str, Any]:
    steps, asked = run.last_step, run.about.get("max_steps")
    whole = (run.result or {}).get("seconds")
    facts = {
        "folder": str(run.folder.path),
        "started": run.about.get("started"),
        "steps": f"{steps:,} of {asked:,}" if asked else f"{steps:,}",
        "tokens": f"{run.tokens:,.0f}" if run.tokens else None,
        "seconds in steps": f"{run.seconds:,.1f}" if run.seconds is not None else None,
        "seconds in all, probes and start included": f"{whole:,.1f}" if whole else None,
        "versions": ", ".join(f"{name} {version}" for name, version in run.about.get("versions", {}).items()),
    }
    return {
        "name": run.folder.name,
        "control": run.is_control,
        "colour": colour(number),
        "rewards": ", ".join(run.rewards),
        "facts": {name: value for name, value in facts.items() if value},
        "recipe": yaml.safe_dump(run.recipe, sort_keys=False, allow_unicode=True, width=100) if run.recipe else "",
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "key": chart.key,
        "title": chart.title,
        "note": chart.note,
        "share": chart.share,
        "curves": [_curve(curve) for curve in chart.curves],
        "beside": [_curve(curve) for curve in chart.beside],
        "levels": [{"value": short(level.value), "words": level.words, "run": level.run} for level in chart.levels],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    steps, low, high = zip(*curve.band, strict=True) if curve.band else ((), (), ())
    return {
        "run": curve.run,
        "x": [step for step, _ in curve.points],
        "y": _short(value for _, value in curve.points),
        "band": {"x": list(steps), "low": _short(low), "high": _short(high)},
    }


def _alarm(alarm: dict[str, Any], run: int) -> dict[str, Any]:
    figures = alarm.get("figures") or []
    return {
        "run": run,
        "step": alarm["step"],
        "words": str(alarm.get("words", "")),
        "rule": str(alarm.get("rule", "")),
        "figures": ", ".join(map(str, figures)) if isinstance(figures, list) else str(figures),
        "since": alarm.get("change_point"),
        "action": str(alarm.get("action") or "none"),
    }


def _grid(run: RunData, number: int) -> dict[str, Any] | None:
    """None where no prompt was seen twice: there is nothing to compare."""
    grid = prompt_grid(run.batches)
    if grid.visits < 2:
        return None
    return {"run": number, "rows": grid.rows, "note": grid.note}


def short(value: Any) -> float | None:
    """A number with as many digits as a chart can show; None for what is no finite number.

    >>> short(0.123456789), short(float("nan")), short("x")
    (0.12346, None, None)
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def _short(values: Iterable[Any]) -> list[float | None]:
    return [short(value) for value in values]
