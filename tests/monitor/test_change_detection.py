"""The sheet's worked numbers, and its simulated false-alarm rates."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.monitor.change_detection import (
    Baseline,
    alarm_probability,
    baseline,
    center_and_scale,
    cusum,
    lag_one,
    run_length,
    standardised,
)

WINDOW = [0.42, 0.44, 0.40, 0.45, 0.43, 0.41, 0.60]


def test_a_robust_baseline_shrugs_off_an_outlier() -> None:
    center, scale = center_and_scale(WINDOW, floor=1e-9)
    assert center == pytest.approx(0.43)
    assert scale == pytest.approx(0.029652)
    assert standardised(0.52, 0.0, Baseline(center, scale)) == pytest.approx(3.0352, abs=1e-4)
    assert scale < np.std(WINDOW) / 2


def test_without_deviation_the_quartiles_decide_and_then_the_floor() -> None:
    mostly = [0.0] * 6 + [1.0] * 5
    assert center_and_scale(mostly, floor=0.01) == (0.0, pytest.approx(1 / 1.349))
    assert center_and_scale([0.5] * 9, floor=0.01) == (0.5, 0.01)


def test_a_window_is_whitened_by_its_own_correlation() -> None:
    draw = np.random.default_rng(0)
    noise = draw.normal(size=4000)
    series = [0.0]
    for value in noise:
        series.append(0.5 * series[-1] + value)
    base = baseline(series, floor=1e-9)
    assert base.phi == pytest.approx(0.5, abs=0.05)
    assert base.scale == pytest.approx(1.0, abs=0.05)  # of the noise, not of the series: that is 1.15
    assert lag_one([1.0] * 5) == 0
    assert lag_one(list(range(100))) == 0.9  # no more


def test_sums_and_run_lengths() -> None:
    total, sums = 0.0, []
    for z in (0.2, 1.4, -0.3, 2.0, 1.8, 2.5):
        total = cusum(total, z)
        sums.append(round(total, 10))
    assert sums == [0, 0.4, 0, 1.0, 1.8, 3.3]
    for slack, limit, length in ((0.5, 6.4, 3899), (0.5, 8.5, 31_900), (1.0, 3.3, 3899), (1.0, 4.4, 31_900)):
        assert run_length(0.0, slack, limit) == pytest.approx(length, rel=0.12)  # the sheet rounds h
    assert run_length(1.0, 1.0, 5.0) == pytest.approx(run_length(1.0 + 1e-6, 1.0, 5.0), rel=1e-3)
    assert alarm_probability(200, 3899) == pytest.approx(0.05, abs=0.001)


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_no_z_is_beyond_four(value: float, before: float) -> None:
    z = standardised(value, before, Baseline(0.0, 0.5, 0.3))
    assert -4 <= z <= 4
    assert z == pytest.approx(max(-4, min(4, (value - 0.3 * before) / 0.5)))


@pytest.mark.parametrize(("slack", "limit", "rate"), [(1.0, 4.9, 0.05), (0.5, 10.4, 0.05), (0.5, 5.0, 0.34)])
def test_false_alarms_are_as_often_as_the_sheet_says(slack: float, limit: float, rate: float) -> None:
    """Normal figures, a window of 50, 200 steps; the last case is the textbook's, which alarms in a third of runs.

    Not whitened, as the sheet's column for independent figures; its rates are of 20,000 runs, these of 1,000.
    """
    draw = random.Random(0)
    alarms = 0
    for _ in range(1000):
        base = Baseline(*center_and_scale([draw.gauss(0, 1) for _ in range(50)], floor=0.01))
        total, high = 0.0, 0.0
        for _ in range(200):
            total = cusum(total, standardised(draw.gauss(0, 1), 0.0, base), slack)
            high = max(high, total)
        alarms += high > limit
    assert alarms / 1000 == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / 1000))
