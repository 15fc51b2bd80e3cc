"""Rows for DPO from scored completions."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.preferences import preference_pairs


def test_best_against_worst_by_score_and_not_by_place() -> None:
    conversation = [{"role": "user", "content": "2+2?"}]
    replies = [[{"role": "assistant", "content": text}] for text in "abcd"]
    rows = preference_pairs([conversation, "p"], [replies, ["x", "y"]], [[0.4, 0.1, 0.9, 0.5], [None, 0.2]])
    assert rows == [
        {"prompt": conversation, "chosen": replies[2], "rejected": replies[1], "margin": pytest.approx(0.8)}
    ]


def test_the_margin_must_be_exceeded_and_abstentions_are_no_zeros() -> None:
    def count(scores: Any, margin: float = 0.0) -> int:
        return len(preference_pairs(["p"], [["a", "b", "c"]], [scores], margin))

    assert count([0.5, 0.5, 0.5]) == 0
    assert count([0.75, 0.25, 0.5], 0.5) == 0
    assert count([0.75, 0.25, 0.5], 0.49) == 1
    assert count([0.7, None, None]) == 0
    assert count([None, None, None]) == 0
    (row,) = preference_pairs(["p"], [["a", "b", "c"]], [[-0.5, None, -0.7]])  # None is neither best nor worst
    assert (row["chosen"], row["rejected"]) == ("a", "c")
    (row,) = preference_pairs(["p"], [["a", "b", "c"]], [[0.0, None, 0.7]])  # and a 0 is a score
    assert (row["chosen"], row["rejected"]) == ("c", "a")


def test_of_equal_scores_the_first_counts() -> None:
    (row,) = preference_pairs(["p"], [["a", "b", "c", "d"]], [[1.0, 0.0, 0.0, 1.0]])
    assert (row["chosen"], row["rejected"]) == ("a", "b")


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="Prompt 1 has 2 completions and 1 scores"):
        preference_pairs(["p", "q"], [["a"], ["b", "c"]], [[1.0], [1.0]])
    with pytest.raises(ValueError, match="1 prompts, 1 groups of completions and 0 of scores"):
        preference_pairs(["p"], [["a", "b"]], [])


SCORES = st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=6)


@given(st.lists(SCORES, max_size=5), st.floats(0, 3))
def test_every_row_has_a_lead_and_no_lead_is_left_out(groups: Any, margin: float) -> None:
    completions = [[f"{i}/{j}" for j in range(len(scores))] for i, scores in enumerate(groups)]
    rows = {r["prompt"]: r for r in preference_pairs(range(len(groups)), completions, groups, margin)}
    for i, scores in enumerate(groups):
        known = {text: s for text, s in zip(completions[i], scores, strict=True) if s is not None}
        lead = max(known.values()) - min(known.values()) if len(known) > 1 else -math.inf
        assert (i in rows) == (lead > margin)
        if i in rows:
            assert known[rows[i]["chosen"]] == max(known.values())
            assert known[rows[i]["rejected"]] == min(known.values())
            assert rows[i]["margin"] == lead
