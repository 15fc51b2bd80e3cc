"""Every worked number of the proposers' rewards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from selfrl.rewards import proposer
from selfrl.rewards.near_duplicates import bleu_distance, cluster_shares, clusters_of

RATES = (0, 1 / 8, 1 / 2, 7 / 8, 1)


@pytest.mark.parametrize(
    ("reward", "values"),
    [
        (proposer.learnability, (0, 0.4375, 1, 0.4375, 0)),
        (proposer.uncertainty, (0, 0.109375, 0.25, 0.109375, 0)),
        (lambda p: proposer.r_zero(p, 0.0), (0, 0.125, 0.5, 0.125, 0)),
        (proposer.absolute_zero, (-0.5, 0.875, 0.5, 0.125, -0.5)),
        (lambda p: proposer.absolute_zero(p, as_code=False), (0, 0.875, 0.5, 0.125, 0)),
        (proposer.hard, (1, 0.875, 0.5, 0.125, 0)),
        (proposer.medium, (0, 0.25, 1, 0.25, 0)),
        (proposer.spice, (0.043937, 0.372034, 1, 0.372034, 0.043937)),
        (lambda p: proposer.sqlm(int(8 * p), 8), (0, 1, 1, 1, 0)),
    ],
)
def test_the_sheets_table(reward: Callable[[float], float], values: tuple[float, ...]) -> None:
    assert [reward(rate) for rate in RATES] == pytest.approx(values, abs=1e-6)


def test_invalid_proposals() -> None:
    assert proposer.absolute_zero(None) == -0.5
    assert proposer.absolute_zero(0.5, formatted=False) == -1
    assert (proposer.hard(None), proposer.medium(None), proposer.spice(None)) == (0, 0, -0.1)
    assert proposer.r_zero(None, 0.25) == -1.25  # the share is subtracted from a malformed one, too
    for reward in (proposer.learnability, proposer.hard, proposer.medium, proposer.spice, proposer.absolute_zero):
        with pytest.raises(ValueError, match=r"The solve rate is 1\.5"):
            reward(1.5)


def test_r_zeros_batch_of_four() -> None:
    distances = np.array([[0, 0.2, 0.45, 0.95], [0.2, 0, 0.6, 0.95], [0.45, 0.6, 0, 0.9], [0.95, 0.95, 0.9, 0]])
    labels = clusters_of(distances)
    assert labels == [0, 0, 1, 2]  # c would join at .525: single linkage would take it in
    assert clusters_of(distances, 0.53) == [0, 0, 0, 1]
    shares = [labels.count(label) / 4 for label in labels]
    rewards = [proposer.r_zero(p, share) for p, share in zip((0.5, 0.9, 0.3, None), shares, strict=True)]
    assert rewards == pytest.approx([0, -0.4, 0.05, -1.25])


def test_a_distance_does_not_depend_on_the_order() -> None:
    a, b = "what is two plus two ?", "what is two plus three times four ?"
    assert bleu_distance(a, b) == bleu_distance(b, a)
    assert 0 < bleu_distance(a, b) < 1
    assert bleu_distance("", "") == 0
    assert bleu_distance("", a) == 1


def test_shares_of_a_batch() -> None:
    texts = ["add 3 and 4 to 5 .", "add 3 and 4 to 5 .", "add 3 and 4 to 5 .", "name the longest river of all"]
    assert cluster_shares(texts) == [0.75, 0.75, 0.75, 0.25]
    assert cluster_shares(["one"]) == [1.0]
    assert cluster_shares([]) == []


def guided(rates: list[float], guides: list[Any]) -> list[float]:
    return proposer.sgs(rates, guides)


def test_sgs_takes_the_harder_ones_of_what_is_solved_at_times() -> None:
    assert guided([0, 0.125, 0.5, 1], [6, 6, 6, 6]) == pytest.approx([0, 0.875, 0, 0])
    rates = [0.1, 0.2, 0.3, 0.4, 0.9, 0, 1]  # the 70th percentile of .1 .2 .3 .4 .9 is .38
    assert guided(rates, [1] * 7) == pytest.approx([0.9, 0.8, 0.7, 0, 0, 0, 0])
    assert guided([0.1, 0.1, 0.1], [6, 0, None]) == pytest.approx([0.9, 0, 0.45])
    assert proposer.sgs_guide(4, 1, 0) == 6
    assert proposer.sgs_guide(5, 3, 0) == proposer.sgs_guide(5, 4, 0) == 0
    with pytest.raises(ValueError, match="2 rates have 1 guides"):
        guided([0.1, 0.2], [1])
