"""Tables on the screen and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table.

    >>> markdown_table(["a", "b"], [["1", "2"]])
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def escaped_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table whose cells may hold bars.

    >>> escaped_table(["a"], [["x|y"]])[-1]
    '| x\\\\|y |'
    """
    return markdown_table(head, [[text.replace("|", r"\|") for text in row] for row in rows])


def wrapping_table(head: Sequence[str], title: str | None = None) -> Table:
    """A table that breaks lines on a narrow screen, and cuts nothing off."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=i == 0)
    return table


def percent(value: float) -> str:
    """A share as a percentage.

    >>> percent(0.1234)
    '12.3'
    """
    return f"{100 * value:.1f}"
