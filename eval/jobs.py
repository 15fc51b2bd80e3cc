"""From tasks and settings to what is asked and how, with everything checked and loaded but the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selfrl.eval.questions import QuestionSet, load_questions
from selfrl.eval.scoring import Sample, grade
from selfrl.eval.settings import Settings
from selfrl.eval.task import Source, Style, Task, load_tasks
from selfrl.generation import Generation, Sampling
from selfrl.generation.processors import load_processor
from selfrl.generation.tokens import check_system_role
from selfrl.models import model_path


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
    return "base" if getattr(load_processor(model_path(model)), "chat_template", None) is None else "chat"


def check_system_prompt(model: str, style: Style, settings: Settings) -> None:
    """Refuse a system prompt that the model's chat template would not show the model.

    Raises:
        ValueError: if the template fails on a system message, or drops it.
        OSError: for a model that is not there.
    """
    if settings.system_prompt is None or style == "base" or settings.backend == "endpoint":
        return
    check_system_role(load_processor(model_path(model)), model)


def _with_files(task: Task, settings: Settings) -> Task:
    """The task with its rows, and its examples, from the files that the settings name."""
    family, _, member = task.name.partition(":")

    def given(files: Mapping[str, str] | None, else_: Source | None) -> Source | None:
        file = (files or {}).get(task.name) or (files or {}).get(family)
        split = else_.split if else_ is not None else Source.split
        return else_ if file is None else Source(path=file.replace("{member}", member), split=split)

    data = given(settings.data, task.data)
    assert data is not None
    return replace(task, data=data, shots_data=given(settings.shots_data, task.shots_data))


def _check_files(tasks: Sequence[Task], settings: Settings) -> None:
    names = {name for task in tasks for name in (task.name, task.name.partition(":")[0])}
    for files in (settings.data, settings.shots_data):
        for name, file in (files or {}).items():
            if name not in names:
                raise ValueError(f"A file is given for the task {name!r}, which is not asked for: add it to the tasks.")
            if "{member}" not in file and not Path(file).exists():
                raise ValueError(f"The file {file} for the task {name} does not exist: check the path.")
