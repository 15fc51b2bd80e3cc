"""ETTRL's reshaping: the sheet's groups, and no sign that turns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.group_record import GroupRecord
from selfrl.shaping import EntropyReshaping
from selfrl.shaping.entropy_reshaping import entropy_scales
from selfrl.shaping.shaper import AdvantageGroup

ENTROPIES = st.lists(st.floats(0, 10), min_size=1, max_size=9)


def group(advantages: list[float], entropies: Any) -> AdvantageGroup:
    n = len(advantages)
    signals = {} if entropies is None else {"entropy": tuple(entropies)}
    record = GroupRecord("a", 0, (), None, None, (0.0,) * n, (3,) * n, (False,) * n, signals)
    return AdvantageGroup(record, tuple(advantages), (True,) * n)


def test_the_sheets_groups() -> None:
    found = EntropyReshaping().shape([group([1, 1, -1, -1], [0.2, 0.4, 0.6, 1.2])])
    assert found.advantages[0] == pytest.approx([1.666667, 1.333333, -1, 0], abs=1e-6)
    assert found.metrics == {"entropy_reshaping/silenced": 0.25}
    assert entropy_scales([0.1, 0.1, 0.1, 1.7]) == pytest.approx([1.8, 1.8, 1.8, 0], abs=1e-6)  # the paper: −1.4


def test_without_entropy_all_count_alike() -> None:
    assert entropy_scales([0.0] * 3) == [1.0] * 3
    assert entropy_scales([0.7]) == [1.0]


@given(ENTROPIES)
def test_no_sign_turns(entropies: list[float]) -> None:
    assert all(0 <= scale <= 2 for scale in entropy_scales(entropies))


def test_the_alternative_cuts() -> None:
    shaper = EntropyReshaping(bound=0.5)
    assert shaper.signals == ()
    assert shaper.shape([group([1.0, -0.2, -3.0], None)]).advantages == [[0.5, -0.2, -0.5]]


def test_what_was_not_scored_has_the_mean_of_the_others() -> None:
    found = EntropyReshaping().shape([group([1.0, 1.0, 1.0], [0.2, None, 0.4])])
    assert found.advantages[0] == pytest.approx([2 - 0.2 / 0.3, 1, 2 - 0.4 / 0.3])


@pytest.mark.parametrize("entropies", [None, [None, None]])
def test_missing_entropies_raise(entropies: Any) -> None:
    with pytest.raises(ValueError, match="has no 'entropy'"):
        EntropyReshaping().shape([group([1.0, -1.0], entropies)])


def test_a_bound_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="bound"):
        EntropyReshaping(bound=0)
