"""From a task's rows to questions with prompts and gold answers."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2
from datasets.exceptions import DatasetsError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from selfrl.conversation import prompt_text, with_system
from selfrl.data.loading import load_rows
from selfrl.eval.grading import gradable
from selfrl.eval.task import Choices, Layout, Source, Style, Task
from selfrl.generation import Prompt
from selfrl.generation.processors import pictures_of, with_pictures
from selfrl.installation import mend
from selfrl.pictures import content_hash, data_url, thumbnail, upright_rgb

LETTERS = "ABCDEFGHIJ"


class MissingValueError(ValueError):
    """A row in which a value that its question or gold answer needs is null."""


def _written(value: Any) -> Any:
    """A value that a template writes."""
    if value is None or value != value:
        raise MissingValueError("a null value")
    return value


_TEMPLATES = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_written
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One question of a task.

    Args:
        id: the row's number in the data.
        text: the question alone.
        prompt: what the model is given: a text, or a conversation.
        gold: the right answer; for choices, its letter.
        row: the row it comes from.
    """

    id: int
    text: str
    prompt: Prompt
    gold: str
    row: Row

    @cached_property
    def thumbnails(self) -> list[str]:
        """The prompt's pictures, made small, as data URLs: made once, however often samples are written."""
        return [data_url(thumbnail(picture)) for picture in pictures_of(self.prompt)]


@dataclass(frozen=True)
class QuestionSet:
    """A task's questions.

    Args:
        questions: those that can be graded.
        ungradable: how many were left out, because they have no question or their own gold answer is missing or cannot
            be read.
    """

    questions: list[Question]
    ungradable: int

    def __post_init__(self) -> None:
        if not self.questions:
            raise ValueError("No question is left: check the data and the limit.")

    @property
    def data_hash(self) -> str:
        """Hash of questions and gold answers; results with the same one can be compared question by question."""
        return _hash([(q.id, q.text, q.gold) for q in self.questions])

    @property
    def prompts_hash(self) -> str:
        """Hash of what the model was given."""
        return _hash([q.prompt for q in self.questions])


def load_questions(
    task: Task,
    style: Style,
    *,
    limit: int | None = None,
    shots: int | None = None,
    data_seed: int = 0,
) -> QuestionSet:
    """Load a task's rows and put each as a prompt.

    Args:
        task: the task.
        style: "chat" gives conversations, "base" texts.
        limit: only the first so many rows.
        shots: examples before each question, the first of `shots_data`; by default the task's number.
        data_seed: of shuffled options and of procedural problems.

    Raises:
        ValueError: for data that does not exist or lacks a column, or examples that the task has no data for.
        ImportError: for procedural problems without reasoning-gym.
    """
    layout = task.layout(style)
    rows = read_rows(task.data, data_seed, limit)
    count = layout.shots if shots is None else shots
    if count and task.shots_data is None:
        raise ValueError(f"The task {task.name} has no data for examples: ask for 0 shots.")
    if style == "base" and task.images is not None:
        raise ValueError(f"The task {task.name} shows pictures: ask a model with a chat template.")
    examples = read_rows(task.shots_data, data_seed) if count and task.shots_data else []
    filled = (_filled(task, layout, row, f"{data_seed}/example/{i}") for i, row in enumerate(examples))
    asked = list(itertools.islice((values for values in filled if values is not None), count))
    if len(asked) < count:
        raise ValueError(f"The task {task.name} has {len(asked)} examples, {count} are asked for.")
    questions = []
    for i, row in enumerate(rows):
        values = _filled(task, layout, row, f"{data_seed}/{i}")
        if values is not None and gradable(task.grading, values["gold"], row):
            prompt = _whole_prompt(task, layout, row) if task.conversation else _prompt(layout, style, values, asked)
            if task.images is not None:
                prompt = _with_pictures(task, prompt, row)
            questions.append(Question(i, values["question"], prompt, values["gold"], row))
    return QuestionSet(questions, len(rows) - len(questions))


def read_rows(source: Source, data_seed: int = 0, limit: int | None = None) -> list[Row]:
    """The rows of a source, or the first so many.

    Raises:
        ValueError: for a file that does not exist or holds no rows, or an unknown family.
        ImportError: for procedural problems without reasoning-gym.
    """
    if source.generator is not None:
        return _procedural(source.generator, source.size, data_seed)[:limit]
    if source.path is None:
        assert source.hub is not None
        return list(itertools.islice(load_rows(source.hub, source.split, source.config), limit))
    try:
        return list(itertools.islice(load_rows(source.path, source.split), limit))
    except DatasetsError as error:
        raise ValueError(f"{source.path} cannot be read ({error}): mend the file.") from error


