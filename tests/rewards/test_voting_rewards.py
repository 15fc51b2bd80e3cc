"""Voting rewards against references written from the papers."""

import pickle
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward, SemanticEntropyReward
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.vote_rule import agreement

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=10)


def texts(answers: list[str | None]) -> list[str]:
    return ["I do not know" if a is None else rf"so \boxed{{{a}}}" for a in answers]


def mode(answers: list[str | None]) -> str | None:
    """First-seen most common answer, as in Co-rewarding's code."""
    best, votes = None, 0
    for a in answers:
        if a is not None and answers.count(a) > votes:
            best, votes = a, answers.count(a)
    return best


@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_majority_vote_is_the_indicator_of_the_groups_mode(groups: list[list[str | None]]) -> None:
    prompts = [f"p{i}" for i, group in enumerate(groups) for _ in group]
    completions = [text for group in groups for text in texts(group)]
    expected: list[float | None] = []
    for group in groups:
        label = mode(group)
        expected += [None if label is None else float(a == label) for a in group]
    assert MajorityVoteReward()(prompts, completions) == expected


@given(ANSWERS)
def test_soft_rewards_are_shares_of_all_completions(group: list[str | None]) -> None:
    rewards = MajorityVoteReward(soft=True)(["p"] * len(group), texts(group))
    if mode(group) is None:
        assert rewards == [None] * len(group)
    else:
        assert rewards == [0.0 if a is None else group.count(a) / len(group) for a in group]


@given(st.lists(st.tuples(ANSWERS, ANSWERS), min_size=1, max_size=3), st.integers(0, 99))
def test_contrastive_labels_are_crossed(pairs: list[tuple[list[str | None], list[str | None]]], seed: int) -> None:
    """r_i = 1[ans = y'_v] on x and r'_i = 1[ans = y_v] on x'; a view whose opposite has no label abstains."""
    rows: list[tuple[int, int, str | None, float | None]] = []
    for pair_id, views in enumerate(pairs):
        labels = [mode(view) for view in views]
        for view in (0, 1):
            for answer in views[view]:
                label = labels[1 - view]
                rows.append((pair_id, view, answer, None if label is None else float(answer == label)))
    order = list(range(len(rows)))
    groups: dict[tuple[int, int], list[int]] = {}
    for i in order:
        groups.setdefault(rows[i][:2], []).append(i)
    blocks = list(groups.values())
    random.Random(seed).shuffle(blocks)  # joined on pair_id, never on position
    rows = [rows[i] for block in blocks for i in block]
    rewards = ContrastiveAgreementReward()(
        prompts=[f"{p}-{v}" for p, v, *_ in rows],
        completions=texts([a for _, _, a, _ in rows]),
        pair_id=[p for p, *_ in rows],
        view=[v for _, v, *_ in rows],
    )
    assert rewards == [expected for *_, expected in rows]


