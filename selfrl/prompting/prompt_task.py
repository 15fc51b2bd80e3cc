"""What a prompt is optimised for: the task file, compatible with that of SPO's authors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfrl.suggest import refuse_unknown

KEYS = ("prompt", "requirements", "count", "qa")


@dataclass(frozen=True)
class Example:
    """A question, and the answer it should get, if that is known; it is shown to optimiser and evaluator only."""

    question: str
    answer: str | None = None


@dataclass(frozen=True)
class PromptTask:
    """A task of prompt optimisation.

    Args:
        prompt: where to start.
        requirements: what the outputs must be like.
        count: length target of the prompt, in words.
        qa: questions; some are worked with, the others stay for a check.

    Raises:
        ValueError: for an empty prompt, a count below 1, or without questions.
    """

    prompt: str
    requirements: str | None
    count: int | None
    qa: tuple[Example, ...]

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ValueError("The task has no `prompt` to start from: write one sentence at least.")
        if self.count is not None and self.count < 1:
            raise ValueError(f"`count` is {self.count}: it is a number of words, or None.")
        if not self.qa:
            raise ValueError("The task has no questions: list some under `qa`.")


def load_task(path: str | Path) -> PromptTask:
    """Read a task file: YAML with `prompt`, `requirements`, `count` and `qa` (a list of `question` and `answer`).

    As in the authors' files, `None` (or nothing) stands for no requirements, no count and no answer.

    Raises:
        ValueError: for a file that does not exist, is no such mapping, or has an unknown key (with the nearest one).
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"The task file {path} does not exist: check the path.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"The task file {path} is no YAML: {' '.join(str(error).split())}.") from error
    return task_of(values, f"the task file {path}")


def task_of(values: Any, where: str) -> PromptTask:
    """A task from the keys of its file; `where` names it in errors.

    >>> task_of({"prompt": "Answer.", "requirements": "None", "qa": [{"question": "2+2?"}]}, "the task").requirements
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{_cap(where)} is not a mapping of keys to values: give it {', '.join(KEYS)}.")
    for key in values:
        refuse_unknown("key", str(key), KEYS, f"in {where}")
    if "prompt" not in values:
        raise ValueError(f"{_cap(where)} has no `prompt`: write the prompt to start from.")
    rows = values.get("qa") or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"`qa` of {where} must be a list of `question` and `answer`.")
    count = _given(values.get("count"))
    if count is not None and not count.isdigit():
        raise ValueError(f"`count` of {where} is {count!r}: it is a number of words, or None.")
    qa = []
    for i, row in enumerate(rows):
        for key in row:
            refuse_unknown("key", str(key), ("question", "answer"), f"in row {i} of `qa` in {where}")
        question = _given(row.get("question"))
        if question is None:
            raise ValueError(f"Row {i} of `qa` in {where} has no question: write one, or drop the row.")
        qa.append(Example(question, _given(row.get("answer"))))
    prompt = values["prompt"]
    return PromptTask(
        "" if prompt is None else str(prompt).strip(),
        _given(values.get("requirements")),
        None if count is None else int(count),
        tuple(qa),
    )


def _given(value: Any) -> str | None:
    """A value's text, or None for nothing; the authors' files write the word None into text blocks."""
    text = "" if value is None else str(value).strip()
    return None if text.casefold() in ("", "none") else text


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
