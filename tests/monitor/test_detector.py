"""When figures leave their band, and when they do not."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from selfrl.monitor.change_detection import baseline, cusum, standardised
from selfrl.monitor.detector import Detector, Limits
from selfrl.monitor.watched_figures import WATCHED, Bound, Watched

COUNTS = {"completions": 64, "groups": 8}
RISES = Watched("x", 1, "plain", 0.1, "it rises")
FALLS = Watched("y", -1, "plain", 0.1, "it falls")


def limits(single: float = 8.0, joint: float = 4.6, window: int = 10, bounds: tuple[Bound, ...] = ()):
    return Limits(single, joint, 1.0, window, bounds)


def fed(detector: Detector, **series: list[float]) -> list:
    steps = range(len(next(iter(series.values()))))
    rows = [{name: values[i] for name, values in series.items()} for i in steps]
    return [alarm for step, row in zip(steps, rows, strict=True) for alarm in detector.observe(step, row, COUNTS)]


def noise(count: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(0, 1) for _ in range(count)]


def test_a_figure_that_leaves_its_band_is_told_with_the_step_from_which_it_did() -> None:
    series = noise(30) + [value + 4 for value in noise(20, seed=1)]
    (alarm,) = fed(Detector(limits(), [RISES]), x=series)
    assert alarm.rule == "one"
    assert 26 <= alarm.change_point <= 30 < alarm.step <= 36
    assert "x up has left its band" in alarm.words
    assert "it rises" in alarm.words


def test_a_sum_is_of_values_whitened_by_the_one_before() -> None:
    draw, series = random.Random(1), [0.0]  # and drifting off at the end
    while len(series) < 60:
        series.append(0.7 * series[-1] + draw.gauss(0.6 if len(series) > 40 else 0, 1))
    detector = Detector(limits(single=1e9, joint=1e9, window=40), [RISES])
    fed(detector, x=series)
    base, total = baseline(series[:40], RISES.floor), 0.0
    assert base.phi > 0.3
    for before, value in pairwise(series[39:]):
        total = cusum(total, standardised(value, before, base))
    assert detector.tracks["x up"].total == total
    assert total > 0


def test_the_good_direction_is_no_alarm() -> None:
    series = noise(30) + [value - 4 for value in noise(20, seed=1)]
    assert not fed(Detector(limits(), [RISES]), x=series)
    assert fed(Detector(limits(), [RISES._replace(sign=-1)]), x=series)


def test_two_figures_at_once_need_less_than_one() -> None:
    shifted = [0.0, 0.1] * 10 + [0.4] * 6
    assert not fed(Detector(limits(single=50), [RISES]), x=shifted)
    (alarm,) = fed(Detector(limits(single=50), [RISES, FALLS]), x=shifted, y=[-x for x in shifted])
    assert alarm.rule == "two"
    assert alarm.figures == ("x up", "y down")


def test_an_alarm_is_given_once_until_the_figure_has_come_back() -> None:
    away, back = [9.0] * 10, [0.0, 0.1] * 30
    alarms = fed(Detector(limits(), [RISES]), x=[*[0.0, 0.1] * 8, *away, *back, *away])
    assert len(alarms) == 2


def test_a_figure_that_is_not_there_is_passed_over() -> None:
    detector = Detector(limits(window=2), [RISES])
    for step, row in enumerate([{"x": 0.0}, {}, {"x": float("nan")}, {"x": 0.1}]):
        assert not detector.observe(step, row, COUNTS)
    assert detector.tracks["x up"].base is not None


def test_a_bound_must_be_broken_several_times_in_a_row() -> None:
    bound = Bound("log_ratio", -1, -0.1, -0.02, 2, "it has left")
    detector = Detector(limits(bounds=(bound,)), [])
    (alarm,) = fed(detector, log_ratio=[0.0, -0.01, -0.2, -0.05, -0.15, -0.3, -0.4])
    assert (alarm.step, alarm.rule, alarm.change_point) == (5, "bound", 1)
    assert "log_ratio is -0.3, below -0.1: it has left." in alarm.words


def test_a_bound_is_told_again_only_after_calm() -> None:
    bound = Bound("x", 1, 1.0, 0.2, 1, "")
    alarms = fed(Detector(limits(bounds=(bound,)), []), x=[0.0, 2.0, 0.5, 2.0, 0.1, 2.0])
    assert [alarm.step for alarm in alarms] == [1, 5]


def test_shares_of_nothing_and_of_everything_are_finite() -> None:
    for share in (0.0, 1.0):
        values = [one.scaled({one.name: share}, COUNTS) for one in WATCHED]
        assert all(value is not None and abs(value) < 20 for value in values)
    assert WATCHED[0].scaled({"concentration": 0.5}, COUNTS) == 0


def test_a_detector_goes_on_from_its_state() -> None:
    series = noise(30) + [value + 1.5 for value in noise(30, seed=1)]
    for cut in (4, 20, 40, 50):
        bound = Bound("x", 1, 2.0, 1.0, 2, "")
        whole, first, second = (Detector(limits(bounds=(bound,)), [RISES]) for _ in range(3))
        expected = fed(whole, x=series)
        found = fed(first, x=series[:cut])
        second.load(json.loads(json.dumps(first.state())))
        for step in range(cut, len(series)):
            found += second.observe(step, {"x": series[step]}, COUNTS)
        assert found == expected
    assert expected


@pytest.mark.parametrize("one", WATCHED)
def test_every_watched_figure_moves_its_own_sum(one: Watched) -> None:
    draw = random.Random(0)
    calm = [{one.name: 0.2 + 0.02 * draw.random()} for _ in range(30)]
    away = [{one.name: 0.9 if one.sign > 0 else 0.01} for _ in range(10)]
    detector = Detector(limits(window=20), [one])
    alarms = [alarm for step, row in enumerate([*calm, *away]) for alarm in detector.observe(step, row, COUNTS)]
    assert [alarm.figures for alarm in alarms] == [(one.label,)]
