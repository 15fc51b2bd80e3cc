"""Every logged row of a run as one line of `metrics.jsonl` in its output folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl

from selfrl.files import write_whole


class MetricsFile(TrainerCallback):
    """Appends each log, with its step, to `<output_dir>/metrics.jsonl`.

    A resumed run first drops the rows past its checkpoint, so every step stands there once.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop rows that the run is about to log again."""
        if not state.is_world_process_zero:
            return
        kept_up_to = state.global_step or -1  # a fresh run logs step 0 again
        keep_rows(Path(args.output_dir) / "metrics.jsonl", lambda row: row["step"] <= kept_up_to)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Append one row."""
        if state.is_world_process_zero and logs is not None:
            with (Path(args.output_dir) / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


def log_beside(trainer: Any, args: Any, state: Any, logs: dict[str, float]) -> None:
    """Log figures of a callback's own, next to the trainer's.

    Not by trainer.log, which would also write out the half-collected metrics of the step.
    """
    state.log_history.append({"step": state.global_step, **logs})
    # a control of its own: on_log would take back the step's own wish to log
    trainer.callback_handler.on_log(args, state, TrainerControl(), logs)


def keep_rows(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Leave only the wanted rows in a file of rows, which is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(row) + "\n" for row in read_metrics(path) if wanted(row)))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics file; a last line torn by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
