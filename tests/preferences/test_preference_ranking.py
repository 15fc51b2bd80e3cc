"""Strengths from wins, expected wins from strengths, and the rounds of a Swiss tournament."""

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from selfrl.preferences import bradley_terry, expected_wins, swiss_pairs
from selfrl.preferences.ranking import PRIOR, Matrix


def likeliest(wins: Matrix, prior: float) -> Matrix:
    """argmax of Σ_{i≠j} (w_ij + prior) log σ(θ_i − θ_j) with mean 0, found by Newton's method from the definition."""
    size = len(wins)
    counted = [[wins[i][j] + prior if i != j else 0.0 for j in range(size)] for i in range(size)]

    def loss(free: Matrix) -> tuple[float, Matrix]:
        theta, total, slope = [0.0, *free], 0.0, np.zeros(size)
        for i in range(size):
            for j in range(size):
                gap = theta[i] - theta[j]
                total += counted[i][j] * math.log1p(math.exp(-gap))
                lost = counted[i][j] / (1 + math.exp(gap))
                slope[i] -= lost
                slope[j] += lost
        return total, slope[1:]

    def curvature(free: Matrix) -> Matrix:
        theta, hessian = [0.0, *free], np.zeros((size, size))
        for i in range(size):
            for j in range(size):
                chance = 1 / (1 + math.exp(theta[j] - theta[i]))
                bend = counted[i][j] * chance * (1 - chance)
                for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                    hessian[a, b] += sign * bend
        return hessian[1:, 1:]

    found = minimize(loss, np.zeros(size - 1), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-11})
    assert np.abs(found.jac).max() < 1e-8
    theta = np.array([0.0, *found.x])
    return theta - theta.mean()


UNEVEN = np.array([[0, 3, 0, 1], [1, 0, 2, 0], [2, 0, 0, 0.5], [0, 1, 0.5, 0]], dtype=float)
CASES = {
    "uneven": UNEVEN,
    "shut-out": np.triu(np.ones((5, 5)), 1),
    "two islands": np.array([[0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]], dtype=float),
    "never met": np.zeros((3, 3)),
    "one who met nobody": np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=float),
    "ties": np.array([[0, 0.5, 1], [0.5, 0, 0.5], [0, 0.5, 0]]),
    "cycle": np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=float),
    "many against few": np.array([[0, 50, 1], [30, 0, 0], [0, 2, 0]], dtype=float),
}


@pytest.mark.parametrize("prior", [0.01, PRIOR, 2.0])
@pytest.mark.parametrize("case", CASES)
def test_strengths_are_the_likeliest(case: str, prior: float) -> None:
    theta = bradley_terry(CASES[case], prior)
    np.testing.assert_allclose(theta, likeliest(CASES[case], prior), atol=2e-6)
    assert theta.mean() == pytest.approx(0, abs=1e-12)


def test_the_default_prior_is_what_the_reward_says() -> None:
    np.testing.assert_array_equal(bradley_terry(UNEVEN), bradley_terry(UNEVEN, 0.1))


def test_two_who_met_are_the_log_odds_apart() -> None:
    theta = bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]), 0.1)
    assert theta[0] - theta[1] == pytest.approx(math.log(3.1 / 1.1), abs=1e-7)


def test_a_diagonal_is_no_opponent() -> None:
    np.testing.assert_allclose(bradley_terry(UNEVEN + np.diag([9.0, 0, 3, 0])), bradley_terry(UNEVEN), atol=1e-12)


def test_islands_are_joined_by_the_prior_and_shut_outs_are_finite() -> None:
    assert np.isfinite(bradley_terry(CASES["two islands"])).all()
    shut_out = bradley_terry(CASES["shut-out"])
    assert (np.diff(shut_out) < -0.1).all()  # 0 beat all, 1 all but 0, …
    assert np.ptp(shut_out) < 20
    np.testing.assert_allclose(bradley_terry(np.zeros((4, 4))), 0, atol=1e-12)


@pytest.mark.parametrize("size", [0, 1])
def test_none_and_one_have_no_strength(size: int) -> None:
    assert bradley_terry(np.zeros((size, size))).tolist() == [0.0] * size
    assert expected_wins(np.zeros(size)).tolist() == [0.5] * size


@pytest.mark.parametrize(
    ("wins", "prior", "said"),
    [
        (np.zeros((2, 3)), 0.1, "must be square"),
        (np.zeros(2), 0.1, "must be square"),
        (np.array([[0.0, -1.0], [0.0, 0.0]]), 0.1, "counts of 0 or more"),
        (np.array([[0.0, math.nan], [0.0, 0.0]]), 0.1, "counts of 0 or more"),
        (np.zeros((2, 2)), 0.0, "prior is 0.0: it must be above 0"),
        (np.zeros((2, 2)), math.nan, "prior is nan"),
    ],
)
def test_bad_wins_are_refused(wins: Matrix, prior: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bradley_terry(wins, prior)


@st.composite
def tournaments(draw: Any, most: int = 7, whole: bool = False) -> Matrix:
    """Wins of a round robin, or of a part of it, in which a pair is worth one win."""
    size = draw(st.integers(2, most))
    wins = np.zeros((size, size))
    for i, j in itertools.combinations(range(size), 2):
        credit = draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0] + ([] if whole else [None] * 3)))
        if credit is not None:
            wins[i, j], wins[j, i] = credit, 1 - credit
    return wins


