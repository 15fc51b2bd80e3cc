"""Verdicts: what is read from a reply, whose vote it is, and when votes make a winner."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.preferences import Tally, balanced_votes, read_verdict

REPLIES = [
    ("A", "first"),
    (" b.\n", "second"),
    ("**A**", "first"),
    ("(B)", "second"),
    ('"A"', "first"),
    ("`B`:", "second"),
    ("_A_", "first"),
    ("[[A]]", "first"),
    ("[[b]]", "second"),
    ("[[C]]", "tie"),
    ("Response A", "first"),
    ("output  B", "second"),
    ("RESPONSE_B", "second"),
    ("C", "tie"),
    ("Tie.", "tie"),
    ("neither", "tie"),
    ("Equal", "tie"),
    ("both", "tie"),
    ("neutral", "tie"),
    ("<choice>A</choice>", "first"),
    ("<choice> output B </choice>", "second"),
    ("<analysis>A is longer.</analysis>\n<choice>tie</choice>", "tie"),
    # the last word counts, not the first
    ("<choice>A</choice> no, wait: <choice>B</choice>", "second"),
    ("It said <choice>B</choice>, but <choice>A</choice>", "first"),
    ("<choice>A</choice> B", "first"),
    # what says neither, or more than one thing
    (None, None),
    ("", None),
    ("   ", None),
    ("A good answer, but B is better", None),
    ("A B", None),
    ("A or B", None),
    ("A and B are a tie", None),
    ("Ab", None),
    ("AB", None),
    ("ab", None),
    ("D", None),
    ("1", None),
    ("first", None),
    ("response", None),
    ("A is better", None),
    ("not A", None),
    ("А", None),  # Cyrillic
    ("<choice></choice>", None),
    ("<choice> </choice>", None),
    ("<choice>maybe</choice>", None),
    ("<choice>A or B</choice>", None),
    ("<choice>A", "first"),
    ("<choice>A or", None),
    ("<CHOICE>B</CHOICE>", "second"),
    ("A</choice>", None),
    ("</choice>A<choice>", None),
    ("<choice>A</choice><choice>perhaps B</choice>", None),  # the last says nothing; the first is taken back
    ("<choice>" * 2000, None),
]


@pytest.mark.parametrize(("reply", "verdict"), REPLIES)
def test_what_is_read_from_a_reply(reply: str | None, verdict: str | None) -> None:
    assert read_verdict(reply) == verdict


@given(st.text(), st.sampled_from(["A", "B", "tie"]))
def test_the_last_choice_counts_whatever_stands_before_it(noise: str, word: str) -> None:
    assert read_verdict(f"{noise}<choice>{word}</choice>") == {"A": "first", "B": "second", "tie": "tie"}[word]


@given(st.text(max_size=40))
def test_any_reply_is_read_or_not(reply: str) -> None:
    assert read_verdict(reply) in ("first", "second", "tie", None)


def shown(first: Any, second: Any) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{first}|{second}"}]


def test_each_pair_is_shown_in_both_orders_and_votes_name_its_members() -> None:
    heard: list[str] = []

    def prefers_b(prompts: Any) -> list[str]:
        heard.extend(prompt[0]["content"] for prompt in prompts)
        return ["A" if prompt[0]["content"].startswith("b") else "B" for prompt in prompts]

    votes = balanced_votes([("a", "b"), ("b", "c")], shown, prefers_b, repeats=2)
    assert heard == ["a|b", "b|a", "a|b", "b|a", "b|c", "c|b", "b|c", "c|b"]
    assert votes == [
        [("two", "B"), ("two", "A"), ("two", "B"), ("two", "A")],
        [("one", "A"), ("one", "B"), ("one", "A"), ("one", "B")],
    ]


def test_the_judge_is_called_once_and_not_for_nothing() -> None:
    calls: list[int] = []

    def ask(prompts: Any) -> list[str]:
        calls.append(len(prompts))
        return ["tie"] * len(prompts)

    assert balanced_votes([(1, 2), (3, 4)], shown, ask, repeats=3) == [[("tie", "tie")] * 6] * 2
    assert balanced_votes([], shown, ask) == []
    assert calls == [12, 0]


@given(
    st.lists(st.tuples(st.integers(), st.integers()), max_size=6),
    st.integers(1, 4),
    st.sampled_from(["A", "B", "tie", None, "what?"]),
)
def test_a_liking_for_a_place_cancels_exactly(pairs: Any, repeats: int, always: str | None) -> None:
    votes = balanced_votes(pairs, shown, lambda prompts: [always] * len(prompts), repeats)
    assert len(votes) == len(pairs)
    for pair in votes:
        tally = Tally.of([vote for vote, _ in pair])
        assert tally.one == tally.two == (repeats if always in ("A", "B") else 0)
        assert tally.ties == (2 * repeats if always == "tie" else 0)
        assert tally.unread == (2 * repeats if always in (None, "what?") else 0)
        assert tally.winner is None
        assert [reply for _, reply in pair] == [always] * (2 * repeats)


@given(st.lists(st.sampled_from(["one", "two", "tie", None]), max_size=12))
def test_a_tally_counts_every_call_and_a_winner_has_most_of_them(votes: Any) -> None:
    tally = Tally.of(votes)
    assert tally.one + tally.two + tally.ties + tally.unread == len(votes)
    expected = [name for name in ("one", "two") if sum(v == name for v in votes) > len(votes) / 2]
    assert tally.winner == (expected[0] if expected else None)
    other = {"one": "two", "two": "one"}
    swapped = Tally.of([other.get(vote, vote) for vote in votes])
    assert swapped.winner == (None if tally.winner is None else other[tally.winner])


@pytest.mark.parametrize(
    ("tally", "winner"),
    [
        (Tally(3, 1, 0, 0), "one"),
        (Tally(1, 3, 0, 0), "two"),
        (Tally(2, 2, 0, 0), None),
        (Tally(2, 0, 2, 0), None),  # half of the calls is not more than half, though nobody spoke against
        (Tally(2, 0, 0, 2), None),
        (Tally(0, 2, 1, 1), None),
        (Tally(1, 0, 3, 0), None),
        (Tally(0, 1, 0, 3), None),
        (Tally(3, 0, 1, 0), "one"),
        (Tally(0, 0, 4, 0), None),
        (Tally(0, 0, 0, 0), None),
    ],
)
def test_a_winner_has_a_strict_majority_of_all_calls(tally: Tally, winner: str | None) -> None:
    assert tally.winner == winner
