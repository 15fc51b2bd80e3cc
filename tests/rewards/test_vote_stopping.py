"""When a vote is decided before all have voted."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.answers import vote
from selfrl.rewards.vote_stopping import further_votes, is_open

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=5)


def cast(*counts: int) -> list[str | None]:
    """So many votes for each answer, the last without one."""
    *answers, silent = counts
    return [str(i) for i, count in enumerate(answers) for _ in range(count)] + [None] * silent


@pytest.mark.parametrize("counts", [(5, 1, 2), (6, 2, 0), (20, 11, 1), (20, 12, 0), (30, 20, 6), (31, 20, 5)])
def test_the_limit_is_that_of_a_lead_seen_from_its_end(counts: tuple[int, ...]) -> None:
    """The lead at the end by its predictive mean and variance, in standard deviations from 0."""
    first, second, *_ = counts
    n, most = sum(counts), 64
    rate, lead_rate, left = (first + second) / n, (first - second) / n, most - n
    mean, variance = (
        lead_rate * most,
        rate * left + left**2 * rate / n,
    )  # what is to come, and what is known of the rates
    assert is_open(cast(*counts), most) == (mean / sqrt(variance) <= 1.64)


@given(COUNTS, st.integers(1, 64))
def test_a_lead_that_cannot_be_turned_closes(counts: list[int], left: int) -> None:
    keys = cast(*counts, 0)
    first, second = sorted([*counts, 0], reverse=True)[:2]
    if first - second > left:
        assert not is_open(keys, len(keys) + left)
    assert not is_open(keys, len(keys))


@given(COUNTS, st.integers(1, 64))
def test_a_level_vote_is_open_and_a_vote_for_the_leader_never_opens(counts: list[int], left: int) -> None:
    keys = cast(*counts, 0)
    most = len(keys) + left
    best = str(counts.index(max(counts)))
    level = cast(max(counts), max(counts), 0)
    assert is_open(level, len(level) + left)
    if not is_open(keys, most):
        assert not is_open([*keys, best], most)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=64), st.integers(1, 20), st.integers(20, 64))
def test_votes_are_drawn_in_blocks_between_least_and_most(keys: list[str | None], least: int, most: int) -> None:
    more = further_votes(keys, least, most)
    if len(keys) < least:
        assert len(keys) + more == least
    else:
        assert more in (0, 8, most - len(keys))
        assert len(keys) + more <= max(most, len(keys))


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="1 <= least <= most"):
        further_votes([], 9, 8)


def test_labels_are_as_right_as_with_all_votes_at_less_than_half_of_them() -> None:
    rng = np.random.default_rng(5)
    used = fixed = adaptive = 0
    for share in rng.beta(2, 2, 3000):
        wrong = rng.dirichlet([0.5] * 12) * (1 - share)
        keys = [str(key) for key in rng.choice(13, 64, p=[share, *wrong])]
        cast = 0
        while more := further_votes(keys[:cast], 8, 64):
            cast += more
        used += cast
        fixed += vote(keys) == "0"
        adaptive += vote(keys[:cast]) == "0"
    assert used < 0.45 * 64 * 3000
    assert abs(adaptive - fixed) < 0.008 * 3000
