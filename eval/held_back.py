"""Questions that training must not see, by the names of what holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfrl.conversation import prompt_text
from selfrl.data.loading import FILE_FORMATS, load_rows
from selfrl.eval.questions import load_questions
from selfrl.eval.task import load_tasks, task_names

COLUMNS = ("question", "problem", "prompt")


def evaluation_questions(names: Sequence[str]) -> list[str]:
    """The questions of evaluation sets.

    Args:
        names: tasks and task files, files of rows with a column `question`, `problem` or `prompt`, or questions
            themselves.

    Raises:
        ValueError: for a file that does not exist or has none of these columns.

    Example:
        >>> evaluation_questions(["What is 3 and 4?"])
        ['What is 3 and 4?']
    """
    found: list[str] = []
    for name in names:
        if name.partition(":")[0] in task_names() or Path(name).suffix in (".yaml", ".yml"):
            for task in load_tasks(name):
                found += [question.text for question in load_questions(task, "base").questions]
        elif Path(name).suffix in FILE_FORMATS:
            rows = load_rows(name)
            column = next((column for column in COLUMNS if column in rows.column_names), None)
            if column is None:
                raise ValueError(f"{name} has no column of {', '.join(COLUMNS)}: rename that of its questions.")
            found += [prompt_text(prompt) for prompt in rows[column] if prompt]
        else:
            found.append(name)
    return found
