"""One arm with one seed, trained in a process of its own."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from selfrl.compare.result_text import result_text
from selfrl.compare.side_by_side import end_with_parent
from selfrl.eval.probe import TaskProbe
from selfrl.files import write_whole
from selfrl.guarded_training import train_guarded
from selfrl.monitor.metrics_file import read_metrics
from selfrl.monitor.progress import ProgressLines
from selfrl.recipe import Plan, parse_recipe
from selfrl.training import build_trainer


class ArmRun(NamedTuple):
    """A run of a comparison.

    Args:
        arm: its name.
        seed: its seed.
        folder: holds `recipe.yaml`, a training recipe with a probe, and whatever the run writes.
        starts: folder where runs with the same start share its measurement.
    """

    arm: str
    seed: int
    folder: Path
    starts: Path

    @property
    def result(self) -> Path:
        """What a finished run leaves."""
        return self.folder / "result.json"

    @property
    def log(self) -> Path:
        """Everything that the run says."""
        return self.folder / "log.txt"

    def __str__(self) -> str:
        return f"{self.arm} seed {self.seed}"


def train_arm(run: ArmRun, threads: int) -> None:
    """Train in this process and write `result.json`; the exit status is 1 if that fails, and the log says why."""
    end_with_parent()
    torch.set_num_threads(threads)
    with run.log.open("w") as log:
        for stream in (1, 2):  # of the process: libraries keep the streams that they were loaded with
            os.dup2(log.fileno(), stream)
        try:
            result = _trained(run)
        except Exception:
            sys.stdout.flush()  # so that the error stands last
            traceback.print_exc()
            sys.exit(1)
    write_whole(run.result, result_text(result))


def _trained(run: ArmRun) -> dict[str, Any]:
    started = time.perf_counter()
    plan = parse_recipe([str(run.folder / "recipe.yaml")])
    probes: list[TaskProbe] = []

    def build(plan: Plan) -> Any:
        trainer = build_trainer(plan, (), ProgressLines(run.arm, Console(width=120)))
        (probe,) = (callback for callback in trainer.callback_handler.callbacks if isinstance(callback, TaskProbe))
        probe.starts = run.starts
        if probes:
            probe.follow(probes[-1])
        probes.append(probe)
        return trainer

    trainer, put_back = train_guarded(plan, build)
    probe = probes[-1]
    if put_back or trainer.state.global_step < trainer.state.max_steps:
        probe.close(trainer)
    if plan.config.save_strategy != "no":
        trainer.save_model()
    return {
        "arm": run.arm,
        "seed": run.seed,
        "curve": [{"step": step, **asdict(scores)} for step, scores in probe.history],
        "ends": [{"step": step, **asdict(scores)} for step, scores in probe.ends],
        "questions": [{"step": step, "votes": [vote.row() for vote in votes]} for step, votes in probe.questions],
        "labels": label_curve(read_metrics(run.folder / "metrics.jsonl")),
        "seconds": time.perf_counter() - started,
    }


def label_curve(rows: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """(step, share of right pseudo-labels), where the training data has gold answers.

    >>> label_curve([{"step": 5, "labels/label_accuracy": 0.5}, {"step": 6}])
    [(5, 0.5)]
    """
    return [(row["step"], row["labels/label_accuracy"]) for row in rows if "labels/label_accuracy" in row]
