"""What became of a curriculum: tables on the screen, and a page with pictures."""

from __future__ import annotations

import importlib.resources
import unicodedata
from pathlib import Path

import jinja2
from rich.console import Console

from selfrl.evolve.curriculum_pictures import pictures
from selfrl.evolve.curriculum_tables import LONGEST, tables
from selfrl.evolve.curriculum_views import read_run
from selfrl.files import write_whole
from selfrl.text import Piece, word_diff

PAGE = "curriculum.html"
SHOWN = 40  # examples of a round on the page
DIFFED = 150  # words, as many as the gate lets through: a diff of two texts takes up to the cube of their length


def show(folder: Path, console: Console) -> None:
    """Print the tables of a run, and write `curriculum.html` into its folder.

    Raises:
        ValueError: for a folder that holds no run.
    """
    pool, rounds = read_run(folder)
    for table in tables(rounds):
        console.print(table)
    template = (importlib.resources.files("selfrl.evolve") / "curriculum_page.html.j2").read_text()
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clipped"] = clipped
    environment.globals["diff"] = diff
    page = environment.from_string(template).render(
        folder=folder.name,
        prompts=len(pool),
        seeds=sum(entry.depth == 0 for entry in pool),
        rounds=rounds,
        pictures=pictures(pool, rounds),
        shown=SHOWN,
    )
    write_whole(folder / PAGE, page)
    console.print(f"Page: {folder / PAGE}", soft_wrap=True)


def clipped(text: str) -> str:
    """A text for the page: not too long, and without what is not seen or turns the order of letters.

    >>> clipped("a\\x00\\u202eb\\n" + "c" * 5000)[:6]
    'a��b\\nc'
    """
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" and c not in "\n\t" else c
        for c in text[: 10 * LONGEST]
    )
    return shown if len(text) <= 10 * LONGEST else shown + " …"


def diff(parent: str, child: str) -> list[Piece]:
    """What the page marks in a child; nothing where one of the two is too long to compare.

    >>> [piece.kind for piece in diff("Add 3.", "Add 4.")], [piece.kind for piece in diff("a " * 1500, "b " * 1500)]
    (['same', 'gone', 'new'], ['same'])
    """
    old, new = clipped(parent), clipped(child)
    if max(len(old.split()), len(new.split())) > DIFFED:
        return [Piece("same", new)]
    return word_diff(old, new)
