"""A creator without a writer: new problems of a procedural space, harder or easier as the solver did."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from selfrl.generation import Generator
from selfrl.selfplay.creator import Parent
from selfrl.selfplay.pool import Entry
from selfrl.selfplay.spaces import Space, space_of

Moves = Literal["by_rate", "random"]
OPERATORS = ("easier", "same", "harder")


class ProceduralCreator:
    """Draws children of a prompt from a space of problems, at its levels or one step off.

    A prompt that is solved more often than `up` gets a harder child, one that is solved less often than `down` an
    easier one, and one between a harder one or another of the same levels, each as likely. A step moves one dimension,
    drawn among those that can move. A prompt without levels, or one that was not asked, gets a child at the lowest or
    the same levels.

    Args:
        space: see [`selfrl.selfplay.spaces.space_of`].
        children: of each parent.
        moves: "random" takes easier, same and harder as likely, whatever the solver did: the control.
        up: solve rate above which a child is harder.
        down: solve rate below which it is easier.

    Raises:
        ValueError: for an unknown space or kind of moves, no children, or bounds that cross.

    Example:
        >>> creator = ProceduralCreator("chains")
        >>> seed = Entry.of_seed("Add 3 and 4.", levels={"terms": 0, "largest": 0})
        >>> [child] = creator.create([Parent(seed, solve_rate=1.0)], seed=0)
        >>> child.operator, sum(child.columns["levels"].values()), child.parent == seed.id
        ('harder', 1, True)
    """

    needs_policy = False

    def __init__(
        self, space: str = "chains", children: int = 1, moves: Moves = "by_rate", up: float = 0.7, down: float = 0.2
    ) -> None:
        if moves not in get_args(Moves):
            raise ValueError(f"The creator has no moves {moves!r}: choose {' or '.join(get_args(Moves))}.")
        if children < 1 or not 0 <= down <= up <= 1:
            raise ValueError(
                f"children is {children}, down {down} and up {up}: take 1 child or more, and 0 <= down <= up <= 1."
            )
        self.space: Space = space_of(space)
        self.children, self.moves, self.up, self.down = children, moves, up, down
        self.gives = ("levels", *self.space.gives)

    def create(self, parents: Sequence[Parent], seed: int, policy: Generator | None = None) -> list[Entry]:
        """See [`selfrl.selfplay.creator.Creator`]."""
        return [
            self._child(parent, random.Random(f"{seed}/{i}/{k}"))
            for i, parent in enumerate(parents)
            for k in range(self.children)
        ]

    def _child(self, parent: Parent, rng: random.Random) -> Entry:
        held = parent.entry.columns.get("levels") or {}
        levels = {name: held.get(name, 0) for name in self.space.heights}
        operator = self._operator(parent.solve_rate, rng)
        moved = self._moved(levels, {"easier": -1, "same": 0, "harder": 1}[operator], rng)
        seed = rng.getrandbits(31)
        text, columns = self.space.problem(moved, seed)
        return parent.entry.child(text, operator, self.space.name, seed, levels=moved, **columns)

    def _operator(self, rate: float | None, rng: random.Random) -> str:
        if self.moves == "random":
            return rng.choice(OPERATORS)
        if rate is None:
            return "same"
        if rate > self.up:
            return "harder"
        return "easier" if rate < self.down else rng.choice(("same", "harder"))

    def _moved(self, levels: Mapping[str, int], step: int, rng: random.Random) -> dict[str, Any]:
        free = [name for name, height in self.space.heights.items() if 0 <= levels[name] + step < height]
        if step == 0 or not free:
            return dict(levels)
        name = rng.choice(free)
        return {**levels, name: levels[name] + step}
