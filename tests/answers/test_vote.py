import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.answers import answer_key, canonical, read_answer, vote

KEYS = st.lists(st.sampled_from(["1", "2", "3", None]), max_size=12)


@given(KEYS)
def test_the_winner_has_the_most_votes_and_none_never_wins(keys: list[str | None]) -> None:
    winner = vote(keys)
    counts = Counter(k for k in keys if k is not None)
    if not counts:
        assert winner is None
    else:
        assert winner is not None
        assert counts[winner] == max(counts.values())
        first = next(k for k in keys if k is not None and counts[k] == max(counts.values()))
        assert winner == first


@given(KEYS, st.integers(0, 5))
def test_without_ties_the_order_does_not_matter(keys: list[str | None], seed: int) -> None:
    shuffled = random.Random(seed).sample(keys, len(keys))
    assert vote(keys, ties="abstain") == vote(shuffled, ties="abstain")


def test_bounds() -> None:
    assert vote(["1", "1", "2"], min_votes=3) is None
    assert vote(["1", "1", "1", "2"], min_votes=3) == "1"
    assert vote(["1", "1", "2"], min_margin=2) is None
    assert vote(["1", "1", "1", "2"], min_margin=2) == "1"
    assert vote(["1"], min_margin=1) == "1"
    assert vote([None, None, None, "1"]) == "1"
    assert vote([]) is None


def test_raw_mode_is_string_equality_of_the_box() -> None:
    assert answer_key(r"\boxed{0.50}", mode="raw") == "0.50"
    assert answer_key(r"\boxed{}", mode="raw") is None
    assert answer_key(r"\boxed{ }", mode="raw") is None
    assert answer_key("#### 5", mode="raw") is None
    assert answer_key("#### 5") == "5"


def test_an_unreadable_answer_is_told_from_a_missing_one() -> None:
    assert read_answer("no idea") == (None, False)
    assert read_answer(r"\boxed{}") == (None, False)
    assert read_answer(r"\boxed{" + "7" * 1_000_000 + "}") == (None, True)
    assert read_answer(r"\boxed{7}") == ("7", False)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="ties"):
        vote(["1"], ties="last")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode"):
        answer_key("1", mode="Raw")  # type: ignore[arg-type]


def test_the_cache_holds_no_long_texts() -> None:
    before = canonical._canonical_key.cache_info().currsize
    assert answer_key(r"\boxed{" + "8" * 1_000_000 + "}") is None
    assert canonical._canonical_key.cache_info().currsize == before
    assert canonical._canonical_key.cache_info().maxsize == 16384
