"""What a terminal shows while a run trains: accuracy of the probe, agreement, alarms, time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

SHOWN = {
    "reward": "reward",
    "groups/majority_ratio": "agreement",
    "labels/label_accuracy": "labels right",
    "completions/mean_length": "length",
    "entropy": "entropy",
    "kl": "KL",
    "step_time": "s/step",
}


class RunView:
    """The state of a run, from its logs.

    Args:
        label: name of the run.
        total: its steps.
        step: steps made before.
    """

    def __init__(self, label: str, total: int, step: int = 0) -> None:
        self.label, self.total, self.step = label, total, step
        self.figures: dict[str, float] = {}
        self.probe: dict[str, list[float]] = {}
        self.alarms = 0
        self._first, self._started = step, time.monotonic()

    def take(self, logs: Mapping[str, Any]) -> None:
        """Take a log in."""
        for name, value in logs.items():
            if not isinstance(value, int | float):
                continue
            if name.startswith("probe/") and "/avg@" in name and "/final/" not in name:
                self.probe.setdefault(name.removeprefix("probe/"), []).append(float(value))
            elif name in SHOWN:
                self.figures[name] = float(value)
            elif name == "guard/alarms":
                self.alarms = int(value)

    @property
    def seconds_left(self) -> float | None:
        """At the pace since the start; None before a step was made."""
        made = self.step - self._first
        return (time.monotonic() - self._started) / made * (self.total - self.step) if made > 0 else None

    def lines(self) -> list[tuple[str, str]]:
        """What is shown, in words.

        >>> view = RunView("votes", total=10)
        >>> view.take({"probe/gsm8k/avg@1": 0.5, "reward": 0.25, "guard/alarms": 0.0})
        >>> view.take({"probe/gsm8k/avg@1": 0.625})
        >>> view.lines()
        [('gsm8k/avg@1', '62.5% (+12.5 since the start)'), ('reward', '0.25'), ('alarms', 'none')]
        """
        rows = [
            (name, f"{values[-1]:.1%} ({100 * (values[-1] - values[0]):+.1f} since the start)")
            for name, values in self.probe.items()
        ]
        rows += [(word, f"{self.figures[name]:.3g}") for name, word in SHOWN.items() if name in self.figures]
        return [*rows, ("alarms", str(self.alarms) if self.alarms else "none")]

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, value in self.lines():
            style = "bold red" if name == "alarms" and self.alarms else ""
            table.add_row(Text(name), Text(value, style=style))
        left = self.seconds_left
        time_left = "" if left is None else f", {_duration(left)} left"
        bar = ProgressBar(self.total, self.step, width=40)
        return Panel(
            Group(table, bar), title=Text(f"{self.label}: step {self.step} of {self.total}{time_left}"), width=64
        )


def _duration(seconds: float) -> str:
    """In the largest units that fit.

    >>> _duration(20.4), _duration(125), _duration(7300)
    ('20 s', '2 min', '2 h 2 min')
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
