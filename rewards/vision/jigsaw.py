"""Jigsaw (SSL4RL, 2510.16416; rewards of Visual Jigsaw, 2509.25190, and Jigsaw-R1, 2505.23590)."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from selfrl.rewards.pretext_answers import numbers, read_order
from selfrl.rewards.pretext_task import FORM, Credit, Item
from selfrl.rewards.vision.picture_task import PictureTask, Source, numbered

SHARE_CREDIT = 0.2  # Visual Jigsaw's γ
_GRID = re.compile(r"([1-9])(?:x([1-9]))?")


@dataclass(frozen=True)
class Jigsaw(PictureTask):
    """The tiles of a picture, shuffled, as one picture each: which order puts them right?

    What does not divide by the grid is cut off the right and bottom edge, so all tiles have one size. Every order is
    as likely as any other, the right one too.

    Args:
        grid: rows x columns, as in "2x1"; "3" is "3x3".
        direction: "inverse" asks which shown tile belongs in each cell, row by row; "forward" asks for the cell of
            each shown tile. Both are the same for 10 of the 24 orders of 2x2.

    Raises:
        ValueError: for another grid, or one of a single tile, or another direction.

    Example:
        >>> inverse([3, 1, 4, 2])
        [2, 4, 1, 3]
        >>> Jigsaw(grid="2x1").chance, Jigsaw().read("2, 4, 1, 3"), Jigsaw().read("2")
        (0.5, '2,4,1,3', None)
    """

    grid: str = "2x2"
    direction: Literal["inverse", "forward"] = "inverse"
    name: ClassVar[str] = "jigsaw"
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"grid": "2x1"}, {"grid": "2x2"}, {"grid": "3x3"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _GRID.fullmatch(str(self.grid)) or self.tiles < 2:
            raise ValueError(f"grid of jigsaw is {self.grid!r}: write rows x columns, as in 2x1 or 3x3.")
        if self.direction not in ("inverse", "forward"):
            raise ValueError(f"direction of jigsaw is {self.direction!r}: choose inverse or forward.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        match = _GRID.fullmatch(str(self.grid))
        assert match
        return int(match[1]), int(match[2] or match[1])

    @property
    def tiles(self) -> int:
        """How many tiles there are."""
        rows, columns = self.shape
        return rows * columns

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        rows, columns = self.shape
        width, height = source.picture.width // columns, source.picture.height // rows
        cells = [
            source.picture.crop((c * width, r * height, (c + 1) * width, (r + 1) * height))
            for r in range(rows)
            for c in range(columns)
        ]
        self.check_size(*cells)
        shown = rng.sample(range(1, self.tiles + 1), self.tiles)  # the cell of each shown tile
        order = inverse(shown) if self.direction == "inverse" else shown
        layout = f"{rows} row{'s' * (rows > 1)} and {columns} column{'s' * (columns > 1)}"
        asked = (
            "Give the numbers of the tiles in the order in which they belong, row by row from the top left"
            if self.direction == "inverse"
            else "Give for each tile, in the order shown, the number of the place where it belongs; places are counted "
            "row by row from the top left"
        )
        question = (
            f"\nA picture was cut into {layout} of tiles, which were shuffled. {asked}: each of 1 to {self.tiles} "
            f"once, separated by commas. {FORM}"
        )
        tiles = numbered([cells[cell - 1] for cell in shown], "Tile")
        return Item((*tiles, question), ",".join(map(str, order)), {"shown": shown})

    @property
    def chance(self) -> float:
        """One order of all."""
        return 1 / math.factorial(self.tiles)

    def read(self, said: str) -> str | None:
        """A permutation of the tiles' numbers."""
        return read_order(said, numbers(self.tiles))

    def score(self, said: str, gold: str, credit: Credit = "graded") -> float:
        """1 for the right order; else what `credit` gives for a part of it.

        - "exact": nothing.
        - "graded" (Visual Jigsaw): 0.2 of the share of tiles in place, for more than 4 tiles; 3x3 needs it.
        - "places" (SSL4RL, Jigsaw-R1): the share of tiles in place.
        - "neighbours" (Jigsaw-R1): the share of right neighbours, see [`neighbour_share`].
        """
        said_order, gold_order = _numbers(said), _numbers(gold)
        if said_order == gold_order:
            return 1.0
        share = place_share(said_order, gold_order)
        if credit == "places":
            return share
        if credit == "neighbours":
            if self.direction == "forward":
                said_order, gold_order = inverse(said_order), inverse(gold_order)
            return neighbour_share(said_order, gold_order, *self.shape)
        return SHARE_CREDIT * share if credit == "graded" and self.tiles > 4 else 0.0


def _numbers(order: str) -> list[int]:
    return [int(number) for number in order.split(",")]


def inverse(order: Sequence[int]) -> list[int]:
    """The inverse of a permutation of 1 … K.

    >>> inverse([2, 4, 1, 3])
    [3, 1, 4, 2]
    """
    return [order.index(i) + 1 for i in range(1, len(order) + 1)]


def place_share(said: Sequence[int], gold: Sequence[int]) -> float:
    """Share of equal places.

    >>> place_share([1, 2, 3, 9, 8, 7, 6, 5, 4], [1, 2, 3, 4, 5, 6, 7, 9, 8]) * SHARE_CREDIT
    0.06666666666666667
    """
    return sum(a == b for a, b in zip(said, gold, strict=True)) / len(gold)


def neighbour_share(said: Sequence[int], gold: Sequence[int], rows: int, columns: int) -> float:
    """Share of the picture's 2mn − m − n pairs of neighbours that stand beside each other as they should.

    Args:
        said: tile of each cell, row by row.
        gold: tile of each cell in the picture.
        rows: m.
        columns: n.

    Example:
        >>> neighbour_share([3, 1, 4, 2], [1, 2, 3, 4], 2, 2), neighbour_share([1, 2, 4, 3], [1, 2, 3, 4], 2, 2)
        (0.0, 0.25)
    """
    kept = _neighbours(said, rows, columns) & _neighbours(gold, rows, columns)
    return len(kept) / (2 * rows * columns - rows - columns)


def _neighbours(order: Sequence[int], rows: int, columns: int) -> set[tuple[int, int, str]]:
    across = {
        (order[r * columns + c], order[r * columns + c + 1], "right") for r in range(rows) for c in range(columns - 1)
    }
    down = {
        (order[r * columns + c], order[(r + 1) * columns + c], "below") for r in range(rows - 1) for c in range(columns)
    }
    return across | down
