"""The prompts of a self-play run: where each comes from, how it was solved, and which come next."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selfrl.files import whole_file
from selfrl.selfplay.selection import checked_weights

SEED_OPERATOR = "seed"


@dataclass(frozen=True)
class Entry:
    """A prompt and its descent.

    Args:
        id: its own.
        text: what is asked.
        parent: id of the prompt that it was made from; None for a seed.
        root: id of the seed that it descends from.
        depth: how many steps from it.
        operator: what made it of its parent.
        writer: who wrote it.
        seed: of the writer's sampling.
        columns: what else a row has, such as its answer; values that JSON can write.
    """

    id: str
    text: str
    parent: str | None
    root: str
    depth: int
    operator: str
    writer: str
    seed: int
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_seed(cls, text: str, **columns: Any) -> Entry:
        """A prompt that nobody wrote for this run.

        >>> Entry.of_seed("2+2?", answer="4").depth
        0
        """
        name = uuid.uuid5(uuid.NAMESPACE_OID, text).hex
        return cls(name, text, None, name, 0, SEED_OPERATOR, "data", 0, columns)

    def under(self, parent: Entry) -> Entry:
        """The same prompt as a child of another forebear: the one between them was refused."""
        return self if self.parent == parent.id else replace(self, parent=parent.id)

    def child(self, text: str, operator: str, writer: str, seed: int, **columns: Any) -> Entry:
        """A prompt that a writer made of this one.

        >>> parent = Entry.of_seed("2+2?")
        >>> child = parent.child("2+2+2?", "deepen", "policy", 0)
        >>> child.parent == child.root == parent.id, child.depth
        (True, 1)
        """
        name = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.id}/{operator}/{writer}/{seed}/{text}").hex
        return Entry(name, text, self.id, self.root, self.depth + 1, operator, writer, seed, columns)


class PromptPool:
    """Prompts in the order in which they came; none is ever changed or taken away.

    Of each it knows how often it was visited, its mean reward, and the weight by which it is drawn.

    Args:
        entries: to begin with.

    Raises:
        ValueError: for an id that stands twice, or a parent that is not there.

    Example:
        >>> pool = PromptPool([Entry.of_seed("2+2?"), Entry.of_seed("3+3?")])
        >>> pool.scored([0, 0, 1], [1.0, 0.0, 1.0])
        >>> pool.visits.tolist(), pool.solve_rates.tolist()
        ([2, 1], [0.5, 1.0])
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        self._numbers: dict[str, int] = {}
        self._visits, self._sums, self._weights = (np.zeros(1024, dtype=t) for t in (np.int64, np.float64, np.float64))
        self._written = 0  # entries that stand on disk
        self.add(entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __getitem__(self, name: str) -> Entry:
        """The prompt of an id."""
        return self.entries[self._numbers[name]]

    def place(self, name: str) -> int:
        """The place of an id."""
        return self._numbers[name]

    def add(self, entries: Iterable[Entry]) -> list[int]:
        """Add prompts, and give their places. They are not weighed yet: see [`weigh`]."""
        places = []
        for entry in entries:
            if entry.id in self._numbers:
                raise ValueError(f"The pool has the prompt {entry.id} already: a prompt is added once.")
            if entry.parent is not None and entry.parent not in self._numbers:
                raise ValueError(f"The prompt {entry.id} has the parent {entry.parent}, which is not in the pool.")
            places.append(len(self.entries))
            self._numbers[entry.id] = places[-1]
            self.entries.append(entry)
        if len(self.entries) > len(self._visits):
            size = max(2 * len(self._visits), len(self.entries))
            self._visits, self._sums, self._weights = (
                np.concatenate([column, np.zeros(size - len(column), dtype=column.dtype)])
                for column in (self._visits, self._sums, self._weights)
            )
        return places

    @property
    def visits(self) -> np.ndarray:
        """(Q,) responses that were scored."""
        return self._visits[: len(self)]

    @property
    def solve_rates(self) -> np.ndarray:
        """(Q,) mean reward of these; NaN without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.visits > 0, self._sums[: len(self)] / np.maximum(self.visits, 1), np.nan)

    @property
    def weights(self) -> np.ndarray:
        """(Q,) by which prompts are drawn."""
        return self._weights[: len(self)]

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Visits, sums of rewards and weights, each (Q,)."""
        return self.visits, self._sums[: len(self)], self.weights

    def restore(self, scores: Sequence[Sequence[float]]) -> None:
        """Set what [`scores`] gave; prompts that came later have none."""
        for column, values in zip((self._visits, self._sums, self._weights), scores, strict=True):
            count = min(len(values), len(self))
            column[:count] = values[:count]

    def scored(self, places: Sequence[int], rewards: Sequence[float]) -> None:
        """Count rewards of responses to the prompts at some places; a place may come again."""
        np.add.at(self._visits, np.asarray(places, dtype=np.int64), 1)
        np.add.at(self._sums, np.asarray(places, dtype=np.int64), np.asarray(rewards, dtype=float))

    def weigh(self, places: Sequence[int], weights: Sequence[float]) -> None:
        """Give prompts new weights.

        Raises:
            ValueError: for a weight that is negative or not finite.
        """
        self._weights[np.asarray(places, dtype=np.int64)] = checked_weights(weights)

    def save(self, folder: Path) -> None:
        """Write what is new: prompts as a further Parquet file, then visits, rewards and weights, each whole or not.

        A kill between the two loses scores of prompts that came last, and no prompt.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self._written < len(self):
            rows = [
                {**asdict(entry), "columns": json.dumps(dict(entry.columns))} for entry in self.entries[self._written :]
            ]
            with whole_file(folder / f"prompts-{self._written:09d}.parquet") as part:
                pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), part)
            self._written = len(self)
        scores = dict(zip(_SCORES, self.scores, strict=True))
        with whole_file(folder / "scores.parquet") as part:
            pq.write_table(pa.table(scores), part)

    @classmethod
    def load(cls, folder: Path) -> PromptPool:
        """Read a pool.

        Raises:
            ValueError: for a folder that holds none.
        """
        files = sorted(folder.glob("prompts-*.parquet"))
        if not files:
            raise ValueError(f"{folder} holds no prompt pool: name the folder of a `selfrl evolve` run.")
        pool = cls()
        for file in files:
            for row in pq.read_table(file).to_pylist():
                pool.add([Entry(**{**row, "columns": json.loads(row["columns"])})])
        pool._written = len(pool)
        if (folder / "scores.parquet").exists():
            scores = pq.read_table(folder / "scores.parquet")
            pool.restore([scores[name].to_numpy() for name in _SCORES])
        return pool


def forebear(child: Entry, written: Mapping[str, Entry], pool: PromptPool) -> Entry:
    """The nearest forebear of a child that is in the pool: a link of its chain may have been refused.

    >>> seed = Entry.of_seed("2+2?")
    >>> link = seed.child("2+2+2?", "deepen", "policy", 0)
    >>> forebear(link.child("2+2+2+2?", "deepen", "policy", 0), {link.id: link}, PromptPool([seed])).text
    '2+2?'
    """
    name = child.parent
    while name is not None and name not in pool:
        name = written[name].parent
    if name is None:
        raise ValueError(f"The prompt {child.id} descends from none in the pool: a creator must name its parents.")
    return pool[name]


_SCORES = ("visits", "sums", "weights")
_WHOLE_NUMBERS = {"depth", "seed"}
_SCHEMA = pa.schema([(f.name, pa.int64() if f.name in _WHOLE_NUMBERS else pa.string()) for f in fields(Entry)])
