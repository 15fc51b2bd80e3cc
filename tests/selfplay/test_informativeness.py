"""The sheet's worked numbers, its edge cases, and selection by frequency."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.selfplay.informativeness import MEASURES, weights_of
from selfrl.selfplay.selection import SELECTIONS, balanced, gumbel_top_k, stratified

SIX = [0.1, 0.4, 0.7, 0.2, 0.3, 0.9]
WEIGHTS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 3.0]), min_size=1, max_size=30)
GROUPS = st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=6), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("gap", 0.8),
        ("best_over_mean", 0.466667),
        ("best_over_second", 0.2),
        ("variance", 0.078889),
        ("inverse_mean", -2.6 / 6),
        ("learnability", 4 * 2.6 / 6 * 3.4 / 6),
        ("uniform", 1.0),
    ],
)
def test_the_sheets_numbers(measure: str, value: float) -> None:
    assert MEASURES[measure](SIX) == pytest.approx(value, abs=1e-6)


def test_weights_are_the_min_max_divided_by_its_sum() -> None:
    weights = weights_of([[0, 0], [0.1, 0.3], [0, 0.8], [0.5, 1]])
    assert weights.values == pytest.approx([0, 0.133333, 0.533333, 0.333333], abs=1e-6)
    assert not weights.degenerate
    means = weights_of([[0.2], [0.5], [0.8]], "inverse_mean")
    assert means.values == pytest.approx([1 / 1.5, 0.5 / 1.5, 0])


def test_equal_measures_give_uniform_weights_and_say_so() -> None:
    weights = weights_of([[0.1, 0.4], [0.2, 0.5], [0.0, 0.3]])
    assert weights.values == pytest.approx([1 / 3] * 3)
    assert weights.degenerate
    assert not weights_of([[0.1], [0.9]], "uniform").degenerate


def test_prompts_without_all_their_rewards_are_dropped_before_the_min_max() -> None:
    rewards = [[0, 0.2], [0, math.nan], [0, 0.8], [0, math.inf], [0, None], [], [0, 0.5]]
    weights = weights_of(rewards)
    assert weights.dropped == (1, 3, 4, 5)
    assert weights.values == pytest.approx([0, 0, 2 / 3, 0, 0, 0, 1 / 3])
    with pytest.raises(ValueError, match="No prompt has all its rewards"):
        weights_of([[math.nan]])
    with pytest.raises(ValueError, match="Measure 'loo' is unknown"):
        weights_of([[0, 1]], "loo")
    with pytest.raises(ValueError, match="Learnability needs rewards from 0 to 1"):
        weights_of([[3, 4]], "learnability")


@given(GROUPS, st.sampled_from(sorted(MEASURES)))
def test_weights_sum_to_one_and_follow_the_measure(rewards: list[list[float]], measure: str) -> None:
    weights = weights_of(rewards, measure)
    assert sum(weights.values) == pytest.approx(1)
    assert min(weights.values) >= 0
    values = [MEASURES[measure](group) for group in rewards]
    if not weights.degenerate:
        order = sorted(range(len(values)), key=values.__getitem__)
        assert all(weights.values[a] <= weights.values[b] + 1e-12 for a, b in itertools.pairwise(order))


def test_draws_without_replacement_have_the_sheets_inclusion_probabilities() -> None:
    rng, draws = np.random.default_rng(0), 20_000
    counts = np.zeros(3)
    for _ in range(draws):
        counts[gumbel_top_k([0.5, 0.3, 0.2], 2, rng).chosen] += 1
    assert counts / draws == pytest.approx([0.839286, 0.675, 0.485714], abs=0.011)  # 3 standard errors


def test_too_few_weights_are_filled_uniformly_and_counted() -> None:
    rng, counts = np.random.default_rng(0), np.zeros(5)
    for _ in range(3000):
        chosen, filled = gumbel_top_k([0, 0.5, 0, 0.5, 0], 3, rng)
        assert filled == 1
        assert {1, 3} < set(chosen)
        counts[chosen] += 1
    assert counts[[0, 2, 4]] / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)


def test_strata_give_equal_shares_and_zeros_are_drawn_alike() -> None:
    rng = np.random.default_rng(0)
    weights = np.arange(100) / np.arange(100).sum()
    for _ in range(20):
        chosen = stratified(weights.tolist(), 20, rng).chosen
        assert len(set(chosen)) == 20
        assert [sum(decile * 10 <= i < decile * 10 + 10 for i in chosen) for decile in range(10)] == pytest.approx(
            [2] * 10, abs=1
        )
    zeros = np.zeros(50)
    for _ in range(400):
        zeros[[i for i in stratified([0.0] * 50 + [1.0] * 50, 50, rng).chosen if i < 50]] += 1
    assert zeros.std() / zeros.mean() < 0.12


@pytest.mark.parametrize("name", sorted(SELECTIONS))
@given(weights=WEIGHTS, share=st.floats(0, 1), seed=st.integers(0, 9))
def test_every_selection_chooses_so_many_each_once_by_its_seed(
    name: str, weights: list[float], share: float, seed: int
) -> None:
    count = int(share * len(weights))
    chosen, filled = SELECTIONS[name](weights, count, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen)) == count
    assert filled <= count
    assert (chosen, filled) == SELECTIONS[name](weights, count, np.random.default_rng(seed))


def test_topics_are_balanced() -> None:
    weights = [0, 0.133333, 0.533333, 0.333333]
    assert balanced(weights, "aaab") == pytest.approx([0.041667, 0.141667, 0.441667, 0.375], abs=1e-6)
    with pytest.raises(ValueError, match="4 weights have 3 topics"):
        balanced(weights, "aab")


def test_bad_weights_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="3 of 2 prompts"):
        gumbel_top_k([0.5, 0.5], 3, rng)
    with pytest.raises(ValueError, match="negative or not finite"):
        gumbel_top_k([0.5, math.nan], 1, rng)
    with pytest.raises(ValueError, match=r"must be \(Q,\)"):
        gumbel_top_k([[0.5]], 1, rng)  # type: ignore[list-item]
