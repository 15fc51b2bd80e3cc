"""Which prompts to evolve, by their weights: in proportion, the largest, by quantiles, or balanced over topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

STRATA = 10
WEIGHT_SHARE = 0.75  # of a balanced weight; the rest is that of its topic


class Selection(NamedTuple):
    """Chosen prompts.

    Args:
        chosen: their numbers, each once.
        filled: how many of them had no weight, and came in because too few had.
    """

    chosen: list[int]
    filled: int


def gumbel_top_k(weights: Sequence[float] | np.ndarray, count: int, rng: np.random.Generator) -> Selection:
    """`count` prompts without replacement, each draw in proportion to the weights that are left.

    The largest log w + Gumbel noise are as likely chosen as by drawing one after the other. If too few have a weight,
    all of them are taken, and the others fill the rest, each as likely.

    Raises:
        ValueError: for a count that is not from 0 to the number of prompts, or weights that are negative or not finite.

    Example:
        >>> gumbel_top_k([0.0, 1.0, 0.0], 2, np.random.default_rng(0)).filled
        1
    """
    weights_Q = _checked(weights, count)
    with np.errstate(divide="ignore"):
        keys_Q = np.log(weights_Q) + rng.gumbel(size=len(weights_Q))
    positive = int((weights_Q > 0).sum())
    if positive >= count:
        return Selection(_largest(keys_Q, count), 0)
    taken = np.flatnonzero(weights_Q > 0)
    rest = rng.choice(np.flatnonzero(weights_Q == 0), size=count - positive, replace=False)
    return Selection([*taken.tolist(), *rest.tolist()], count - positive)


def greedy(weights: Sequence[float], count: int, rng: np.random.Generator) -> Selection:
    """The prompts of largest weight; equal ones in a random order.

    >>> greedy([0.1, 0.6, 0.3], 2, np.random.default_rng(0)).chosen
    [1, 2]
    """
    weights_Q = _checked(weights, count)
    order = rng.permutation(len(weights_Q))
    chosen = order[np.argsort(-weights_Q[order], kind="stable")][:count]
    return Selection(chosen.tolist(), int((weights_Q[chosen] == 0).sum()))


def stratified(weights: Sequence[float], count: int, rng: np.random.Generator) -> Selection:
    """As large a share of each of ten quantile bins of the weights, in proportion within a bin.

    Bins with equal edges are one; what rounding leaves over is drawn from all that are left.

    >>> sorted(stratified([0.0, 0.1, 0.2, 0.7], 4, np.random.default_rng(0)).chosen)
    [0, 1, 2, 3]
    """
    weights_Q = _checked(weights, count)
    edges = np.unique(np.quantile(weights_Q, np.linspace(0, 1, STRATA + 1)))
    bins_Q = np.clip(np.searchsorted(edges, weights_Q, side="left") - 1, 0, max(len(edges) - 2, 0))
    chosen: list[int] = []
    filled = 0
    for stratum in range(max(len(edges) - 1, 1)):
        members = np.flatnonzero(bins_Q == stratum)
        part = gumbel_top_k(weights_Q[members].tolist(), len(members) * count // max(len(weights_Q), 1), rng)
        chosen += members[part.chosen].tolist()
        filled += part.filled
    left = np.setdiff1d(np.arange(len(weights_Q)), chosen)
    rest = gumbel_top_k(weights_Q[left].tolist(), count - len(chosen), rng)
    return Selection(chosen + left[rest.chosen].tolist(), filled + rest.filled)


SELECTIONS: dict[str, Callable[[Sequence[float], int, np.random.Generator], Selection]] = {
    "proportional": gumbel_top_k,
    "greedy": greedy,
    "stratified": stratified,
}


def balanced(weights: Sequence[float], topics: Sequence[Hashable], share: float = WEIGHT_SHARE) -> list[float]:
    """Weights mixed with those of their topics: share · w + (1 − share) · 1 / topic's frequency, normalised.

    Raises:
        ValueError: for another number of topics, or a share outside 0 and 1.

    Example:
        >>> [round(w, 4) for w in balanced([0, 0.133333, 0.533333, 0.333333], "aaab")]
        [0.0417, 0.1417, 0.4417, 0.375]
    """
    if len(topics) != len(weights):
        raise ValueError(f"{len(weights)} weights have {len(topics)} topics: give one for each.")
    if not 0 <= share <= 1:
        raise ValueError(f"The share of the weights is {share}: it must lie between 0 and 1.")
    counts = Counter(topics)
    inverse = [1 / counts[topic] for topic in topics]
    total = sum(inverse)
    return [share * w + (1 - share) * v / total for w, v in zip(weights, inverse, strict=True)]


def _largest(keys_Q: np.ndarray, count: int) -> list[int]:
    """Numbers of the largest keys, the largest first; of a million without sorting them all."""
    if count == 0:
        return []
    top = np.argpartition(-keys_Q, count - 1)[:count]
    return top[np.argsort(-keys_Q[top])].tolist()


def _checked(weights: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    weights_Q = checked_weights(weights)
    if weights_Q.ndim != 1:
        raise ValueError(f"weights {weights_Q.shape} must be (Q,), one a prompt.")
    if not 0 <= count <= len(weights_Q):
        raise ValueError(f"{count} of {len(weights_Q)} prompts are asked for: it must be from 0 to all of them.")
    return weights_Q


def checked_weights(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights as numbers.

    Raises:
        ValueError: for one that is negative or not finite.
    """
    values = np.asarray(weights, dtype=float)
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("A weight is negative or not finite: weigh prompts with selfrl.selfplay.informativeness.")
    return values
