"""What must not change who wins: the order of completions, the processes they come from, a delay."""

import random
from collections import Counter
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selfrl.answers import answer_key, merge_keys, vote
from selfrl.answers.majority import MergedKeys, in_doubt
from selfrl.answers.symbolic import keys_equivalent
from selfrl.rewards import MajorityVoteReward

SPELLINGS = [
    [r"\sqrt{8}", r"2\sqrt{2}", r"2 \cdot \sqrt 2"],
    ["x+1", "1+x", r"\frac{2x+2}{2}"],
    ["y=2x+3", "2x-y+3=0", "2x + 3"],
    ["(x-1)^2+(y+2)^2=9", "9=(y+2)^2+(x-1)^2"],
    ["60, 120", r"\{120, 60\}"],
    ["1/2", "0.5", r"\frac12"],
    [r"x \ge 3", r"[3, \infty)"],
]
ANSWERS = st.sampled_from([text for texts in SPELLINGS for text in texts])


def winner_of(texts: list[str]) -> int | None:
    """Which meaning wins."""
    label = vote(merge_keys([answer_key(rf"\boxed{{{text}}}") for text in texts], budget_s=20.0), ties="abstain")
    if label is None:
        return None
    (meaning,) = [
        i for i, spellings in enumerate(SPELLINGS) if keys_equivalent(label, answer_key(rf"\boxed{{{spellings[0]}}}"))
    ]
    return meaning


@settings(max_examples=40, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=12), st.integers(0, 9))
def test_the_order_of_completions_changes_nothing(texts: list[str], seed: int) -> None:
    counts = Counter(next(i for i, s in enumerate(SPELLINGS) if text in s) for text in texts).most_common(2)
    tie = len(counts) > 1 and counts[0][1] == counts[1][1]
    assert winner_of(texts) == (None if tie else counts[0][0])
    shuffled = random.Random(seed).sample(texts, len(texts))
    assert winner_of(shuffled) == winner_of(texts)
    rewards = MajorityVoteReward(ties="abstain")
    paid = [rewards(["?"] * len(texts), [rf"\boxed{{{t}}}" for t in order]) for order in (texts, shuffled)]
    assert sorted(zip(texts, map(str, paid[0]), strict=True)) == sorted(zip(shuffled, map(str, paid[1]), strict=True))


@settings(max_examples=60, deadline=None)
@given(ANSWERS, ANSWERS, ANSWERS)
def test_equality_is_symmetric_and_transitive(a: str, b: str, c: str) -> None:
    keys = [answer_key(rf"\boxed{{{text}}}") for text in (a, b, c)]
    ab, ba = (keys_equivalent(*pair, budget_s=20.0) for pair in (keys[:2], keys[1::-1]))
    assert ab is not None
    assert ab == ba
    if ab and keys_equivalent(keys[1], keys[2], budget_s=20.0):
        assert keys_equivalent(keys[0], keys[2], budget_s=20.0)


KEYS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)
PAIRS = st.lists(st.sampled_from([frozenset(p) for p in ("ab", "ac", "ad", "bc", "bd", "cd")]), max_size=4, unique=True)


def outcomes(keys: list[str], pairs: list[frozenset[str]]) -> set[str]:
    """Who may win, over every consistent way in which the undecided pairs may fall; a cluster by its members."""
    found = set()
    for equal in product((False, True), repeat=len(pairs)):
        cluster = {key: {key} for key in keys}
        for pair, same in zip(pairs, equal, strict=True):
            one, other = sorted(pair)
            if same and one in cluster and other in cluster:
                merged = cluster[one] | cluster[other]
                for key in merged:
                    cluster[key] = merged
        decided = {frozenset((a, b)) for a in cluster for b in cluster if a != b} - set(pairs)
        apart = {pair for pair, same in zip(pairs, equal, strict=True) if not same}
        if any(pair <= members for members in map(frozenset, cluster.values()) for pair in decided | apart):
            continue  # two keys that differ cannot both equal a third
        votes = Counter(frozenset(cluster[key]) for key in keys)
        best = max(votes.values())
        found.add("|".join(sorted("".join(sorted(c)) for c, n in votes.items() if n == best)))
    return found


@settings(max_examples=300, deadline=None)
@given(KEYS, PAIRS)
def test_a_label_wins_however_the_undecided_pairs_fall(keys: list[str], pairs: list[frozenset[str]]) -> None:
    label = vote(keys, ties="abstain", undecided=pairs)
    possible = outcomes(keys, pairs)
    if label is not None:
        assert all("|" not in winners and label in winners for winners in possible)
    if not pairs:
        assert (label is None) == ("|" in next(iter(possible)))


@given(KEYS, PAIRS)
def test_undecided_pairs_only_ever_take_a_label_away(keys: list[str], pairs: list[frozenset[str]]) -> None:
    label = vote(keys, undecided=pairs)
    assert label in (None, vote(keys))
    assert vote(MergedKeys(keys, pairs)) == label


@given(KEYS, st.integers(1, 4))
def test_bounds_hold_in_the_worst_case(keys: list[str], margin: int) -> None:
    assume(len(set(keys)) > 1)
    everything = [frozenset((a, b)) for a in set(keys) for b in set(keys) if a < b]
    label = vote(keys, min_margin=margin, undecided=everything)
    top = Counter(keys).most_common(1)[0][1]
    assert (label is not None) == (top - (len(keys) - top) >= margin)


def test_who_is_in_doubt() -> None:
    pairs = [frozenset("ab")]
    assert [in_doubt(key, "a", pairs) for key in ("a", "b", "c", None)] == [False, True, False, False]
    assert [in_doubt(key, None, pairs) for key in ("a", "b", "c", None)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("keys", "pairs", "label"),
    [
        ("abbb", ["ab"], "b"),
        ("aabbc", ["ac"], "a"),  # a tie that the first wins, or more
        ("bbaac", ["ac"], None),
        ("aaabbc", ["bc"], "a"),  # a tie that the first wins
        ("bbaaac", ["bc"], None),  # the same tie, with the rival first
        ("aaabbcc", ["bc"], None),
        ("aaabbcc", ["ab"], "a"),
        ("aab", ["ab"], "a"),
    ],
)
def test_worked_votes(keys: str, pairs: list[str], label: str | None) -> None:
    assert vote(list(keys), undecided=[frozenset(pair) for pair in pairs]) == label
