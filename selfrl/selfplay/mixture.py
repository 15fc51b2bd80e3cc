"""What a round trains on: evolved prompts, and originals beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

Item = TypeVar("Item")


class Mixture(NamedTuple, Generic[Item]):
    """Prompts of a round, in a random order.

    Args:
        items: all of them.
        evolved: how many were evolved.
    """

    items: list[Item]
    evolved: int

    @property
    def evolved_share(self) -> float:
        """Realised; 0 of none."""
        return self.evolved / max(len(self.items), 1)


def mixture(
    evolved: Sequence[Item], originals: Sequence[Item], share: float, total: int, rng: np.random.Generator
) -> Mixture[Item]:
    """So many prompts, a share of them evolved; too few evolved ones are topped up with originals, and no item twice.

    Args:
        evolved: that the gate accepted.
        originals: those to take first stand first, each as often as it is.
        share: of the evolved.
        total: prompts wanted; fewer if there are fewer.

    Example:
        >>> mixed = mixture(["a", "b", "c"], ["x", "y"], share=0.8, total=4, rng=np.random.default_rng(0))
        >>> sorted(mixed.items), mixed.evolved, mixed.evolved_share
        (['a', 'b', 'c', 'x'], 3, 0.75)
    """
    wanted = min(round(share * total), len(evolved))
    taken = [evolved[i] for i in rng.choice(len(evolved), wanted, replace=False)] if wanted else []
    items = [*taken, *originals[: max(total - wanted, 0)]]
    return Mixture([items[i] for i in rng.permutation(len(items))], wanted)
