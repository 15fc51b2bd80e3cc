"""RESTRAIN against the sheet's worked groups and its equivalence with a loss a label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.group_record import GroupRecord
from selfrl.shaping import Restrain
from selfrl.shaping.restrain import bell, restrained
from selfrl.shaping.shaper import AdvantageGroup

SHEET: dict[str, Any] = {"least_votes": 3, "penalty": 1.0, "centre": 1.0, "width": 0.5}
KEYS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=12)


def group(keys: str, share: Any) -> AdvantageGroup:
    n = len(keys)
    record = GroupRecord("a", 0, tuple(keys), keys[0], None, (0.0,) * n, (3,) * n, (False,) * n)
    return AdvantageGroup(record, (5.0,) * n, (True,) * n, columns={"share": share})


def test_the_sheets_groups() -> None:
    shares = [5 / 8, 2 / 8, 1 / 8]
    weights = np.array([bell(p, 1.0, 0.5) for p in shares])
    assert (weights / weights.sum()).tolist() == pytest.approx([0.582547, 0.250550, 0.166903], abs=1e-6)
    assert restrained([*"aaaaabbc"], *SHEET.values()) == pytest.approx(
        [0.2435] * 5 + [-0.381182] * 2 + [-0.455138], abs=1e-6
    )
    found = Restrain(**SHEET, reference="share").shape([group("aaaaabbc", 5 / 8), group("aabbcdef", 2 / 8)])
    assert found.advantages[0] == pytest.approx([0.183804] * 5 + [-0.287731] * 2 + [-0.343556], abs=1e-6)
    assert found.advantages[1] == pytest.approx([-0.324652] * 8, abs=1e-6)
    assert found.metrics["restrain/penalised"] == 0.5


@given(KEYS)
def test_it_is_the_weighted_sum_of_a_loss_for_each_label(keys: list[str | None]) -> None:
    labels = sorted({key for key in keys if key is not None})
    top = max((keys.count(label) for label in labels), default=0)
    found = restrained(keys, **{**SHEET, "least_votes": 2})
    if top < 2:
        assert found == [-1.0] * len(keys)
        return
    total, weights = np.zeros(len(keys)), []
    for label in labels:
        rewards = np.array([float(key == label) for key in keys])
        weights.append(math.exp(-((rewards.mean() - 1) ** 2) / 0.5))
        if rewards.std() > 0:
            total += weights[-1] * (rewards - rewards.mean()) / rewards.std()
    assert found == pytest.approx((total / sum(weights)).tolist(), abs=1e-9)


def test_one_answer_has_nothing_to_tell_apart_and_no_answer_is_none_of_the_labels() -> None:
    assert restrained(["a"] * 4, *SHEET.values()) == [0.0] * 4
    assert restrained([None] * 4, *SHEET.values()) == [-1.0] * 4
    assert restrained(["a"], 1, 1.0, 1.0, 0.5) == [0.0]
    found = restrained(["a", "a", "a", None], *SHEET.values())
    assert found[0] == pytest.approx(0.25 / math.sqrt(0.75 * 0.25))
    assert found[3] == pytest.approx(-0.75 / math.sqrt(0.75 * 0.25))


def test_without_a_reference_prompts_are_not_weighed() -> None:
    shaper = Restrain(**SHEET)
    assert shaper.columns == ()
    assert shaper.shape([group("aabbcdef", None)]).advantages[0] == [-1.0] * 8


def test_unknown_constants_are_required_and_bad_ones_refused() -> None:
    with pytest.raises(TypeError, match="penalty"):
        Restrain(3)  # type: ignore[call-arg]
    for change in ({"least_votes": 0}, {"penalty": -1.0}, {"width": 0.0}):
        with pytest.raises(ValueError, match="at least 1, at least 0"):
            Restrain(**{**SHEET, **change})
    for share in (None, 1.5, "much"):
        with pytest.raises(ValueError, match="share of a prompt"):
            Restrain(**SHEET, reference="share").shape([group("aaab", share)])
