"""How much a prompt can teach, from the rewards of n responses to it (eva, 2411.00062)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from selfrl.rewards import proposer


def gap(rewards: Sequence[float]) -> float:
    """Best minus worst, eva's own measure.

    >>> round(gap([0.1, 0.4, 0.7, 0.2, 0.3, 0.9]), 6)
    0.8
    """
    return max(rewards) - min(rewards)


def best_over_mean(rewards: Sequence[float]) -> float:
    """Best minus mean.

    >>> round(best_over_mean([0.1, 0.4, 0.7, 0.2, 0.3, 0.9]), 6)
    0.466667
    """
    return max(rewards) - fmean(rewards)


def best_over_second(rewards: Sequence[float]) -> float:
    """Best minus second best; 0 of a single one.

    >>> round(best_over_second([0.1, 0.4, 0.7, 0.2, 0.3, 0.9]), 6)
    0.2
    """
    best, second = (*sorted(rewards, reverse=True), rewards[0])[:2]
    return best - second


def variance(rewards: Sequence[float]) -> float:
    """Population variance.

    >>> round(variance([0.1, 0.4, 0.7, 0.2, 0.3, 0.9]), 6)
    0.078889
    """
    return pvariance(rewards)


def inverse_mean(rewards: Sequence[float]) -> float:
    """Minus the mean: the weights' min-max makes of it 1 − min-max of the means. The authors' script has it by default.

    >>> inverse_mean([0.0, 0.5, 1.0])
    -0.5
    """
    return -fmean(rewards)


def learnability(rewards: Sequence[float]) -> float:
    """4 p (1 − p) of the mean reward p.

    Raises:
        ValueError: for a mean outside 0 and 1.

    Example:
        >>> [learnability([p]) for p in (0.0, 0.125, 0.5, 1.0)]
        [0.0, 0.4375, 1.0, 0.0]
    """
    rate = fmean(rewards)
    if not 0 <= rate <= 1:
        raise ValueError(f"Learnability needs rewards from 0 to 1, but their mean is {rate}: take another measure.")
    return proposer.learnability(rate)


def uniform(rewards: Sequence[float]) -> float:
    """1 for every prompt: the control.

    >>> uniform([0.0, 1.0])
    1.0
    """
    return 1.0


MEASURES: dict[str, Callable[[Sequence[float]], float]] = {
    "gap": gap,
    "best_over_mean": best_over_mean,
    "best_over_second": best_over_second,
    "variance": variance,
    "inverse_mean": inverse_mean,
    "learnability": learnability,
    "uniform": uniform,
}


@dataclass(frozen=True)
class Weights:
    """Weights of prompts, which sum to 1 over those that were kept.

    Args:
        values: one a prompt; 0 for one that was dropped.
        dropped: numbers of the prompts with a missing or non-finite reward, or none.
        degenerate: whether all measures were equal, so that the weights are uniform.
    """

    values: tuple[float, ...]
    dropped: tuple[int, ...]
    degenerate: bool


def weights_of(rewards: Sequence[Sequence[float | None]], measure: str = "gap") -> Weights:
    """Weights of prompts: the measure's min-max over them, divided by its sum. The least informative one has none.

    Args:
        rewards: of each prompt's responses; None where one could not be scored.
        measure: a name in [`MEASURES`].

    Raises:
        ValueError: for an unknown measure, or no prompt whose rewards are all there.

    Example:
        >>> weights = weights_of([[0, 0], [0, 0.2], [0, 0.8], [0, 0.5], [0.5, None]])
        >>> [round(w, 6) for w in weights.values], weights.dropped
        ([0.0, 0.133333, 0.533333, 0.333333, 0.0], (4,))
        >>> weights_of([[0, 1], [0, 1]]).degenerate
        True
    """
    if measure not in MEASURES:
        raise ValueError(f"Measure {measure!r} is unknown: choose one of {', '.join(MEASURES)}.")
    whole = [[float(r) for r in group if r is not None and math.isfinite(r)] if group else [] for group in rewards]
    kept = [i for i, group in enumerate(whole) if group and len(group) == len(rewards[i])]
    if not kept:
        raise ValueError("No prompt has all its rewards: nothing can be selected.")
    measured = {i: MEASURES[measure](whole[i]) for i in kept}
    low, high = min(measured.values()), max(measured.values())
    values = [0.0] * len(rewards)
    degenerate = high - low <= 1e-12 * max(abs(high), abs(low), 1.0)
    shares = dict.fromkeys(kept, 1.0) if degenerate else {i: (measured[i] - low) / (high - low) for i in kept}
    total = sum(shares.values())
    for i, share in shares.items():
        values[i] = share / total
    dropped = tuple(i for i in range(len(rewards)) if i not in measured)
    return Weights(tuple(values), dropped, degenerate and measure != "uniform")