def test_crossing_differs_from_voting_on_the_own_view() -> None:
    view = [0, 0, 0, 1, 1, 1]
    completions = texts(["0", "0", "7", "7", "7", "0"])
    crossed = ContrastiveAgreementReward()(["x"] * 3 + ["y"] * 3, completions, pair_id=[1] * 6, view=view)
    assert crossed == [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert MajorityVoteReward()(["x"] * 3 + ["y"] * 3, completions) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_views_agree_across_spellings_but_not_in_raw_mode() -> None:
    completions = [r"\boxed{\sqrt{8}}"] * 2 + [r"\boxed{2\sqrt{2}}"] * 2
    columns: dict[str, Any] = {"pair_id": ["a"] * 4, "view": [0, 0, 1, 1]}
    prompts = ["x"] * 2 + ["y"] * 2
    assert ContrastiveAgreementReward()(prompts, completions, **columns) == [1.0] * 4
    assert ContrastiveAgreementReward(mode="raw")(prompts, completions, **columns) == [0.0] * 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs the columns 'pair_id' and 'view': expand paraphrase pairs"),
        ({"pair_id": [1, 1], "view": [0, 0]}, "Pair 1 has only one view in this batch"),
        ({"pair_id": [1, 1], "view": [0, 2]}, "`view` must be 0 or 1"),
    ],
)
def test_contrastive_refuses_what_it_cannot_join(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContrastiveAgreementReward()(["x", "y"], texts(["1", "1"]), **columns)


def test_rules_make_labels_scarce_never_zero() -> None:
    tie = texts(["1", "2"])
    assert MajorityVoteReward()(["p"] * 2, tie) == [1.0, 0.0]
    assert MajorityVoteReward(ties="abstain")(["p"] * 2, tie) == [None, None]
    split = texts(["1", "1", "2"])
    assert MajorityVoteReward(min_votes=3)(["p"] * 3, split) == [None] * 3
    assert MajorityVoteReward(min_margin=2)(["p"] * 3, split) == [None] * 3
    assert MajorityVoteReward(max_agreement=0.6)(["p"] * 3, split) == [None] * 3
    assert MajorityVoteReward(max_agreement=0.7)(["p"] * 3, split) == [1.0, 1.0, 0.0]
    crossed = ContrastiveAgreementReward(max_agreement=0.9)
    prompts, columns = ["x"] * 2 + ["y"] * 2, {"pair_id": [1] * 4, "view": [0, 0, 1, 1]}
    # view 0 agrees wholly and is gated; view 1 is not and still learns from view 0's label
    assert crossed(prompts, texts(["1", "1", "1", "2"]), **columns) == [None, None, 1.0, 0.0]


def test_hostile_answers_abstain_and_the_rest_is_right() -> None:
    hostile = [
        "9^{9^9}",
        "(10^9)!",
        "{" * 50_000 + "}" * 50_000,
        "1" * 1_000_000,
        "5\0",
        "5\u202e",
        r"\frac{" * 500,
    ]
    completions = [rf"\boxed{{{a}}}" for a in ("4", *hostile, "4", "5")]
    rewards = MajorityVoteReward()(["p"] * len(completions), completions)
    assert rewards[0] == rewards[-2] == 1.0
    assert rewards[-1] == 0.0
    # an unbalanced box is no answer (0), all others are unreadable (None)
    assert rewards[1:-2] == [None] * 6 + [0.0]


def test_conversations_and_groups_with_equal_text() -> None:
    prompt = [{"role": "user", "content": "2+2?"}]
    replies = [[{"role": "assistant", "content": text}] for text in texts(["4", "4", "5"])]
    assert MajorityVoteReward()([prompt] * 3, replies) == [1.0, 1.0, 0.0]
    tool = [{"role": "assistant", "content": r"\boxed{4}"}, {"role": "tool", "content": r"\boxed{9}"}]
    assert MajorityVoteReward()([prompt] * 2, [tool, replies[0]]) == [1.0, 1.0]


def test_logs_tell_what_the_vote_looked_like() -> None:
    scalars: dict[str, float] = {}
    extras: dict[str, list[Any]] = {}
    completions = [*texts(["4", "4", None]), r"\boxed{9^{9^9}}", *texts(["4", "5", "6", "7"])]
    MajorityVoteReward()(
        ["a"] * 4 + ["b"] * 4, completions, log_metric=scalars.__setitem__, log_extra=extras.__setitem__
    )
    assert scalars == {
        "MajorityVoteReward/undecided": 0.0,
        "MajorityVoteReward/majority_ratio": pytest.approx((0.5 + 0.25) / 2),
        "MajorityVoteReward/concentration": pytest.approx(3 / 8),
        "MajorityVoteReward/labelled": pytest.approx(7 / 8),
        "MajorityVoteReward/no_answer": pytest.approx(1 / 8),
        "MajorityVoteReward/unreadable": pytest.approx(1 / 8),
    }
    assert extras == {"MajorityVoteReward/answer": ["4", "4", None, None, "4", "5", "6", "7"]}
    ContrastiveAgreementReward()(
        ["x", "y"], texts(["1", "2"]), pair_id=[0, 0], view=[0, 1], log_metric=scalars.__setitem__
    )
    assert scalars["ContrastiveAgreementReward/cross_view_agreement"] == 0.0


@given(ANSWERS)
def test_agreement_is_the_top_share(keys: list[str | None]) -> None:
    counts = Counter(k for k in keys if k is not None)
    assert agreement(keys) == max(counts.values(), default=0) / len(keys)
    rewards = majority_rewards(keys, mode(keys))
    if mode(keys) is not None:
        assert sum(r for r in rewards if r is not None) / len(keys) == agreement(keys)


@pytest.mark.parametrize(
    "reward", [MajorityVoteReward(soft=True), ContrastiveAgreementReward(), SemanticEntropyReward()]
)
def test_rewards_are_picklable_and_named(reward: Any) -> None:
    copy = pickle.loads(pickle.dumps(reward))
    assert copy.__name__ == type(reward).__name__
    assert vars(copy) == vars(reward)


@pytest.mark.parametrize(
    "rule",
    [
        {"ties": "frist"},
        {"mode": "rwa"},
        {"min_votes": 0},
        {"min_margin": -1},
        {"max_agreement": 90},
        {"max_agreement": 0.0},
    ],
)
def test_a_rule_that_no_vote_could_use_is_refused_at_once(rule: dict[str, Any]) -> None:
    for reward in (MajorityVoteReward, ContrastiveAgreementReward):
        with pytest.raises(ValueError, match=f"`{next(iter(rule))}` is"):
            reward(**rule)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_rows_without_a_pair_id_are_not_one_pair(nothing: Any) -> None:
    with pytest.raises(ValueError, match="Row 0 of the batch has no `pair_id`"):
        ContrastiveAgreementReward()(["x", "y"], texts(["1", "1"]), pair_id=[nothing] * 2, view=[0, 1])


def test_a_view_column_may_be_of_floats() -> None:
    assert ContrastiveAgreementReward()(["x", "y"], texts(["1", "1"]), pair_id=[1, 1], view=[0.0, 1.0]) == [1.0, 1.0]  # type: ignore[list-item]


def test_a_part_without_text_is_passed_over() -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": r"\boxed{4}"}]
    assert MajorityVoteReward()(["p"], [[{"role": "assistant", "content": parts}]]) == [1.0]


LONG = "+".join(f"{i}x^{{{i}}}" for i in range(2, 60))  # too long to compare with what is no number


def test_who_may_be_the_label_abstains_and_its_votes_count_against_the_label() -> None:
    logged: dict[str, float] = {}
    completions = texts(["x+1", "1+x", LONG, "x+1", "x-1"])
    rewards = MajorityVoteReward()(["p"] * 5, completions, log_metric=logged.__setitem__)
    assert rewards == [1.0, 1.0, None, 1.0, 0.0]
    assert logged["MajorityVoteReward/undecided"] == 0.2
    assert logged["MajorityVoteReward/labelled"] == 0.8
    assert MajorityVoteReward()(["p"] * 5, texts(["x-1", "x+1", "1+x", LONG, LONG])) == [None] * 5
    crossed = ContrastiveAgreementReward()
    views: dict[str, list[int]] = {"pair_id": [1] * 8, "view": [0] * 4 + [1] * 4}
    answers = ["x+1", "1+x", LONG, "x-1", *["x-1", "x-1", "x-1", LONG]]
    assert crossed(["p"] * 4 + ["q"] * 4, texts(answers), **views) == [*[0.0, 0.0, None, 1.0], *[0.0, 0.0, 0.0, None]]


def test_a_tower_is_another_value_and_stops_nobody() -> None:
    tower = r"\exp(\exp(\exp(\exp(99))))"
    assert MajorityVoteReward()(["p"] * 5, texts([tower, "x+1", "x+1", tower, "1+x"])) == [0.0, 1.0, 1.0, 0.0, 1.0]


def test_a_teacher_elects_the_label_and_its_answers_meet_the_groups_by_meaning() -> None:
    teacher = [[rf"\boxed{{{a}}}"] for a in ("5", "1/2", "5", r"\sqrt{8}", r"2\sqrt{2}", "7")]
    prompts = ["a"] * 3 + ["b"] * 3
    completions = texts(["4", "4", "5", r"2\sqrt{2}", r"\sqrt{8}", "7"])
    columns = {"teacher_completions": teacher, "answer": ["5"] * 3 + ["7"] * 3}
    logged: dict[str, float] = {}
    rewards = MajorityVoteReward(voters="teacher")(prompts, completions, log_metric=logged.__setitem__, **columns)
    assert rewards == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    assert logged["MajorityVoteReward/label_accuracy"] == 0.5
    assert MajorityVoteReward()(prompts, completions, **columns) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_the_teachers_labels_are_crossed_between_the_views() -> None:
    teacher = [[rf"\boxed{{{a}}}"] for a in ("3", "3", "4", "4")]
    reward = ContrastiveAgreementReward(voters="teacher")
    rewards = reward(
        ["p"] * 2 + ["q"] * 2,
        texts(["3", "4", "3", "4"]),
        pair_id=[0] * 4,
        view=[0, 0, 1, 1],
        teacher_completions=teacher,
    )
    assert rewards == [0.0, 1.0, 1.0, 0.0]


def test_bad_voters_are_refused() -> None:
    with pytest.raises(ValueError, match="`voters` is 'all'"):
        MajorityVoteReward(voters="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`soft` rewards"):
        MajorityVoteReward(soft=True, voters="teacher")
