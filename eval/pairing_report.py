"""The table of two evaluations compared by question, on the screen and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from selfrl.eval.pairing import TaskComparison
from selfrl.tables import escaped_table, percent, wrapping_table

SHOWN_FLIPS = 10
Sides = tuple[str, str]


def print_comparison(found: Sequence[TaskComparison], sides: Sides, console: Console) -> None:
    """Print the table and the questions that differ most; `sides` names the two evaluations."""
    console.print(wrapping_table(_head(sides), [comparison_row(task) for task in found]))
    for task in found:
        for flip in task.flips[:SHOWN_FLIPS]:
            text = " ".join(flip.text.split())
            short = text if len(text) <= 90 else text[:89] + "…"
            console.print(f"{task.task} {flip.question}: {percent(flip.first)} → {percent(flip.second)}  {short}")
        if len(task.flips) > SHOWN_FLIPS:
            console.print(f"{task.task}: {len(task.flips) - SHOWN_FLIPS} more questions differ.")


def markdown_comparison(found: Sequence[TaskComparison], sides: Sides) -> list[str]:
    """Lines of the table in Markdown."""
    return escaped_table(_head(sides), [comparison_row(task) for task in found])


def comparison_row(task: TaskComparison) -> list[str]:
    """A task's row of the table.

    >>> comparison_row(TaskComparison("gsm8k", 200, 0.5, 0.56, 0.01, 0.11, 0.021, 16, 4, []))
    ['gsm8k', '200', '50.0', '56.0', '+6.0', '+1.0 to +11.0', '0.021', '16', '4']
    """
    return [
        task.task,
        str(task.questions),
        percent(task.first),
        percent(task.second),
        f"{100 * (task.second - task.first):+.1f}",
        f"{100 * task.low:+.1f} to {100 * task.high:+.1f}",
        f"{task.p_value:.3f}",
        str(task.better),
        str(task.worse),
    ]


def _head(sides: Sides) -> list[str]:
    return ["task", "questions", *sides, "change", "95 %", "p", "better", "worse"]
