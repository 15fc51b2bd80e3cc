"""When a figure has left what it used to be: a frozen robust baseline, and sums of what lies beyond it.

All in the units of the baseline's own spread. The sheet's textbook limits assume a known baseline; it is estimated
here, from a window, which is what false alarms come from. So limits are calibrated on healthy runs: `benchmarks.guard`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import NamedTuple

from selfrl.monitor.diagnostics import quantile

CLIP = 4.0
MOST_CORRELATED = 0.9
MAD_TO_SCALE = 1.4826
IQR_TO_SCALE = 1 / 1.349


class Baseline(NamedTuple):
    """What a figure looks like while nothing is wrong.

    Args:
        center: median of the window, whitened.
        scale: a robust standard deviation of it.
        phi: lag-1 correlation that is taken out: x_t − φ x_{t−1}.
    """

    center: float
    scale: float
    phi: float = 0.0


def lag_one(values: Sequence[float]) -> float:
    """Lag-1 correlation, held within 0 and .9; 0 of values that do not vary.

    >>> lag_one([1.0, -1.0, 1.0, -1.0]), round(lag_one([1.0, 2.0, 3.0, 4.0, 5.0]), 2)
    (0.0, 0.4)
    """
    mean = fmean(values)
    spread = sum((x - mean) ** 2 for x in values)
    if spread == 0:
        return 0.0
    together = sum((x - mean) * (y - mean) for x, y in pairwise(values))
    return min(max(together / spread, 0.0), MOST_CORRELATED)


def center_and_scale(values: Sequence[float], floor: float) -> tuple[float, float]:
    """Median, and 1.4826 · MAD; where that is 0, max(IQR / 1.349, floor).

    >>> center, scale = center_and_scale([0.42, 0.44, 0.40, 0.45, 0.43, 0.41, 0.60], floor=0.01)
    >>> center, round(scale, 6), center_and_scale([0.0] * 9 + [1.0], floor=0.01)
    (0.43, 0.029652, (0.0, 0.01))
    """
    center = median(values)
    scale = MAD_TO_SCALE * median(abs(x - center) for x in values)
    if scale == 0:
        scale = max((quantile(values, 0.75) - quantile(values, 0.25)) * IQR_TO_SCALE, floor)
    return center, scale


def baseline(window: Sequence[float], floor: float) -> Baseline:
    """The baseline of a window, of at least two values.

    Args:
        window: values in order.
        floor: least scale of a figure that does not vary.
    """
    phi = lag_one(window)
    whitened = [x - phi * before for before, x in pairwise(window)]
    return Baseline(*center_and_scale(whitened, floor), phi)


def standardised(value: float, before: float, base: Baseline) -> float:
    """z of a value, whitened and clipped to ±4.

    >>> round(standardised(0.52, 0.43, Baseline(0.43, 0.029652)), 4), standardised(9.0, 0.0, Baseline(0.0, 1.0))
    (3.0352, 4.0)
    """
    z = (value - base.phi * before - base.center) / base.scale
    return min(max(z, -CLIP), CLIP)


def cusum(sum_before: float, z: float, slack: float = 1.0) -> float:
    """S_t = max(0, S_{t−1} + z_t − k).

    >>> sums = [0.0]
    >>> for z in (0.2, 1.4, -0.3, 2.0, 1.8, 2.5):
    ...     sums.append(cusum(sums[-1], z))
    >>> [round(s, 1) for s in sums[1:]]
    [0.0, 0.4, 0.0, 1.0, 1.8, 3.3]
    """
    return max(0.0, sum_before + z - slack)


def run_length(mean: float, slack: float, limit: float) -> float:
    """Mean number of steps to an alarm with a known baseline, by Siegmund's approximation.

    (e^{−2Δb} + 2Δb − 1) / (2Δ²) with b = h + 1.166 and Δ = μ − k.

    Args:
        mean: μ of z.
        slack: k.
        limit: h.

    Example:
        >>> round(run_length(0.0, 0.5, 6.4)), round(run_length(0.0, 1.0, 3.3))
        (3846, 3780)
    """
    b, shift = limit + 1.166, mean - slack
    if shift == 0:
        return b * b
    return (math.exp(-2 * shift * b) + 2 * shift * b - 1) / (2 * shift * shift)


def alarm_probability(steps: int, length: float) -> float:
    """P(alarm within T) ≈ 1 − e^{−T / ARL}.

    >>> round(alarm_probability(200, 3899), 3)
    0.05
    """
    return 1 - math.exp(-steps / length)
