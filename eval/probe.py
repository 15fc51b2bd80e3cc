"""A small labelled probe while training: measured and logged, never rewarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback

from selfrl.eval.evaluation import Job, Settings, plan
from selfrl.eval.scoring import Scores, score
from selfrl.generation.hf import TransformersGenerator
from selfrl.monitor.metrics_file import log_beside

KEYS = ("task", "every", "questions", "n", "data", "style", "max_tokens", "temperature", "seed", "batch_size")
NUMBERS = {"every", "questions", "n", "max_tokens", "seed", "batch_size"}


class TaskProbe(TrainerCallback):
    """Evaluates the policy on a task at the start, every `every` steps and at the end, greedily unless told otherwise.

    Scores are logged as `probe/TASK/avg@n`, `probe/TASK/any_form`, `probe/TASK/no_answer`, `probe/TASK/truncated`
    and `probe/TASK/tokens`, next to the trainer's own, and kept in `history` as (step, scores). Only the main
    process evaluates, with transformers, whatever writes the rollouts; not under FSDP or ZeRO-3, where it holds only
    a part of the weights.

    Args:
        job: what to ask, see [`selfrl.eval.evaluation.plan`].
        every: steps between two measurements.
        batch_size: completions at a time.
    """

    def __init__(self, job: Job, every: int, batch_size: int = 16) -> None:
        if every < 1:
            raise ValueError(f"The probe's `every` is {every}: it must be 1 or more.")
        self.job, self.every, self.batch_size = job, every, batch_size
        self.history: list[tuple[int, Scores]] = []
        self._trainer: Any = None

    @classmethod
    def of(cls, model: str, keys: Mapping[str, Any]) -> TaskProbe:
        """A probe from the recipe's keys, those of [`KEYS`]: a task, every how many steps, and what else is wanted.

        Raises:
            ValueError: for a key that is missing or unknown, or as [`selfrl.eval.evaluation.plan`].
        """
        unknown = set(keys) - set(KEYS)
        if unknown or not {"task", "every"} <= set(keys):
            wrong = f", not {', '.join(sorted(unknown))}" if unknown else ""
            raise ValueError(f"`probe` needs task and every, and takes {', '.join(KEYS)}{wrong}.")
        for name in NUMBERS & keys.keys():
            if not isinstance(keys[name], int):
                raise ValueError(f"`{name}` of the probe is {keys[name]!r}: it must be a whole number.")
        task = str(keys["task"])
        plain = {
            name: keys[name]
            for name in ("n", "style", "max_tokens", "temperature", "seed", "batch_size")
            if name in keys
        }
        settings = Settings(**{"n": 1, **plain}, limit=keys.get("questions", 50))
        if "data" in keys:
            settings = replace(settings, data={task: str(keys["data"])})
        jobs = plan(model, [task], settings)
        if len(jobs) > 1:
            raise ValueError(f"The probe's task {task!r} is a family of {len(jobs)}: name one member.")
        return cls(jobs[0], keys["every"], settings.batch_size)

    def attach(self, trainer: Any) -> None:
        """Add the probe to a trainer, whose log it writes to."""
        self._trainer = trainer
        trainer.add_callback(self)

    def measure(self, model: Any, tokenizer: Any) -> Scores:
        """Scores of a model in memory."""
        generator = TransformersGenerator(model, tokenizer, self.batch_size)
        groups = generator.generate([q.prompt for q in self.job.questions.questions], self.job.sampling)
        return score(self.job.grade(groups), self.job.sampling.seed or 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the start; a resumed run has measured it."""
        if state.global_step == 0:
            self._record(args, state, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure every `every` steps and at the last."""
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._record(args, state, **kwargs)

    def _record(self, args: Any, state: Any, model: Any, processing_class: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        scores = self.measure(model, processing_class)
        self.history.append((state.global_step, scores))
        name = f"probe/{self.job.task.name}"
        logs = {
            f"{name}/avg@{scores.n}": scores.avg,
            f"{name}/any_form": scores.flexible,
            f"{name}/no_answer": scores.no_answer,
            f"{name}/truncated": scores.truncated,
            f"{name}/tokens": scores.tokens,
        }
        if self._trainer is not None:
            log_beside(self._trainer, args, state, logs)
