"""Bradley–Terry against an independent maximum likelihood; Swiss pairings by their rules."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from selfrl.preferences import bradley_terry, expected_wins, swiss_pairs


def reference(wins: np.ndarray, prior: float) -> np.ndarray:
    """Maximum of Σ_{i≠j} (w_ij + prior) log σ(θ_i − θ_j) with mean 0, by scipy."""
    counted = wins + prior * (1 - np.eye(len(wins)))

    def loss(theta: np.ndarray) -> float:
        gaps = theta[:, None] - theta[None, :]
        return float((counted * np.logaddexp(0, -gaps)).sum()) + theta.mean() ** 2

    found = minimize(loss, np.zeros(len(wins)), method="BFGS", options={"gtol": 1e-10}).x
    return found - found.mean()


CASES = [
    np.array([[0, 3.0, 1], [1, 0, 2], [2, 0, 0]]),
    np.array([[0, 2.0, 2, 2], [0, 0, 2, 2], [0, 0, 0, 2], [0, 0, 0, 0]]),  # shut-outs
    np.array([[0, 1.5, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]),  # two that never met two others
]


@pytest.mark.parametrize("wins", CASES)
@pytest.mark.parametrize("prior", [0.05, 0.5])
def test_strengths_are_the_maximum_likelihood(wins: np.ndarray, prior: float) -> None:
    assert bradley_terry(wins, prior) == pytest.approx(reference(wins, prior), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 7), st.integers(0, 10**6))
def test_a_round_robin_gives_shares_of_wins(size: int, seed: int) -> None:
    """With equally many games a pair, the likelihood's maximum makes expected wins equal counted ones, the prior's
    among them."""
    rng, prior = np.random.default_rng(seed), 0.1
    upper = np.triu(rng.integers(0, 3, (size, size)) / 2, 1)
    wins = upper + np.tril(1 - upper.T, -1)
    shares = (wins.sum(axis=1) + prior * (size - 1)) / ((1 + 2 * prior) * (size - 1))
    found = expected_wins(bradley_terry(wins, prior))
    assert found == pytest.approx(shares, abs=1e-6)
    assert found.mean() == pytest.approx(0.5)
    order = rng.permutation(size)
    assert expected_wins(bradley_terry(wins[np.ix_(order, order)], prior)) == pytest.approx(found[order], abs=1e-6)


def test_expected_wins_by_enumeration() -> None:
    theta = np.array([1.0, -0.5, 0.2, -0.7])
    by_hand = [np.mean([1 / (1 + math.exp(b - a)) for j, b in enumerate(theta) if j != i]) for i, a in enumerate(theta)]
    assert expected_wins(theta) == pytest.approx(by_hand)
    assert expected_wins(np.zeros(1)).tolist() == [0.5]


@pytest.mark.parametrize(("wins", "prior"), [(np.ones((2, 3)), 0.1), (-np.ones((2, 2)), 0.1), (np.ones((2, 2)), 0.0)])
def test_what_no_game_gives_is_refused(wins: np.ndarray, prior: float) -> None:
    with pytest.raises(ValueError, match="it must be"):
        bradley_terry(wins, prior)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 11), st.integers(0, 10**6))
def test_swiss_rounds_keep_the_rules(size: int, seed: int) -> None:
    rng, played, games = np.random.default_rng(seed), set(), np.zeros(size)
    scores = np.zeros(size)
    for _ in range(min(3, size - 1)):
        pairs = swiss_pairs(scores.tolist(), played)
        met = [i for pair in pairs for i in pair]
        assert len(met) == len(set(met))
        assert not {frozenset(pair) for pair in pairs} & played
        assert len(pairs) == size // 2
        bye = set(range(size)) - set(met)
        assert all(games[i] == games.max() for i in bye)  # who sits out has played as much as anybody
        for i, j in pairs:
            played.add(frozenset((i, j)))
            scores[i if rng.random() < 0.5 else j] += 1
        games[met] += 1


def test_like_meets_like() -> None:
    assert swiss_pairs([0, 2, 0, 2, 1, 1], set()) == [(0, 2), (1, 3), (4, 5)]
    assert swiss_pairs([0.0, 1.0], {frozenset((0, 1))}) == []
