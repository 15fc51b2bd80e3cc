"""Flips, competed and re-locked labels, against the sheet's worked case."""

from __future__ import annotations

import json

from selfrl.group_record import GroupRecord
from selfrl.monitor.flips import LabelPath, LabelPaths

LABELS, RATIOS = "AABBBBB", (0.7, 0.7, 0.55, 0.6, 0.8, 0.9, 0.9)


def record(name: str, label: str | None, ratio: float) -> GroupRecord:
    ones = round(10 * ratio)
    keys = (*[label or "x"] * ones, *(f"other{i}" for i in range(10 - ones)))
    return GroupRecord(name, 0, keys, label, None, (1.0,) * 10, (3,) * 10, (False,) * 10)


def test_the_sheets_case() -> None:
    path, flips, windowed, locked = LabelPath(), [], [], []
    for label, ratio in zip(LABELS, RATIOS, strict=True):
        flips.append(path.visit(label, ratio))
        windowed.append(round(path.windowed, 2))
        locked.append(path.relocked)
    assert flips == [0, 0, 1, 0, 0, 0, 0]
    assert windowed[4:] == [0.67, 0.71, 0.75]
    assert locked.index(True) == 5
    assert path.dwell == 3


def test_a_label_that_never_competed_is_not_relocked() -> None:
    path = LabelPath()
    for _ in range(8):
        path.visit("A", 0.95)
    assert not path.relocked


def test_a_flip_within_three_visits_is_no_strict_relock() -> None:
    path = LabelPath()
    for label in "AAAAB":
        path.visit(label, 0.9)
    assert path.relocked
    assert not path.strictly_relocked
    assert path.dwell == 0
    for _ in range(3):
        path.visit("B", 0.9)
    assert path.strictly_relocked


def test_no_label_on_either_side_is_no_known_flip() -> None:
    path = LabelPath()
    assert [path.visit(label, 0.5) for label in ("A", None, "B", "B", "A")] == [0, None, None, 0, 1]


def test_four_visits_are_too_few_for_a_relock_and_two_steady_ones_for_a_strict_one() -> None:
    early = LabelPath()
    for label in "ABBB":
        early.visit(label, 0.95)
    assert not early.relocked
    late = LabelPath()
    for label in "AAAABBB":
        late.visit(label, 0.95)
    assert late.relocked
    assert late.since_flip == 2
    assert not late.strictly_relocked


def test_three_unanimous_visits_in_a_row_are_a_collapsed_prompt() -> None:
    path = LabelPath()
    for ratio in (1.0, 1.0, 0.9, 1.0, 1.0):
        path.visit("A", ratio)
    assert not path.collapsed
    path.visit("A", 1.0)
    assert path.collapsed


def test_the_rate_is_over_prompts_seen_before_alone() -> None:
    paths = LabelPaths()
    assert paths.add([record("a", "4", 0.6), record("b", "5", 0.6)]) == {}
    figures = paths.add([record("a", "7", 0.6), record("c", "4", 0.6)])
    assert figures["flip_rate"] == 1  # of a; c is new
    assert figures["competed"] == 1
    figures = paths.add([record("a", "7", 0.6), record("b", "5", 0.6), record("c", None, 0.6)])
    assert figures["flip_rate"] == 0  # of a and b; nothing is known of c
    assert figures["competed"] == 1 / 3


def test_the_state_goes_through_json() -> None:
    paths, again = LabelPaths(), LabelPaths()
    for label, ratio in list(zip(LABELS, RATIOS, strict=True))[:4]:
        paths.add([record("a", label, ratio)])
    again.load(json.loads(json.dumps(paths.state())))
    for label, ratio in list(zip(LABELS, RATIOS, strict=True))[4:]:
        assert paths.add([record("a", label, ratio)]) == again.add([record("a", label, ratio)])


def test_unvoted_groups_are_no_visits() -> None:
    paths = LabelPaths()
    unvoted = GroupRecord("a", 0, (), None, None, (1.0,), (3,), (False,))
    assert paths.add([unvoted]) == paths.add([unvoted]) == {}
