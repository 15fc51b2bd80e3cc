"""Tables on the screen and in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

WHOLE = 16  # characters up to which a word is not broken


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


def wrapping_table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> Table:
    """A table for a screen of 80 columns: nothing is cut off, and no number or word of the head is broken.

    Names of columns break at blanks where the cells are narrower, so that a number takes no more room than it needs.
    Columns of longer texts share what is left; only words of more than 16 characters break where they must.

    Args:
        head: names of the columns.
        rows: as many cells each.
        title: stands above.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for name, cells in zip(head, zip(*rows, strict=True) if rows else [()] * len(head), strict=True):
        widest = max(map(len, cells), default=0)
        word = max((len(word) for text in (name, *cells) for word in text.split()), default=1)
        lines = textwrap.wrap(name, max(word, min(widest, WHOLE)), break_on_hyphens=False)
        # rich takes from the widest column that may be broken, whatever its words are
        table.add_column("\n".join(lines), overflow="fold", no_wrap=widest <= word <= WHOLE)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def percent(value: float) -> str:
    """A share as a percentage.

    >>> percent(0.1234)
    '12.3'
    """
    return f"{100 * value:.1f}"