@given(tournaments(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_strengths_go_with_their_owners(wins: Matrix, rng: random.Random) -> None:
    order = list(range(len(wins)))
    rng.shuffle(order)
    np.testing.assert_allclose(bradley_terry(wins[np.ix_(order, order)]), bradley_terry(wins)[order], atol=1e-6)


@given(tournaments())
@settings(max_examples=60, deadline=None)
def test_wins_turned_into_losses_turn_the_strengths_round(wins: Matrix) -> None:
    np.testing.assert_allclose(bradley_terry(wins.T), -bradley_terry(wins), atol=1e-6)


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=8))
def test_expected_wins_are_the_mean_chance_against_each_other_one(theta: list[float]) -> None:
    expected = [
        sum(1 / (1 + math.exp(theta[j] - theta[i])) for j in range(len(theta)) if j != i) / (len(theta) - 1)
        for i in range(len(theta))
    ]
    found = expected_wins(np.array(theta))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert ((found > 0) & (found < 1)).all()
    assert found.mean() == pytest.approx(0.5, abs=1e-12)


@given(tournaments(whole=True), st.sampled_from([0.02, PRIOR, 1.0]))
@settings(max_examples=60, deadline=None)
def test_in_a_round_robin_expected_wins_are_affine_in_wins(wins: Matrix, prior: float) -> None:
    # the likelihood equations: wins with the prior's are what the strengths expect, over 1 + 2 priors a pair
    others = len(wins) - 1
    expected = (wins.sum(axis=1) + prior * others) / ((1 + 2 * prior) * others)
    np.testing.assert_allclose(expected_wins(bradley_terry(wins, prior)), expected, atol=1e-6)


def matchings(players: tuple[int, ...], played: set[frozenset[int]]) -> Iterator[list[tuple[int, int]]]:
    """Every set of disjoint pairs that have not met."""
    if not players:
        yield []
        return
    first, rest = players[0], players[1:]
    yield from matchings(rest, played)
    for other in rest:
        if frozenset((first, other)) not in played:
            for more in matchings(tuple(p for p in rest if p != other), played):
                yield [(first, other), *more]


def badness(pairs: list[tuple[int, int]], scores: list[int], played: set[frozenset[int]]) -> tuple[int, int, int]:
    """What a round should have least of, the weightiest first: idle players, games of who plays, squares of gaps."""
    games = [sum(i in pair for pair in played) for i in range(len(scores))]
    return (
        len(scores) - 2 * len(pairs),
        sum(games[i] + games[j] for i, j in pairs),
        sum((scores[i] - scores[j]) ** 2 for i, j in pairs),
    )


@st.composite
def standings(draw: Any) -> tuple[list[int], set[frozenset[int]]]:
    size = draw(st.integers(0, 7))
    scores = draw(st.lists(st.sampled_from([0, 1, 2, 5, 10]), min_size=size, max_size=size))
    pairs = [frozenset(pair) for pair in itertools.combinations(range(size), 2)]
    return scores, draw(st.sets(st.sampled_from(pairs))) if pairs else set()


@given(standings())
@settings(max_examples=150, deadline=None)
def test_a_round_is_the_best_of_all_possible_ones(standing: Any) -> None:
    scores, played = standing
    pairs = swiss_pairs(scores, played)
    assert all(i < j and frozenset((i, j)) not in played for i, j in pairs)
    assert len({i for pair in pairs for i in pair}) == 2 * len(pairs)
    assert pairs == sorted(pairs)
    best = min(badness(other, scores, played) for other in matchings(tuple(range(len(scores))), played))
    found = badness(pairs, scores, played)
    assert found[:2] == best[:2]
    # gaps are rounded to a thousandth of the spread
    assert found[2] <= best[2] + 0.02 * (max(scores, default=0) - min(scores, default=0)) ** 2


def test_leaders_meet_and_last_ones_meet() -> None:
    assert swiss_pairs([3, 0, 1, 3, 0, 1], set()) == [(0, 3), (1, 4), (2, 5)]
    # neighbours rather than one close pair and one far apart
    assert swiss_pairs([0, 1, 2, 3], {frozenset((0, 1))}) == [(0, 2), (1, 3)]


def test_who_has_played_most_sits_out() -> None:
    played = {frozenset(pair) for pair in ((0, 1), (0, 2), (3, 4))}
    pairs = swiss_pairs([2, 1, 1, 1, 0], played)
    assert 0 not in {i for pair in pairs for i in pair}
    assert len(pairs) == 2


def test_games_outweigh_any_sum_of_gaps() -> None:
    # left to play: a path 0 – 1 – … – 22, whose every other step is between a best and a worst player, and 0 – 2; the
    # last has played most, but once it sits out, eleven such pairs must meet
    size = 23
    path = [frozenset((i, i + 1)) for i in range(size - 1)] + [frozenset((0, 2))]
    played = {frozenset(pair) for pair in itertools.combinations(range(size), 2)} - set(path)
    scores = [0 if i % 4 in (0, 3) else 1 for i in range(size)]
    assert swiss_pairs(scores, played) == [(i, i + 1) for i in range(0, size - 1, 2)]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 8, 9, 12])
def test_rounds_without_end_are_a_round_robin(size: int) -> None:
    rng, played, scores = random.Random(size), [], [0.0] * size
    rounds = 0
    while pairs := swiss_pairs(scores, set(played)):
        if rounds == 0:
            assert len(pairs) == size // 2
        for i, j in pairs:
            played.append(frozenset((i, j)))
            scores[rng.choice((i, j))] += 1
        rounds += 1
        idle = size - len({i for pair in pairs for i in pair})
        assert idle >= size % 2
    assert len(played) == len(set(played)) == size * (size - 1) // 2


def test_nobody_and_one_have_nobody_to_meet() -> None:
    assert swiss_pairs([], set()) == []
    assert swiss_pairs([1.0], set()) == []
    assert swiss_pairs([1.0, 0.5], {frozenset((0, 1))}) == []
