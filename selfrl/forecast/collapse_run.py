"""A short, cheap training by majority vote on labelled prompts, to see when its reward leaves the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from selfrl.forecast.asked_prompts import Asked
from selfrl.monitor.collapse_step import collapse_step, peak_step
from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import plan_of
from selfrl.training import build_trainer

PROMPTS, ROLLOUTS = 8, 8
METRIC = "WatchedVote/reward_accuracy"


@dataclass(frozen=True)
class CollapseRun:
    """The run whose Model Collapse Step is told (2603.08660): 8 prompts x 8 rollouts a step, no KL term.

    Args:
        model: folder, hub name or "tiny".
        steps: how many; a run that has not collapsed by then is censored.
        learning_rate: constant.
        max_tokens: length limit of a completion.
        seed: of the run.
        out: its folder; the run is in `collapse/` there.
    """

    model: str
    steps: int
    learning_rate: float
    max_tokens: int
    seed: int
    out: Path | None

    def check(self, asked: Sequence[Asked], backend: str) -> None:
        """Refuse what cannot be run, before a model loads.

        Raises:
            ValueError: for fewer than 8 labelled prompts, no folder, no steps, or a model behind an endpoint.
        """
        if self.steps < 1 or self.learning_rate <= 0:
            raise ValueError("--collapse-step and --learning-rate must be above 0: give 1 step or more.")
        if self.out is None:
            raise ValueError("--collapse-step trains, and needs a folder to write to: name one with --out.")
        if backend == "endpoint":
            raise ValueError("--collapse-step trains the model, which an endpoint does not allow: give its folder.")
        known = sum(prompt.gold is not None for prompt in asked)
        if known < PROMPTS:
            raise ValueError(
                f"--collapse-step compares rewards with the truth, and {known} of the prompts have an `answer`: label "
                f"{PROMPTS} or more."
            )

    def recipe(self) -> dict[str, Any]:
        """The keys of its recipe."""
        gpu = torch.cuda.is_available()
        return {
            "model_name_or_path": self.model,
            "dataset": str(self.folder / "prompts.jsonl"),
            "rewards": {"selfrl.forecast.watched_vote.WatchedVote": {}},
            "prompts_per_step": PROMPTS,
            "num_generations": ROLLOUTS,
            "per_device_train_batch_size": ROLLOUTS,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": "constant",
            "beta": 0.0,
            "max_steps": self.steps,
            "max_completion_length": self.max_tokens,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": not gpu,
            "bf16": gpu,
            "seed": self.seed,
            "output_dir": str(self.folder),
        }

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        assert self.out is not None
        return self.out / "collapse"

    def train(self, asked: Sequence[Asked]) -> dict[str, Any]:
        """Train, and tell `mcs` (None: later than the last step), `peak_step` and the curve of reward accuracy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [{"prompt": prompt.prompt, "answer": prompt.gold} for prompt in asked if prompt.gold is not None]
        Dataset.from_list(rows).to_json(self.folder / "prompts.jsonl")
        build_trainer(plan_of(self.recipe(), "the recipe of --collapse-step")).train()
        logged = [row for row in read_metrics(self.folder / "metrics.jsonl") if METRIC in row]
        steps, accuracies = [row["step"] for row in logged], [row[METRIC] for row in logged]
        return {
            "steps": self.steps,
            "mcs": collapse_step(steps, accuracies),
            "peak_step": peak_step(steps, accuracies),
            "curve": [[step, round(value, 4)] for step, value in zip(steps, accuracies, strict=True)],
        }
