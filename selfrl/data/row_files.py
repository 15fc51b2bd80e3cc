"""Rows of .jsonl, .json and .csv files, with every value as it was written."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

Row = dict[str, Any]

INT64 = range(-(2**63), 2**63)
FLOAT_DIGITS = 15  # more are not kept by a float
_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)\.\d+")


def read_row_file(path: Path) -> Dataset:
    """Rows of a file, for columns that no type fits as texts.

    A number stays what it is: a column with a whole number beyond 64 bits, or with numbers beside texts, is a column of
    texts. In a .csv only an empty cell is missing: "NA" is a text. The rows of a .json file are its list, or the one
    list in its object.

    Raises:
        ValueError: for a file that is malformed or holds no rows.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = {".csv": _csv_rows, ".json": _json_rows, ".jsonl": _jsonl_rows}[path.suffix](text)
    except (csv.Error, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): mend the file.") from error
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    if not rows:
        raise ValueError(f"{path} holds no rows: check the file.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Dataset.from_dict({name: column([row.get(name) for row in rows]) for name in names})


def column(values: Sequence[Any]) -> list[Any]:
    """Values of one column, as texts where they are not all of one kind or a number is too long for its type.

    >>> column([1, None, 2**70]), column([1, "x"]), column([1, 2.5])
    (['1', None, '1180591620717411303424'], ['1', 'x'], [1.0, 2.5])
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and all(abs(value) <= 2**53 for value in values if value is not None):
        return [None if value is None else float(value) for value in values]
    too_long = int in kinds and any(isinstance(value, int) and value not in INT64 for value in values)
    if too_long or (len(kinds) > 1 and kinds <= {int, float, str, bool}):
        return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return list(values)


def _jsonl_rows(text: str) -> list[Row]:
    return _dicts([json.loads(line) for line in text.splitlines() if line.strip()])


def _json_rows(text: str) -> list[Row]:
    if not text.strip():
        return []
    held = json.loads(text)
    lists = [value for value in held.values() if isinstance(value, list)] if isinstance(held, dict) else [held]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise ValueError("must be a list of rows, or an object with one such list.")
    return _dicts(lists[0])


def _dicts(rows: list[Any]) -> list[Row]:
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("must be a list of rows, or an object with one such list.")
    return rows


def _csv_rows(text: str) -> list[Row]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    rows = list(reader)
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"has {len(reader.fieldnames or ())} columns, but not in row {number}: mend the file.")
    names = reader.fieldnames or ()
    columns = {name: _typed([row[name] for row in rows]) for name in names}
    return [{name: columns[name][i] for name in names} for i in range(len(rows))]


def _typed(cells: Iterable[str]) -> list[Any]:
    """Cells as whole numbers or decimals if all of them are such, and are kept by their type; else as texts."""
    texts = [cell if cell.strip() else None for cell in cells]
    held = [text for text in texts if text is not None]
    if held and all(_INTEGER.fullmatch(text) and int(text) in INT64 for text in held):
        return [None if text is None else int(text) for text in texts]
    numbers = all(_INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text) for text in held)
    if held and numbers and all(len(text.lstrip("-0.").replace(".", "")) <= FLOAT_DIGITS for text in held):
        return [None if text is None else float(text) for text in texts]
    return list(texts)
