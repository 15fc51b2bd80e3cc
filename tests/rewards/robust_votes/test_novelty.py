"""EVOL-RL: the sheet's group, a second formula, and what is compared with whom."""

import math
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.rewards.robust_votes.novelty import NoveltyReward, novelties, novelty_rewards

PAIRS = {
    **{(0, 1): 0.9, (0, 2): 0.6, (0, 3): 0.3, (0, 4): 0.2, (1, 2): 0.5},
    **{(1, 3): 0.4, (1, 4): 0.1, (2, 3): 0.2, (2, 4): 0.3, (3, 4): 0.8},
}
SHEET = np.array([[1.0 if i == j else PAIRS[min(i, j), max(i, j)] for j in range(5)] for i in range(5)])
TOWER = "9^{9^9}"  # unsafe to read
LONG = "+".join(f"{i}x^{{{i}}}" for i in range(2, 60))  # too long to compare with what is no number


class Directions:
    """Gives each text the vector that it names, as "1,0" before its answer."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[float(x) for x in text.split("|")[0].split(",")] for text in texts])


def completions(vectors: Any, answers: Sequence[str | None]) -> list[str]:
    """Texts that are compared by these vectors."""
    boxes = ["?" if answer is None else rf"\boxed{{{answer}}}" for answer in answers]
    return [f"{','.join(map(repr, map(float, v)))}|{box}" for v, box in zip(vectors, boxes, strict=True)]


def rewards(vectors: Any, answers: Sequence[str | None], **options: Any) -> list[float | None]:
    return NoveltyReward(Directions(), **options)(["p"] * len(answers), completions(vectors, answers))


def reference(vectors: Any, answers: Sequence[str | None]) -> list[float]:
    """Written from the sheet, one completion at a time."""
    given = [answer for answer in answers if answer is not None]
    valid = [i for i, answer in enumerate(answers) if answer is not None]
    out = [-1.0] * len(answers)
    if len(valid) <= 1:
        return out
    label = max(given, key=lambda answer: (given.count(answer), -given.index(answer)))

    def cosine(i: int, j: int) -> float:
        a, b = vectors[i], vectors[j]
        dot, lengths = sum(x * y for x, y in zip(a, b, strict=True)), math.hypot(*a) * math.hypot(*b)
        return min(max(dot / lengths, 0.0), 1.0) if lengths else 0.0

    novelty = {}
    for i in valid:
        others = [j for j in valid if j != i]
        same = [j for j in others if (answers[j] == label) == (answers[i] == label)] or others
        mean = math.fsum(cosine(i, j) for j in same) / len(same)
        novelty[i] = 1 - (mean / 2 + max(cosine(i, j) for j in others) / 2)
    for is_majority in (True, False):
        side = [i for i in valid if (answers[i] == label) == is_majority]
        for i in side:
            low, high = min(novelty[j] for j in side), max(novelty[j] for j in side)
            spread = 1.0 if len(side) == 1 else 0.5 if high - low < 1e-6 else (novelty[i] - low) / (high - low)
            out[i] = (0.5 if is_majority else -1.0) + 0.5 * spread
    return out


def test_the_sheets_group() -> None:
    sides = [True, True, True, False, False]
    assert novelties(SHEET, sides) == pytest.approx([0.175, 0.2, 0.425, 0.2, 0.2], abs=1e-6)
    assert novelty_rewards(SHEET, sides) == pytest.approx([0.5, 0.55, 1.0, -0.75, -0.75], abs=1e-6)
    assert novelty_rewards(SHEET[:4, :4], sides[:4]) == pytest.approx([0.5, 0.55, 1.0, -0.5], abs=1e-6)


def test_the_sheets_group_as_a_reward() -> None:
    vectors = [*np.linalg.cholesky(SHEET)]  # rows of length one with just these cosines
    assert rewards(vectors, ["7", "7", "7", "4", "5"]) == pytest.approx([0.5, 0.55, 1, -0.75, -0.75], abs=1e-6)
    # whoever does not answer is compared with nobody, however alike
    vectors = [*vectors, vectors[0]]
    assert rewards(vectors, ["7", "7", "7", "4", "5", None]) == pytest.approx(
        [0.5, 0.55, 1, -0.75, -0.75, -1], abs=1e-6
    )


def test_the_most_alike_is_sought_on_both_sides() -> None:
    # 1 is the newest to its own side, yet says what the minority says
    pairs = {(0, 1): 0.0, (0, 2): 0.5, (0, 3): 0.0, (1, 2): 0.4, (1, 3): 1.0, (2, 3): 0.4}
    similarities = np.array([[pairs.get((min(i, j), max(i, j)), 1.0) for j in range(4)] for i in range(4)])
    assert novelties(similarities, [True, True, True, False]) == pytest.approx([0.625, 0.4, 0.525, 1 - 1.4 / 6 - 0.5])
    assert novelty_rewards(similarities, [True, True, True, False]) == pytest.approx([1.0, 0.5, 0.5 + 0.5 / 1.8, -0.5])


NUMBERS = st.integers(-3, 3)
MEMBERS = st.lists(
    st.tuples(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.sampled_from(["1", "2", "3", None])), min_size=2, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(MEMBERS)
def test_every_group_is_as_the_sheet_says(members: list[tuple[tuple[int, ...], str | None]]) -> None:
    vectors, answers = [list(v) for v, _ in members], [answer for _, answer in members]
    found = rewards(vectors, answers)
    assert found == pytest.approx(reference(vectors, answers), abs=1e-5)
    # the sign is the vote's alone
    for reward, answer in zip(found, answers, strict=True):
        assert reward is not None
        assert answer is None or abs(reward) >= 0.5


@settings(max_examples=40, deadline=None)
@given(MEMBERS, st.randoms(use_true_random=False))
def test_order_decides_nothing(members: list[tuple[tuple[int, ...], str | None]], rng: Any) -> None:
    members = [*members, ((1, 2, 3), "1"), ((3, 2, 1), "1"), ((1, 0, 1), "1")] + [((1, 1, 1), "1")] * 8  # 1 wins
    order = rng.sample(range(len(members)), len(members))
    found = rewards([v for v, _ in members], [answer for _, answer in members])
    mixed = rewards([members[i][0] for i in order], [members[i][1] for i in order])
    assert mixed == pytest.approx([found[i] for i in order], abs=1e-5)


def test_completions_that_say_the_same_get_the_same_whatever_their_vectors_rounding() -> None:
    rng = np.random.default_rng(0)
    vectors = np.ones((6, 50)) + rng.normal(scale=1e-8, size=(6, 50))
    assert rewards(vectors, ["7"] * 4 + ["4"] * 2) == [0.75] * 4 + [-0.75] * 2


def test_groups_that_have_nothing_to_compare() -> None:
    same = [[1, 0]] * 3
    assert rewards(same, [None, None, None]) == [-1.0] * 3
    assert rewards(same, [None, "7", None]) == [-1.0] * 3
    assert rewards(same[:2], ["7", "4"]) == [1.0, -0.5]
    assert rewards(same[:2], ["7", "4"], ties="abstain") == [None, None]
    assert rewards(same, ["7", "4", None], ties="abstain") == [None, None, None]
    assert rewards(same[:1], ["7"]) == [1.0]
    assert rewards(same[:1], [None]) == [-1.0]


def test_groups_are_those_of_prompts_and_votes_are_of_meanings() -> None:
    vectors = [[1, 0], [1, 1], [0, 1], [1, 0], [1, 1], [0, 1]]
    said = completions(vectors, [r"\frac12", "0.5", "4", "4", "4", "1/2"])
    found = NoveltyReward(Directions())(["p", "p", "p", "q", "q", "q"], said)
    assert found == pytest.approx([0.75, 0.75, -0.5, 0.75, 0.75, -0.5])


def test_who_may_be_the_label_abstains_and_is_compared_with_nobody() -> None:
    vectors = [[1, 0], [1, 1], [1, 2], [0, 1], [0, 1]]
    found = rewards(vectors, ["x+1", "1+x", "x+1", "x-1", LONG])
    assert found[4] is None
    assert found[:4] == pytest.approx(reference(vectors[:4], ["x+1", "x+1", "x+1", "x-1"]), abs=1e-6)
    assert rewards(vectors[:3], ["7", "7", TOWER]) == [0.75, 0.75, None]


def test_letters_are_answers_unless_a_digit_is_asked_for() -> None:
    vectors = [[1, 0]] * 3
    said = [f"<think>1 2 3 4</think>{text}" for text in (r"1,0|\boxed{C}", r"1,0|\boxed{C}", r"1,0|\boxed{D}")]
    assert rewards(vectors, ["C", "C", "D"]) == [0.75, 0.75, -0.5]
    texts = [r"so \boxed{C}", r"so \boxed{C}", r"so \boxed{4}", r"and \boxed{4}"]
    thought = [f"<think>1 + 2</think>{text}" for text in texts]  # its digits do not count
    assert NoveltyReward(needs_digit=True)(["p"] * 4, thought) == [-1.0, -1.0, -0.75, -0.75]
    assert NoveltyReward()(["p"] * 4, thought) == [0.75, 0.75, -1.0, -0.5]
    assert NoveltyReward(Directions())(["p"] * 3, said) == [0.75, 0.75, -0.5]


def test_only_what_answers_is_embedded_and_only_what_follows_its_thought() -> None:
    heard: list[str] = []

    class Listening:
        def encode(self, texts: list[str]) -> np.ndarray:
            heard.extend(texts)
            return np.ones((len(texts), 2))

    said = ["<think>no</think> " + r"\boxed{4}", "?", r"<think>\boxed{4}", r"\boxed{5}"]
    assert NoveltyReward(Listening())(["p"] * 4, said) == [1.0, -1.0, -1.0, -0.5]
    assert heard == [r"\boxed{4}", r"\boxed{5}"]


def test_a_failing_embedding_is_an_error_and_never_a_random_vector() -> None:
    class Broken:
        def encode(self, texts: list[str]) -> np.ndarray:
            return np.full((len(texts), 2), np.nan)

    with pytest.raises(ValueError, match="Broken gave a vector that is not finite"):
        NoveltyReward(Broken())(["p"] * 2, [r"\boxed{4}"] * 2)
    with pytest.raises(ValueError, match="Vectors of texts are to come from"):
        NoveltyReward("ngarms")
    with pytest.raises(ValueError, match=r"must be \(N, N\)"):
        novelties(np.ones((2, 3)), [True, True])


def test_it_logs_how_alike_groups_are_and_can_be_pickled() -> None:
    logged: dict[str, float] = {}
    said = completions([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0]], ["7", "7", "4", "4", None])
    reward = pickle.loads(pickle.dumps(NoveltyReward(Directions())))
    reward(["p", "p", "q", "q", "q"], said, log_metric=logged.__setitem__)
    assert logged["NoveltyReward/similarity"] == pytest.approx(0.5)
    NoveltyReward()(["p"], ["?"], log_metric=(alone := dict[str, float]()).__setitem__)
    assert "NoveltyReward/similarity" not in alone