def _procedural(family: str, size: int, seed: int) -> list[Row]:
    try:
        import reasoning_gym
    except ImportError as error:
        raise ImportError(f"Procedural problems need reasoning-gym: {mend('eval')}.") from error
    try:
        return [dict(row) for row in reasoning_gym.create_dataset(family, size=size, seed=seed)]
    except ValueError as error:
        raise ValueError(f"reasoning-gym cannot make problems of {family!r}: {error}.") from error


def _filled(task: Task, layout: Layout, row: Row, seed: str) -> dict[str, str] | None:
    """[`_fill`]; None for a row without a question, or with a null where a value belongs."""
    try:
        values = _fill(task, layout, row, seed)
    except MissingValueError:
        return None
    return values if values["question"].strip() else None


def _fill(task: Task, layout: Layout, row: Row, seed: str) -> dict[str, str]:
    """The texts of one row: question, options, gold answer, prompt, and its reply as an example."""
    where = f"the task {task.name}"
    values: dict[str, Any] = {"row": row, **row}
    question = prompt_text(_column(row, task.conversation, where)) if task.conversation else ""
    question = question or render(task.question, values, where)
    options, gold = "", ""
    if task.choices is not None:
        options, gold = _options(task.choices, row, seed, where)
    else:
        gold = render(task.gold, values, where)
    values |= {"question": question, "options": options, "gold": gold}
    filled = {"question": question, "gold": gold, "prompt": render(layout.prompt, values, where)}
    return filled | ({"shot": render(layout.shot, values, where)} if "/example/" in seed else {})


def _options(choices: Choices, row: Row, seed: str, where: str) -> tuple[str, str]:
    """The lettered options and the letter of the right one."""
    try:
        texts = list(row[choices.options] if isinstance(choices.options, str) else [row[c] for c in choices.options])
        right = int(choices.right if isinstance(choices.right, int) else _written(row[choices.right]))
    except KeyError as error:
        raise ValueError(f"{where}: the data has no column {error}, it has {', '.join(row)}.") from error
    if not 0 <= right < len(texts) <= len(LETTERS):
        raise ValueError(f"{where}: option {right} of {len(texts)} cannot be right, or has no letter.")
    order = list(range(len(texts)))
    if choices.shuffle:
        random.Random(seed).shuffle(order)
    lines = [f"({LETTERS[i]}) {str(_written(texts[k])).strip()}" for i, k in enumerate(order)]
    return "\n".join(lines), LETTERS[order.index(right)]


def _prompt(layout: Layout, style: Style, values: Mapping[str, str], examples: Sequence[Mapping[str, str]]) -> Prompt:
    if style == "base":
        shots = "".join(f"{e['prompt']}{e['shot']}\n\n" for e in examples)
        return (f"{layout.system}\n\n" if layout.system else "") + shots + values["prompt"]
    messages = [{"role": "system", "content": layout.system}] if layout.system else []
    for example in examples:
        messages += [{"role": "user", "content": example["prompt"]}, {"role": "assistant", "content": example["shot"]}]
    return [*messages, {"role": "user", "content": values["prompt"]}]


def _column(row: Row, name: str, where: str) -> Any:
    if name not in row:
        raise ValueError(f"{where}: the data has no column {name!r}, it has {', '.join(row)}.")
    return _written(row[name])


def _whole_prompt(task: Task, layout: Layout, row: Row) -> Prompt:
    """The row's own prompt, under the layout's system message if there is one."""
    prompt = row[task.conversation or ""]
    if layout.system is None:
        return prompt if isinstance(prompt, str) else list(prompt)
    return with_system([{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt, layout.system)


def _with_pictures(task: Task, prompt: Prompt, row: Row) -> Prompt:
    """A conversation with the row's pictures in it."""
    held = _column(row, task.images or "", f"the task {task.name}")
    pictures = [upright_rgb(picture) for picture in (held if isinstance(held, list) else [held])]
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    try:
        return with_pictures(messages, pictures)
    except ValueError as error:
        raise ValueError(f"The task {task.name}, row {row!r:.80}: {error}") from error


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """A template filled in; `where` names it in errors.

    Raises:
        MissingValueError: for a null where the template writes or reads a value.
        ValueError: for a column that the row does not have, or a template that cannot be read.

    Example:
        >>> render("{{ a }} + {{ b }}", {"a": 1, "b": 2}, "the task sum")
        '1 + 2'
    """
    try:
        return _TEMPLATES.from_string(template).render(values)
    except jinja2.UndefinedError as error:
        if (error.message or "").startswith("'None' has no"):
            raise MissingValueError(f"{where}: a value is null.") from error
        columns = ", ".join(values.get("row", values))
        raise ValueError(f"{where}: {error.message}; the data has the columns {columns}.") from error
    except jinja2.TemplateError as error:
        raise ValueError(f"{where}: the template {template!r} cannot be filled in: {error}.") from error


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=content_hash).encode()).hexdigest()[:16]
