"""Spaces of procedural problems with a difficulty that can be set: ours, and reasoning-gym's."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Protocol

from selfrl.data.sum_chains import LARGEST, TERMS, draw_chains
from selfrl.installation import mend

Levels = Mapping[str, int]
REASONING_GYM = "reasoning_gym:"


class Space(Protocol):
    """Problems by the levels of their difficulty.

    Attributes:
        name: what a prompt's writer is called.
        heights: dimension of difficulty → how many levels it has, from 0.
        gives: columns that a problem has beside its text and levels.
    """

    @property
    def name(self) -> str:
        """See the class."""

    @property
    def heights(self) -> Mapping[str, int]:
        """See the class."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See the class."""

    def problem(self, levels: Levels, seed: int) -> tuple[str, dict[str, Any]]:
        """A problem at these levels: its text and its columns."""
        ...


class Chains:
    """Sums one after the other, see [`selfrl.data.sum_chains`], with the numbers of the training split.

    >>> text, columns = Chains().problem({"terms": 2, "largest": 1}, seed=0)
    >>> text.count("then"), columns["answer"].isdigit()
    (2, True)
    """

    name = "chains"
    heights: Mapping[str, int] = {"terms": len(TERMS), "largest": len(LARGEST)}
    gives = ("answer",)

    def problem(self, levels: Levels, seed: int) -> tuple[str, dict[str, Any]]:
        """See [`Space`]."""
        rng = random.Random(f"chains/{seed}")
        chain = next(draw_chains(TERMS[levels["terms"]], LARGEST[levels["largest"]], "train", rng))
        return chain.text + "\n", {"answer": str(chain.answer)}


class ReasoningGym:
    """A family of reasoning-gym, moved by its own curriculum.

    Args:
        family: its name, as in chain_sum.

    Raises:
        ValueError: for a family without a curriculum.
        ImportError: without reasoning-gym.

    Example:
        >>> space = ReasoningGym("chain_sum")
        >>> text, columns = space.problem({"num_terms": 1, "num_digits": 0}, seed=0)
        >>> sorted(space.heights), columns["answer"].lstrip("-").isdigit()
        (['num_digits', 'num_terms'], True)
    """

    gives = ("answer",)

    def __init__(self, family: str) -> None:
        try:
            from reasoning_gym import factory
        except ImportError as error:
            raise ImportError(f"Procedural problems need reasoning-gym: {mend('eval')}.") from error
        if not factory.has_curriculum(family):
            raise ValueError(f"reasoning-gym has no curriculum for {family!r}: name one of its families that has.")
        self.family, self.name = family, REASONING_GYM + family
        attributes = factory.create_curriculum(family).attributes
        self.heights = {name: len(attribute.levels) for name, attribute in attributes.items()}

    def problem(self, levels: Levels, seed: int) -> tuple[str, dict[str, Any]]:
        """See [`Space`]; answers are compared by ours: some of reasoning-gym's graders run what a model said."""
        from reasoning_gym import factory

        curriculum = factory.create_curriculum(self.family)
        for name, level in levels.items():
            curriculum.set_attr_level(name, level)
        config = curriculum.generate_configuration({"seed": seed, "size": 1})
        item = factory.DATASETS[self.family][0](config)[0]
        return str(item["question"]), {"answer": str(item["answer"])}


def space_of(name: str) -> Space:
    """The space of a name: "chains", or "reasoning_gym:FAMILY".

    Raises:
        ValueError: for another name.
    """
    if name == Chains.name:
        return Chains()
    if name.startswith(REASONING_GYM):
        return ReasoningGym(name.removeprefix(REASONING_GYM))
    raise ValueError(f"The procedural space {name!r} is unknown: take chains, or reasoning_gym:FAMILY.")
