"""SCOPE: step means, weighted votes and labels for parts of a group."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfrl.answers import vote
from selfrl.rewards import StepConfidenceVote
from selfrl.rewards.robust_votes.step_confidence import part_labels, step_mean, weighted_vote

KEYS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=12)


def rewards(answers: list[str], values: list[Any], texts: list[list[str]] | None = None, **options: Any) -> Any:
    completions = [rf"\boxed{{{answer}}}" for answer in answers]
    signal = {"self_certainty": values, "log_prob": values, "token_texts": texts or [[text] for text in completions]}
    return StepConfidenceVote(**options)(["p"] * len(answers), completions, **signal)


def test_the_sheets_step_mean_is_not_the_token_mean() -> None:
    texts = ["a", " b.\n\n", "c", "d", "e"]
    assert step_mean([0.1, 0.3, 0.5, 0.7, 0.6], texts) == pytest.approx(0.4, abs=1e-6)
    assert step_mean([0.1, 0.3, 0.5, 0.7, 0.6], ["a"] * 5) == pytest.approx(0.44, abs=1e-6)


def test_a_boundary_may_be_spread_over_tokens_and_ends_the_last() -> None:
    assert step_mean([1.0, 3.0, 7.0], ["a\n", "\nb", "c"]) == pytest.approx((2 + 7) / 2)
    assert step_mean([1.0, 3.0], ["a", "b\n\n"]) == 2.0
    with pytest.raises(ValueError, match="give each token one"):
        step_mean([1.0], [])


def test_the_sheets_vote_goes_against_the_majority() -> None:
    assert weighted_vote([*"88853"], [0.5, 0.4, 0.6, 2.4, 0.3]) == "5"
    sure = [torch.tensor([c]) for c in (0.5, 0.4, 0.6, 2.4, 0.3)]
    assert rewards([*"88853"], sure) == [0.0, 0.0, 0.0, 1.0, 0.0]


def test_less_sure_is_worth_less_by_the_sampled_tokens_alone() -> None:
    """The released code has it the other way round: the sum of surprisals."""
    log_prob = [torch.tensor([-0.1]), torch.tensor([-3.0]), torch.tensor([-3.0])]
    assert rewards([*"455"], log_prob, confidence="probability") == [1.0, 0.0, 0.0]
    assert math.exp(-0.1) > 2 * math.exp(-3)


@given(KEYS)
def test_equal_weights_are_the_majority(keys: list[str | None]) -> None:
    assert weighted_vote(keys, [0.5] * len(keys)) == vote(keys)


def test_an_answers_weight_goes_with_it() -> None:
    assert weighted_vote([None, "8", "7"], [9.0, 0.1, 0.2]) == "7"
    assert weighted_vote(["8", "7"], [1.0, 1.0]) == "8"
    assert weighted_vote([None], [1.0]) is None
    assert weighted_vote(["8"], [0.0]) is None
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="numbers from 0"):
            weighted_vote(["8"], [bad])


def test_what_could_not_be_compared_may_turn_a_vote() -> None:
    doubt = [frozenset("yz")]
    assert weighted_vote(["x", "y", "z"], [3.0, 2.0, 0.5], doubt) == "x"
    assert weighted_vote(["x", "y", "z"], [3.0, 2.0, 1.5], doubt) is None


def test_parts_have_labels_of_their_own() -> None:
    keys = [*"1122334455667788"]
    alone = part_labels(keys, [1.0] * 16, balance=1.0, seed="s")
    spread = part_labels(keys, [1.0] * 16, balance=0.0, seed="s")
    assert len(set(spread)) > len(set(alone))
    assert part_labels(keys, [1.0] * 16, seed="s") == part_labels(keys, [1.0] * 16, seed="s")
    assert part_labels([None, None], [1.0, 1.0]) == [None, None]
    assert part_labels(["1"], [1.0]) == ["1"]
    found = rewards([*"1111"], [torch.tensor([1.0])] * 4, parts=True)
    assert found == [1.0] * 4


def test_a_completion_that_was_not_scored_has_no_vote() -> None:
    assert rewards(["1", "1", "2"], [None, None, torch.tensor([0.1])]) == [0.0, 0.0, 1.0]
    assert rewards(["1", "1"], [None, None]) == [None, None]


def test_bad_options_and_missing_signals_are_refused() -> None:
    for options in ({"confidence": "surprisal"}, {"boundary": ""}, {"balance": 2.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            StepConfidenceVote(**options)
    with pytest.raises(ValueError, match="self_certainty"):
        StepConfidenceVote()(["p"], ["4"])
