"""Tasks: small declarative files that say where questions come from, how they are asked and how they are graded."""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from selfrl.eval.extraction import RULES
from selfrl.eval.grading import GRADERS
from selfrl.suggest import refuse_unknown

Style = Literal["chat", "base"]
STYLES: tuple[Style, ...] = ("chat", "base")
FOLDER = Path(str(importlib.resources.files("selfrl.eval"))) / "tasks"
LISTS = {"strict", "flexible", "stop"}  # of texts; one text stands for a list of one
NUMBERS = {"version", "samples", "max_tokens", "shots", "size"}


@dataclass(frozen=True)
class Source:
    """Where rows come from: one of a file, a hub data set and a reasoning-gym family.

    Args:
        path: .jsonl, .json, .csv or .parquet file, or a folder that `selfrl pretext build` wrote; a .json object's one
            list holds the rows. "tiny" is the packaged problems.
        hub: hub data set's name.
        config: its configuration.
        split: its split.
        generator: reasoning-gym family.
        size: how many problems to generate.
    """

    path: str | None = None
    hub: str | None = None
    config: str | None = None
    split: str = "test"
    generator: str | None = None
    size: int = 100

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.path, self.hub, self.generator)) != 1:
            raise ValueError("A source needs exactly one of path, hub and generator.")

    def __str__(self) -> str:
        named = self.hub and f"{self.hub} {self.config or ''} {self.split}"
        return " ".join((self.path or named or f"reasoning-gym {self.generator}").split())


@dataclass(frozen=True)
class Choices:
    """Options of a multiple-choice question.

    Args:
        options: the column with the list, or a list of columns.
        right: the column with the right option's index, or the index itself.
        shuffle: whether to shuffle the options, by the data's seed.
    """

    options: str | list[str]
    right: str | int
    shuffle: bool = False


@dataclass(frozen=True)
class Layout:
    """How a question is put to a model.

    Args:
        prompt: Jinja template over the row's columns, `question` and `options`.
        strict: rules of [`selfrl.eval.extraction.find`] for the form that the prompt asks for.
        system: what stands before everything, as it is, no template: the system message of a conversation, or in the
            base style a text with a blank line after it.
        stop: texts that end a completion.
        shot: template of the answer in an example.
        shots: examples before the question.
    """

    prompt: str
    strict: tuple[str, ...]
    system: str | None = None
    stop: tuple[str, ...] = ()
    shot: str = "{{ gold }}"
    shots: int = 0


@dataclass(frozen=True)
class Task:
    """One benchmark.

    Args:
        name: as on the command line.
        version: raised whenever the prompt, the grading or the data change.
        about: one line for people.
        data: rows to ask.
        grading: a key of [`selfrl.eval.grading.GRADERS`].
        question: template of the question; not with `conversation`.
        conversation: column with the whole prompt, as a text or a conversation; pictures stand at its placeholders.
        images: column with a picture, or a list of them; without placeholders they stand before the question.
        gold: template of the right answer; for choices it is the letter.
        flexible: rules of the second score, which takes an answer in any form.
        chat: how a chat model is asked.
        base: how a base model is asked.
        choices: options of a multiple-choice question.
        shots_data: rows of the examples.
        samples: completions a question, unless the command says otherwise.
        max_tokens: length limit of a completion.
    """

    name: str
    version: int
    about: str
    data: Source
    grading: str
    gold: str
    flexible: tuple[str, ...]
    chat: Layout
    base: Layout
    question: str = ""
    conversation: str | None = None
    images: str | None = None
    choices: Choices | None = None
    shots_data: Source | None = None
    samples: int = 1
    max_tokens: int = 2048

    def __post_init__(self) -> None:
        refuse_unknown("grading", self.grading, GRADERS, f"in the task {self.name}")
        for rule in (*self.flexible, *self.chat.strict, *self.base.strict):
            refuse_unknown("rule", rule, RULES, f"in the task {self.name}")
        if self.grading == "choice" and self.choices is None:
            raise ValueError(f"The task {self.name} is graded by choice: give it `choices`.")
        if (self.conversation is None) == (not self.question):
            raise ValueError(f"The task {self.name} needs one of question and conversation, and not both.")
        if self.shots_data is not None and (self.images or self.conversation):
            raise ValueError(f"The task {self.name} shows pictures or whole prompts: it takes no examples.")
        if self.samples < 1 or self.max_tokens < 1:
            raise ValueError(f"The task {self.name} needs samples and max_tokens of 1 or more.")

    def layout(self, style: Style) -> Layout:
        """How a model of that style is asked."""
        return self.chat if style == "chat" else self.base


def task_names() -> list[str]:
    """Names of the packaged tasks and families."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_tasks(name: str) -> list[Task]:
    """The tasks that a name stands for: a packaged task, a task file, a family, or `FAMILY:MEMBER`.

    A family is a file with `members`; `{member}` in its `about` and `data` is replaced by the member's name, and
    `differing` holds the keys that differ for some.

    Raises:
        ValueError: for an unknown name (with the nearest), an unknown key, a missing one, or one of a wrong kind.

    Example:
        >>> [task.grading for task in load_tasks("gsm8k")], len(load_tasks("bbh"))
        (['math'], 27)
        >>> load_tasks("reasoning_gym:gcd")[0].data.generator
        'gcd'
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ValueError(f"The task file {name} does not exist: check the path.")
        return _tasks(path, path.stem, None)
    name, _, member = name.partition(":")
    refuse_unknown("task", name, task_names(), "(a file's name ends in .yaml)")
    return _tasks(FOLDER / f"{name}.yaml", name, member or None)


def _tasks(path: Path, name: str, member: str | None) -> list[Task]:
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"The task file {path} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"The task file {path} is not a YAML mapping of keys to values.")
    members = str(values.pop("members", "")).split()
    differing = values.pop("differing", {})
    if not members:
        if member is not None:
            raise ValueError(f"The task {name} has no members: leave {member!r} out.")
        return [task_of({"name": name, **values}, str(path))]
    if member is not None:
        refuse_unknown("member", member, members, f"of {name}")
    tasks = []
    for chosen in [member] if member else members:
        plain = {**values, **differing.get(chosen, {}), "name": f"{name}:{chosen}"}
        plain |= {key: _named(plain[key], chosen) for key in ("about", "data") if key in plain}
        tasks.append(task_of(plain, str(path)))
    return tasks


def _named(value: Any, member: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(part, member) for key, part in value.items()}
    return value.replace("{member}", member) if isinstance(value, str) else value


def task_of(values: Mapping[str, Any], where: str) -> Task:
    """A task from the keys of its file; `where` names it in errors."""
    plain = dict(values)
    parts = {"data": Source, "shots_data": Source, "choices": Choices, "chat": Layout, "base": Layout}
    for key in parts.keys() & plain.keys():
        plain[key] = _part(parts[key], plain[key], f"`{key}` of {where}")
    return _part(Task, plain, where)


def _part(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} must be a mapping of keys to values.")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        refuse_unknown("key", key, fields, f"in {where}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise ValueError(f"{where} lacks the key `{name}`.")
    lists = {}
    for key in LISTS & values.keys():
        several = [values[key]] if isinstance(values[key], str) else values[key]
        if not isinstance(several, list) or not all(isinstance(text, str) for text in several):
            raise ValueError(f"`{key}` in {where} must be a text or a list of texts.")
        lists[key] = tuple(several)
    for key in NUMBERS & values.keys():
        if not isinstance(values[key], int):
            raise ValueError(f"`{key}` in {where} must be a whole number.")
    return kind(**{**values, **lists})
