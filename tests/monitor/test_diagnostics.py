"""What a batch's groups look like, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.group_record import GroupRecord
from selfrl.monitor.diagnostics import (
    concentration,
    group_figures,
    length_capped,
    quantile,
    repetition,
    spread,
    zero_spread,
)


def record(keys: str, rewards: tuple[float | None, ...] = (), name: str = "a", **fields: object) -> GroupRecord:
    answers = tuple(None if key == "-" else key for key in keys)
    n = len(keys)
    defaults: dict[str, object] = {"lengths": (3,) * n, "cut_off": (False,) * n}
    return GroupRecord(name, 0, answers, answers[0], None, rewards or (1.0,) * n, **{**defaults, **fields})  # type: ignore[arg-type]


def test_figures_of_two_groups() -> None:
    first = record("4445", (1.0, 1.0, 1.0, 0.0), lengths=(2, 4, 6, 8), repetition=(0.0, 0.5, 0.5, 1.0))
    second = record("0-4-", (0.5,) * 4, "b", lengths=(10,) * 4, cut_off=(True, False, False, True))
    figures = group_figures([first, second])
    assert figures["majority_ratio"] == (0.75 + 0.25) / 2  # no-answers count
    assert figures["majority_ratio/p10"] == pytest.approx(0.3)
    assert figures["distinct_answers"] == 2
    assert figures["answer_entropy"] == pytest.approx(
        (-0.75 * math.log(0.75) - 0.25 * math.log(0.25) + math.log(2)) / 2
    )
    assert figures["concentration"] == 4 / 8  # the answer 4, over both prompts
    assert figures["no_answer"] == 2 / 8
    assert figures["truncated"] == 2 / 8
    assert figures["zero_spread"] == 0.5
    assert figures["length"] == 7.5
    assert figures["length_median"] == 9
    assert figures["length_std"] == pytest.approx(np.std([2, 4, 6, 8, 10, 10, 10, 10]))
    assert figures["repetition"] == 0.5


def test_nothing_is_said_of_what_is_not_there() -> None:
    unvoted = GroupRecord("a", 0, (), None, None, (None, None), (3, 5), (False, False))
    figures = group_figures([unvoted])
    assert figures["length"] == 4
    assert not {"majority_ratio", "concentration", "no_answer", "zero_spread", "repetition"} & set(figures)
    assert concentration([unvoted]) is zero_spread([unvoted]) is None
    assert group_figures([]) == spread("x", []) == {}


def test_groups_without_spread_are_counted_by_their_known_rewards() -> None:
    records = [record("44", rewards) for rewards in ((1.0, None), (0.3, 0.3), (0.0, 1.0), (None, None))]
    assert zero_spread(records) == 2 / 3


def test_a_signal_is_a_mean_over_groups_of_the_known() -> None:
    signals = {"entropy": (0.2, None, 0.4)}
    figures = group_figures([record("444", signals=signals), record("555", name="b", signals={"entropy": (1.0,) * 3})])
    assert figures["entropy"] == pytest.approx((0.3 + 1.0) / 2)


def test_repetition_counts_ngrams() -> None:
    assert repetition([1, 2, 3, 4, 5]) == 0
    assert repetition([7] * 8) == pytest.approx(1 - 1 / 5)
    assert repetition([1, 2, 3]) == repetition([]) == 0


def test_the_length_limit_is_told_from_collapse() -> None:
    assert length_capped({"truncated": 0.99})
    assert not length_capped({"truncated": 0.9})


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-9)
