"""What became of a curriculum: tables on the screen, and a page with pictures."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import jinja2
from rich.console import Console

from selfrl.evolve.curriculum_pictures import pictures
from selfrl.evolve.curriculum_tables import LONGEST, tables
from selfrl.evolve.curriculum_views import read_run
from selfrl.files import write_whole
from selfrl.text import word_diff

PAGE = "curriculum.html"
SHOWN = 40  # examples of a round on the page


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
    environment.filters["clipped"] = _clipped
    environment.globals["diff"] = lambda example: word_diff(_clipped(example.parent), _clipped(example.child))
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


def _clipped(text: str) -> str:
    return text if len(text) <= 10 * LONGEST else text[: 10 * LONGEST] + " …"
