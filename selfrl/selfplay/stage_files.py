"""What a stage of self-play leaves on disk before the next begins: each file whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from selfrl.files import write_whole

Item = TypeVar("Item")
Json = dict[str, Any]


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_lines(path: Path) -> list[Json]:
    """Read what [`write_lines`] wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def in_parts(
    folder: Path, items: Sequence[Item], size: int, make: Callable[[Sequence[Item], int], Iterable[Mapping[str, Any]]]
) -> list[Json]:
    """What is made of items, `size` at a time, each part in a file of its own; a part that is there is read.

    Args:
        folder: of the files.
        items: the same whenever this is asked.
        size: of a part.
        make: from a part's items and number to its rows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> in_parts(folder, [1, 2, 3], 2, lambda part, number: [{"number": number, "sum": sum(part)}])
        [{'number': 0, 'sum': 3}, {'number': 1, 'sum': 3}]
        >>> len(in_parts(folder, [1, 2, 3], 2, lambda part, number: 1 / 0))
        2
    """
    rows: list[Json] = []
    for number, start in enumerate(range(0, len(items), size)):
        file = folder / f"part-{number:05d}.jsonl"
        if not file.exists():
            write_lines(file, make(items[start : start + size], number))
        rows += read_lines(file)
    return rows


def once(path: Path, make: Callable[[], Json]) -> Json:
    """What a file holds; if it is not there, what is made, which it then holds.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stage.json"
    >>> once(path, lambda: {"chosen": [3]}), once(path, lambda: {})
    ({'chosen': [3]}, {'chosen': [3]})
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(make()) + "\n")
    held: Json = json.loads(path.read_text(encoding="utf-8"))
    return held
