"""What a proposed prompt earns by the solve rate p of n solver samples, as each method has it; pure functions.

Where a paper and its code disagree, the one that is called here is said. `None` stands for an invalid proposal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

UNFORMATTED = -1.0
INVALID_ABSOLUTE_ZERO = -0.5
INVALID_SPICE = -0.1
SPICE_WIDTH = 0.02


def learnability(rate: float) -> float:
    """4 p (1 − p): largest where one half of the samples are right.

    >>> [learnability(p) for p in (0, 1 / 8, 1 / 2, 7 / 8, 1)]
    [0, 0.4375, 1.0, 0.4375, 0]
    """
    _checked(rate)
    return 4 * rate * (1 - rate)


def uncertainty(rate: float) -> float:
    """p (1 − p), the variance of a right answer.

    >>> uncertainty(1 / 8)
    0.109375
    """
    return learnability(rate) / 4


def r_zero(rate: float | None, cluster_share: float) -> float:
    """min(p, 1 − p) minus the share of the batch that is nearly the same (2508.05004); −1 minus it if malformed.

    Args:
        rate: votes of the majority among all samples, the empty ones too.
        cluster_share: see [`cluster_shares`].

    Example:
        >>> [round(r_zero(p, s), 3) for p, s in ((0.5, 0.5), (0.9, 0.5), (0.3, 0.25), (None, 0.25))]
        [0.0, -0.4, 0.05, -1.25]
    """
    if rate is None:
        return UNFORMATTED - cluster_share
    _checked(rate)
    return min(rate, 1 - rate) - cluster_share


def absolute_zero(rate: float | None, formatted: bool = True, *, as_code: bool = True) -> float:
    """1 − p where it is learnable (2505.03335).

    Args:
        rate: share of right samples; None for an invalid program.
        formatted: whether the proposal kept its form; −1 if not.
        as_code: 0 becomes −0.5 for a proposal that is formatted, as their code has it; the paper has 0 at p = 0 and 1.

    Example:
        >>> [absolute_zero(p) for p in (0, 1 / 8, 1 / 2, 1)], absolute_zero(0, as_code=False)
        ([-0.5, 0.875, 0.5, -0.5], 0.0)
        >>> absolute_zero(None), absolute_zero(0.5, formatted=False)
        (-0.5, -1.0)
    """
    if not formatted:
        return UNFORMATTED
    if rate is not None:
        _checked(rate)
    raw = 0.0 if rate is None or rate in (0, 1) else 1 - rate
    return INVALID_ABSOLUTE_ZERO if raw == 0 and as_code else raw


def hard(rate: float | None) -> float:
    """1 − p; 0 for an invalid one (Survive-or-Collapse, 2605.22217).

    >>> [hard(p) for p in (0, 1 / 8, 1, None)]
    [1, 0.875, 0, 0.0]
    """
    if rate is None:
        return 0.0
    _checked(rate)
    return 1 - rate


def medium(rate: float | None) -> float:
    """max(0, 1 − 2 |p − ½|); 0 for an invalid one (Survive-or-Collapse, 2605.22217).

    >>> [medium(p) for p in (0, 1 / 8, 1 / 2, None)]
    [0, 0.25, 1.0, 0.0]
    """
    if rate is None:
        return 0.0
    _checked(rate)
    return max(0, 1 - 2 * abs(rate - 0.5))


def sqlm(agreeing: int, samples: int) -> float:
    """1 if some but not all samples agree (2508.03682).

    >>> sqlm(0, 8), sqlm(1, 8), sqlm(8, 8)
    (0.0, 1.0, 0.0)
    """
    if not 0 <= agreeing <= samples or samples < 1:
        raise ValueError(f"{agreeing} of {samples} samples agree: it must be from none to all of at least one.")
    return float(0 < agreeing < samples)


def sgs_guide(relevance: float, complexity: float, redundancy: float) -> float:
    """How good a conjecture looks: max(0, relevance + (2 − complexity) + (1 − redundancy)), 0 if needlessly complex.

    >>> sgs_guide(4, 1, 0), sgs_guide(5, 3, 0)
    (6, 0.0)
    """
    return 0.0 if complexity in (3, 4) else max(0, relevance + (2 - complexity) + (1 - redundancy))


def sgs(rates: Sequence[float], guides: Sequence[float | None]) -> list[float]:
    """guide · (1 − p) where 0 < p <= the 70th percentile of the rates between 0 and 1, else 0 (2604.20209).

    Guides are min-maxed over the round (all equal: 1); one that could not be read is the mean of the others.

    Raises:
        ValueError: for another number of guides.

    Example:
        >>> sgs([0.0, 0.125, 0.5, 1.0], [6, 6, 6, None])
        [0.0, 0.875, 0.0, 0.0]
    """
    if len(rates) != len(guides):
        raise ValueError(f"{len(rates)} rates have {len(guides)} guides: give one for each.")
    for rate in rates:
        _checked(rate)
    known = [guide for guide in guides if guide is not None]
    mean = sum(known) / len(known) if known else 1.0
    filled = [mean if guide is None else guide for guide in guides]
    low, high = min(filled, default=0.0), max(filled, default=0.0)
    scaled = [1.0 if high == low else (guide - low) / (high - low) for guide in filled]
    between = [rate for rate in rates if 0 < rate < 1]
    limit = float(np.quantile(between, 0.7)) if between else 0.0
    return [guide * (1 - rate) if 0 < rate <= limit else 0.0 for rate, guide in zip(rates, scaled, strict=True)]


def spice(rate: float | None) -> float:
    """exp(−(p(1 − p) − ¼)² / 0.02), −0.1 for an invalid one. From memory of 2510.24684; no source was read.

    >>> [round(spice(p), 6) for p in (0, 1 / 8, 1 / 2, None)]
    [0.043937, 0.372034, 1.0, -0.1]
    """
    if rate is None:
        return INVALID_SPICE
    _checked(rate)
    return math.exp(-((rate * (1 - rate) - 0.25) ** 2) / SPICE_WIDTH)


def _checked(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"The solve rate is {rate}: it must lie between 0 and 1.")
