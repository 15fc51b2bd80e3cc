"""Progress that a person can read: a rich bar, and one line a log."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

SHOWN = {
    "reward": "reward",
    "completions/mean_length": "length",
    "entropy": "entropy",
    "kl": "kl",
    "step_time": "s/step",
}


class ProgressLines(TrainerCallback):
    """A bar over the steps (on a terminal), and a line with reward, length, entropy and KL at every log.

    Args:
        label: name of the run, printed before each line.
        console: where to print; standard output by default.
    """

    def __init__(self, label: str = "train", console: Console | None = None) -> None:
        self.label = label
        self.console = console or Console()
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the bar."""
        if state.is_world_process_zero:
            columns = (TextColumn(self.label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task(self.label, total=state.max_steps, completed=state.global_step)
            self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Print the line of this log."""
        if self.bar is None or not logs:
            return
        parts = [f"{name} {logs[key]:.3g}" for key, name in SHOWN.items() if isinstance(logs.get(key), float)]
        if parts:
            self.console.print(f"{self.label} step {state.global_step}/{state.max_steps}: {', '.join(parts)}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
