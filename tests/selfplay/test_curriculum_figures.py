"""A curriculum's figures, against the sheet's worked numbers and against formulas written out."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.selfplay.curriculum_figures import (
    Descent,
    dead_mass,
    descent,
    duplicate_share,
    mean_learnability,
    rate_counts,
    refusals,
    topic_of,
    topic_spread,
    vote_gap,
)
from selfrl.selfplay.gate import NAMES, Gate, Proposal, Verdict
from selfrl.selfplay.gate_checks import Contamination
from selfrl.selfplay.near_index import NearIndex
from selfrl.selfplay.pool import Entry

SEEDS = ["Tom has 3 apples and buys 4 more, how many has he now?", "How old is the sun in years?"]
WRITTEN = [
    "Count the days of a leap year and add seven.",
    "How many legs have four spiders together?",
    "How many hours are there in a week?",
    "Add 3.",
    "how old is the sun, in years",
    "Tom has 3 apples and buys 9 more, how many has he now?",
]


@pytest.mark.parametrize("count", range(1, 17))
def test_every_rate_of_n_samples_has_the_bin_that_fractions_say(count: int) -> None:
    for solved in range(count + 1):
        exact = Fraction(solved, count)
        place = 6 if exact == 1 else math.ceil(5 * exact)  # ceil: an edge belongs to the bin below it
        rate = sum([1.0] * solved) / count
        assert rate_counts([rate]) == [int(i == place) for i in range(7)]


def test_a_mean_that_misses_an_edge_by_a_rounding_stays_below_it() -> None:
    assert 0.1 + 0.2 > 0.3
    assert rate_counts([(0.1 + 0.2) * 2]) == [0, 0, 0, 1, 0, 0, 0]
    assert rate_counts([0.999999]) == [0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("reward", [-0.1, 1.5, math.nan, math.inf])
def test_what_is_no_rate_has_no_bin(reward: float) -> None:
    assert rate_counts([0.5, reward]) is None


@given(st.lists(st.floats(0, 1)))
def test_every_rate_is_in_one_bin(rates: list[float]) -> None:
    counts = rate_counts(rates)
    assert counts is not None
    assert sum(counts) == len(rates)
    assert dead_mass(rates) == pytest.approx((counts[0] + counts[6]) / max(len(rates), 1))


def test_learnability_is_averaged_and_not_the_rate() -> None:
    rates = [0.0, 1 / 8, 1 / 2, 7 / 8, 1.0]
    assert mean_learnability(rates) == pytest.approx((0 + 0.4375 + 1 + 0.4375 + 0) / 5)  # of the mean rate: 1
    assert dead_mass(rates) == 2 / 5
    assert mean_learnability([]) == dead_mass([]) == 0


def test_descent_counts_seeds_by_their_own_root() -> None:
    one, two, three = (Entry.of_seed(text) for text in ("one", "two", "three"))
    first = one.child("one more", "deepen", "policy", 0)
    second = first.child("and more", "deepen", "policy", 0)
    entries = [first, second, second.child("and again", "deepen", "policy", 0), two.child("2", "deepen", "policy", 0)]
    assert descent(entries) == Descent(mean_depth=(1 + 2 + 3 + 1) / 4, max_depth=3, roots=2, largest_root=3 / 4)
    assert descent([*entries, three]) == Descent(7 / 5, 3, 3, 3 / 5)
    assert descent([]) == Descent(0, 0, 0, 0)


def test_entropy_of_the_sheet() -> None:
    spread = topic_spread(["a"] * 4 + ["b"] * 2 + ["c", "d"])
    assert spread.entropy == pytest.approx(1.213008, abs=5e-7)
    assert spread.evenness == pytest.approx(0.875)
    assert spread.effective == pytest.approx(3.363586, abs=5e-7)


def test_entropy_at_its_ends() -> None:
    assert topic_spread("aaa") == (0, 1, 1)
    assert topic_spread("abcde") == pytest.approx((math.log(5), 1, 5))


@given(st.lists(st.integers(0, 4), min_size=1), st.randoms())
def test_topics_have_no_order_and_no_names(topics: list[int], rng: object) -> None:
    shuffled = [f"topic {9 - topic}" for topic in topics]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert topic_spread(shuffled) == pytest.approx(topic_spread(topics))


def test_a_topic_may_be_the_number_of_a_class() -> None:
    seeds = [Entry.of_seed(str(i), topic=topic) for i, topic in enumerate([0, 0, 1, None, ""])]
    assert [topic_of(seed) for seed in seeds] == ["0", "0", "1", seeds[3].root, seeds[4].root]


def test_refusals_and_duplicates_are_those_of_the_gate() -> None:
    index = NearIndex(SEEDS.__getitem__)
    index.add_many(range(2), SEEDS)
    gate = Gate(index, Contamination([]))
    verdicts = gate.judge([Proposal(str(i), text) for i, text in enumerate(WRITTEN)])
    assert refusals(verdicts) == {"shape": 1, "exact_duplicate": 1, "near_duplicate": 1}
    assert refusals(verdicts) == {NAMES[n]: gate.counts[f"reject/{n}"] for n in (2, 4, 5)}
    assert duplicate_share(verdicts) == 2 / 6  # of all that was judged, and not of the three that were refused
    assert duplicate_share([]) == 0


def test_what_leaked_is_a_duplicate_and_no_refusal() -> None:
    leaked = Verdict("a", True, 4, "exact duplicate", None, None, leaked=True)
    assert (refusals([leaked]), duplicate_share([leaked])) == ({}, 1)


def test_the_gap_is_over_prompts_that_have_both() -> None:
    votes = {"a": 0.9, "b": 0.7, "no label": 0.1}
    right = {"a": True, "b": False, "no vote": False}
    assert vote_gap(votes, right) == pytest.approx((0.9 + 0.7) / 2 - 1 / 2)
    assert vote_gap({"a": 0.5}, {"a": True}) == -0.5
    assert vote_gap({"a": 0.9}, {"b": True}) is None
