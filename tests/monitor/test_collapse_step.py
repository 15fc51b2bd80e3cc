"""The Model Collapse Step and the turning point of a curve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.monitor.collapse_step import collapse_step, peak_step

curves = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_the_first_step_below_one_percent() -> None:
    assert collapse_step([10, 20, 30, 40], [0.6, 0.005, 0.5, 0.0]) == 20
    assert collapse_step([10, 20], [0.01, 0.3]) is None  # 1 % is not below 1 %
    assert collapse_step([10, 20, 30], [0.5, None, 0.001]) == 30
    assert collapse_step([], []) is None


@given(curves)
def test_what_has_not_collapsed_is_censored(values: list[float]) -> None:
    found = collapse_step(range(1, len(values) + 1), values)
    if found is None:
        assert min(values) >= 0.01
    else:
        assert values[found - 1] < 0.01 <= min([1.0, *values[: found - 1]])


def test_the_peak_is_where_the_fall_begins() -> None:
    steps = list(range(1, 10))
    rise_and_fall = [0.1, 0.3, 0.5, 0.7, 0.9, 0.7, 0.5, 0.3, 0.1]
    assert peak_step(steps, rise_and_fall) == 5
    assert peak_step(steps, sorted(rise_and_fall)) is None  # still rising
    assert peak_step(steps, sorted(rise_and_fall, reverse=True)) == 1  # falls from the first
    assert peak_step(steps, [0.4] * 9) is None  # the last of equal ones has nothing after it


def test_one_lucky_step_is_no_peak() -> None:
    values = [0.2, 0.95, 0.2, 0.2, 0.6, 0.7, 0.7, 0.7, 0.6, 0.2]
    assert peak_step(range(1, 11), values, window=1) == 2
    assert peak_step(range(1, 11), values) == 7


def test_unknown_steps_are_passed_over() -> None:
    assert peak_step([1, 2, 3, 4], [0.5, None, 0.9, 0.1], window=1) == 3
    assert peak_step([1], [None]) is None
    with pytest.raises(ValueError, match="odd"):
        peak_step([1], [0.5], window=2)


@given(curves)
def test_nothing_after_the_peak_is_higher(values: list[float]) -> None:
    found = peak_step(range(len(values)), values, window=1)
    if found is not None:
        assert values[found] == max(values)
        assert max(values[found + 1 :]) < values[found]
