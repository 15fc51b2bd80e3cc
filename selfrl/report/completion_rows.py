"""The last completions of some runs, from the tables that TRL wrote."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from selfrl.conversation import completion_text, prompt_text
from selfrl.report.run_data import RunData

MOST_ROWS = 50_000
MOST_TEXT = 60_000_000  # characters: what browsers hold with ease
MOST_PICTURES = 300
LONGEST = 2_000  # characters of a prompt or a completion: its begin and its end
_STEP = re.compile(r"completions_(\d+)\.parquet")
_REWARD = re.compile(r"rewards/(.+)/mean")
_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT_FILES = 512


class CompletionRow(NamedTuple):
    """One completion.

    Args:
        step: at which it was logged.
        prompt: its text.
        completion: its text.
        key: the answer that was read; None for none, or where that was not logged.
        label: what its group was rewarded by.
        reward: weighted sum of its rewards; None if none scored it.
        advantage: None if that was not logged.
        pictures: PNG files.
    """

    step: int
    prompt: str
    completion: str
    key: str | None
    label: str | None
    reward: float | None
    advantage: float | None
    pictures: tuple[bytes, ...]


class Completions(NamedTuple):
    """What is shown of a run.

    Args:
        rows: the last ones, the oldest first.
        total: how many its tables hold.
        unread: tables that could not be read.
    """

    rows: list[CompletionRow]
    total: int
    unread: list[Path]


def read_completions(run: RunData, most: int, text: int) -> Completions:
    """The last completions of a run.

    Args:
        run: whose.
        most: rows.
        text: characters; whole tables are read until there are as many.
    """
    weights = reward_weights(run)
    files = [(int(match[1]), file) for file in _tables(run.folder.path) if (match := _STEP.fullmatch(file.name))]
    # what lies beyond the last step that was logged is of an earlier run in this folder
    files = sorted((step, file) for step, file in files if step <= run.last_step)
    tables: list[list[CompletionRow]] = []
    rows = characters = total = 0
    unread = []
    for _, file in reversed(files):
        try:
            total += pq.read_metadata(file).num_rows
            if rows < most and characters < text:
                stat = file.stat()
                tables.append(_rows_of(file, stat.st_size, stat.st_mtime_ns, tuple(weights.items())))
                rows += len(tables[-1])
                characters += sum(len(row.prompt) + len(row.completion) for row in tables[-1])
        except (OSError, ValueError, KeyError, TypeError):  # pyarrow's errors are among these
            unread.append(file)
    return Completions([row for table in reversed(tables) for row in table][-most:], total, unread)


def columns_of(runs: Sequence[RunData], most: int) -> dict[str, Any]:
    """The completions of all runs, each with an equal share of `most` rows, as columns for the page; texts once."""
    found = [read_completions(run, most // max(len(runs), 1), MOST_TEXT // max(len(runs), 1)) for run in runs]
    prompts: dict[str, int] = {}
    pictures: dict[bytes, int] = {}
    shown: dict[int, list[int]] = {}
    numbered = [(i, row) for i, part in enumerate(found) for row in part.rows]
    for place in range(len(numbered) - 1, -1, -1):  # the last pictures, if there are too many
        files = numbered[place][1].pictures
        if files and len(pictures.keys() | set(files)) <= MOST_PICTURES:
            shown[place] = [pictures.setdefault(file, len(pictures)) for file in files]
    columns = {
        name: [getattr(row, name) for _, row in numbered]
        for name in ("step", "completion", "key", "label", "reward", "advantage")
    }
    return {
        "run": [i for i, _ in numbered],
        **columns,
        "prompt": [prompts.setdefault(row.prompt, len(prompts)) for _, row in numbered],
        "prompts": list(prompts),
        "shown_pictures": shown,
        "pictures": ["data:image/png;base64," + base64.b64encode(file).decode() for file in pictures],
        "note": _note(found, any(row.pictures and i not in shown for i, (_, row) in enumerate(numbered))),
    }


def reward_weights(run: RunData) -> dict[str, float]:
    """Weight of each reward that was logged."""
    names = dict.fromkeys(match[1] for row in run.metrics for key in row if (match := _REWARD.fullmatch(key)))
    weights = run.recipe.get("reward_weights")
    if isinstance(weights, list) and len(weights) == len(names):
        return dict(zip(names, map(float, weights), strict=True))
    return dict.fromkeys(names, 1.0)


def clipped(text: str, longest: int = LONGEST) -> str:
    """Begin and end of a text that is too long.

    >>> clipped("abcdefgh", 4)
    'ab […] gh'
    """
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} […] {text[-half:]}"


def _note(found: Sequence[Completions], pictures_left_out: bool) -> str:
    total, rows = sum(part.total for part in found), sum(len(part.rows) for part in found)
    parts = [f"The last {rows:,} of {total:,} completions." if rows < total else f"{rows:,} completions."]
    if any(" […] " in row.completion or " […] " in row.prompt for part in found for row in part.rows):
        parts.append(f"Texts of more than {LONGEST:,} characters show their begin and end.")
    if pictures_left_out:
        parts.append(f"Pictures of the last rows only, {MOST_PICTURES} in all.")
    parts += [f"{file} could not be read." for part in found for file in part.unread]
    return " ".join(parts)


def _tables(folder: Path) -> list[Path]:
    return list((folder / "completions").glob("completions_*.parquet"))


@lru_cache(maxsize=_KEPT_FILES)  # a live page reads the same tables again; size and time tell a new one
def _rows_of(file: Path, size: int, changed: int, weights: tuple[tuple[str, float], ...]) -> list[CompletionRow]:
    return [_row(row, dict(weights)) for row in pq.read_table(file).to_pylist()]


def _row(row: Mapping[str, Any], weights: Mapping[str, float]) -> CompletionRow:
    known = [weight * row[name] for name, weight in weights.items() if _number(row.get(name)) is not None]
    return CompletionRow(
        row["step"],
        clipped(prompt_text(row["prompt"])),
        clipped(completion_text(row["completion"])),
        row.get("key"),
        row.get("label"),
        round(sum(known), 6) if known else None,
        _number(row.get("advantage")),
        tuple(data for picture in row.get("images") or () if (data := picture["bytes"]) and data.startswith(_PNG)),
    )


def _number(value: Any) -> float | None:
    """A finite number, shortened."""
    finite = isinstance(value, int | float) and abs(value) < float("inf")
    return round(float(value), 6) if finite else None
