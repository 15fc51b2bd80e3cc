"""Progress that a person can read: a live panel on a terminal, and one line a log everywhere."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.live import Live
from transformers import TrainerCallback

from selfrl.monitor.live_panel import SHOWN, RunView


class ProgressLines(TrainerCallback):
    """A panel with the probe's accuracy, agreement, alarms and time left (on a terminal), and a line at every log.

    Args:
        label: name of the run, printed before each line.
        console: where to print; standard output by default.
    """

    def __init__(self, label: str = "train", console: Console | None = None) -> None:
        self.label = label
        self.console = console or Console(markup=False, highlight=False)
        self._view: RunView | None = None
        self._live: Live | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the panel."""
        if state.is_world_process_zero:
            self._view = RunView(self.label, state.max_steps, state.global_step)
            if self.console.is_terminal:
                self._live = Live(self._view, console=self.console, transient=True)
                self._live.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move on."""
        if self._view is not None:
            self._view.step = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Print the line of this log."""
        if self._view is None or not logs:
            return
        self._view.take(logs)
        parts = [f"{name} {logs[key]:.3g}" for key, name in SHOWN.items() if isinstance(logs.get(key), float)]
        parts += [f"{key.removeprefix('probe/')} {value:.1%}" for key, value in logs.items() if _is_accuracy(key)]
        if parts:
            words = ", ".join(parts)
            self.console.print(f"{self.label} step {state.global_step}/{state.max_steps}: {words}", soft_wrap=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the panel away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _is_accuracy(name: str) -> bool:
    return name.startswith("probe/") and ("/avg@" in name or "/maj@" in name)
