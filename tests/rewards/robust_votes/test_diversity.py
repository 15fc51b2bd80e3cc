"""DARLING: the sheet's clusters, a second formula, linkages, and qualities of several kinds."""

import pickle
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.rewards import MajorityVoteReward, StepConfidenceVote
from selfrl.rewards.robust_votes.diversity import DiversityReward, diversities, same_words

# of more than five words, so that not their words are compared
SAID = {name: f"this is what a text of kind {name} says" for name in "ABCDE"}
LONG = "+".join(f"{i}x^{{{i}}}" for i in range(2, 60))  # too long to compare with what is no number


def kinds(text: str) -> str:
    return text.split("kind ")[1][0]


def classifier(first: str, second: str) -> float:
    """A is like B, B is like C, and no others are."""
    return {"AB": 0.9, "BC": 0.8, "AC": 0.1}.get(kinds(first) + kinds(second), float(kinds(first) == kinds(second)))


def told(letters: str, answers: str = "") -> list[str]:
    return [rf"{SAID[name]} \boxed{{{a}}}" for name, a in zip(letters, answers or "7" * len(letters), strict=True)]


def rewards(letters: str, answers: str = "", **options: Any) -> list[float | None]:
    return DiversityReward(same=classifier, **options)(["p"] * len(letters), told(letters, answers))


def test_the_sheets_group() -> None:
    assert diversities([0, 0, 1, 2, 2, 3]) == pytest.approx([0.8, 0.8, 1, 0.8, 0.8, 1], abs=1e-6)
    found = rewards("AACDDE", "777457")
    assert found == pytest.approx([0.8, 0.8, 1, 0, 0, 1], abs=1e-6)
    mean = sum(r for r in found if r is not None) / 6
    assert [r - mean for r in found if r is not None] == pytest.approx([0.2, 0.2, 0.4, -0.6, -0.6, 0.4], abs=1e-6)


def test_one_cluster_leaves_a_tenth_and_a_lone_completion_its_quality() -> None:
    assert rewards("AAAA", "7774") == pytest.approx([0.1, 0.1, 0.1, 0.0])
    assert rewards("A") == [1.0]
    assert DiversityReward(lambda completions, **_: [3.5])(["p"], ["anything"]) == [3.5]
    # the floor is one for large clusters alone: 2 of 12 others are left here, more than a tenth
    assert rewards("A" * 11 + "DE")[0] == pytest.approx(2 / 12)
    assert rewards("A" * 12 + "D")[0] == pytest.approx(0.1)


def test_single_linkage_chains_and_average_does_not() -> None:
    assert rewards("ABC", linkage="single") == pytest.approx([0.1, 0.1, 0.1])
    assert rewards("ABC", linkage="average") == rewards("ABC") == pytest.approx([0.5, 0.5, 1.0])


@pytest.mark.parametrize("linkage", ["single", "average"])
@pytest.mark.parametrize(("value", "expected"), [(0.5, 1.0), (0.5000001, 0.1)])
def test_the_threshold_itself_is_not_above_it(linkage: Any, value: float, expected: float) -> None:
    found = DiversityReward(same=lambda a, b: value, linkage=linkage)(["p"] * 2, told("AB"))
    assert found == pytest.approx([expected] * 2)
    strict = DiversityReward(same=lambda a, b: value, linkage=linkage, threshold=0.7)
    assert strict(["p"] * 2, told("AB")) == [1.0, 1.0]


def reference(sameness: np.ndarray, linkage: str) -> list[set[int]]:
    """Clusters, by joining over and over the two that are the most alike."""
    clusters = [{i} for i in range(len(sameness))]
    score = (lambda values: max(values)) if linkage == "single" else (lambda values: sum(values) / len(values))
    while len(clusters) > 1:
        pairs = list(combinations(range(len(clusters)), 2))
        found = [score([sameness[i, j] for i in clusters[a] for j in clusters[b]]) for a, b in pairs]
        if max(found) <= 0.5:
            break
        a, b = pairs[found.index(max(found))]
        clusters[a] |= clusters.pop(b)
    return clusters


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10**6), st.sampled_from(["single", "average"]))
def test_clusters_and_rewards_are_as_the_sheet_says(count: int, seed: int, linkage: Any) -> None:
    rng = np.random.default_rng(seed)
    sameness = rng.uniform(size=(count, count)) ** 0.7
    sameness = (sameness + sameness.T) / 2
    quality = rng.uniform(size=count).tolist()
    texts = [f"one two three four five six, {i}" for i in range(count)]

    def same(first: str, second: str) -> float:
        return float(sameness[int(first.split()[-1]), int(second.split()[-1])])

    expected = [0.0] * count
    for cluster in reference(sameness, linkage):
        for i in cluster:
            expected[i] = quality[i] * (max((count - len(cluster)) / (count - 1), 0.1) if count > 1 else 1.0)
    reward = DiversityReward(lambda completions, **_: quality, same=same, linkage=linkage)
    assert reward(["p"] * count, texts) == pytest.approx(expected, abs=1e-9)


TEXTS = st.lists(
    st.sampled_from(["a b", "b c", "c d", "a b c", "c", "", *told("ABCD", "7744")]), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["single", "average"]), st.sampled_from(["ngrams", "classifier"]), st.randoms())
def test_order_decides_nothing(texts: list[str], linkage: Any, same: str, rng: Any) -> None:
    """Ties abound here: short texts are the same or not."""

    def classifier(first: str, second: str) -> float:
        return (first < second) * 0.4 + 0.2  # not symmetric

    reward = DiversityReward(
        lambda completions, **_: [1.0] * len(completions), "ngrams" if same == "ngrams" else classifier, linkage=linkage
    )
    found = reward(["p"] * len(texts), texts)
    order = rng.sample(range(len(texts)), len(texts))
    assert reward(["p"] * len(texts), [texts[i] for i in order]) == pytest.approx([found[i] for i in order])


def test_short_texts_are_compared_by_their_words() -> None:
    assert same_words("a b c d".split(), "d c x y z".split()) is False  # 4 < 5
    assert same_words("a b c d".split(), "d c x y".split()) is True
    assert same_words(["a", "a", "a"], ["a", "a", "a"]) is True  # as sets they would share one word of three
    assert same_words([], []) is True
    assert same_words([], ["a"]) is False
    ones = DiversityReward(lambda completions, **_: [1.0] * len(completions), same=lambda a, b: 0.0)
    assert ones(["p"] * 3, ["one two three", "three two", "five"]) == pytest.approx([0.5, 0.5, 1.0])
    five, six = "a b c d e", "a b c d e f"
    assert ones(["p"] * 2, [five, five]) == pytest.approx([0.1, 0.1])
    assert ones(["p"] * 2, [five, six]) == [1.0, 1.0]  # both must be short: the classifier is asked, and says no
    vectors = DiversityReward(lambda completions, **_: [1.0] * len(completions))
    assert vectors(["p"] * 2, ["it is red", "it is tea"]) == pytest.approx([0.1, 0.1])


def test_ngrams_tell_steps_in_other_words_from_other_ways() -> None:
    said = [
        "Natalia sold 48/2 = 24 clips in May. Altogether she sold 48 + 24 = 72 clips in April and May.",
        "In May, Natalia sold 48 / 2 = 24 clips. Altogether, Natalia sold 48 + 24 = 72 clips in April and May.",
        "Let x be what she sold in April, so x = 48. Then the total is x + x/2 = 3x/2 = 72.",
    ]
    completions = [rf"<think>the same of all</think> {text} \boxed{{72}}" for text in said]
    assert DiversityReward()(["p"] * 3, completions) == pytest.approx([0.5, 0.5, 1.0])


def test_vectors_of_any_source_are_compared_by_their_cosine() -> None:
    class Firsts:
        def encode(self, texts: list[str]) -> np.ndarray:
            return np.array([{"A": [1, 0], "B": [1, 0.1], "C": [0, 5]}[kinds(text)] for text in texts])

        def __call__(self, text: str) -> None:
            raise AssertionError("a model is not a classifier, though it may be called")

    assert DiversityReward(same=Firsts())(["p"] * 3, told("ABC")) == pytest.approx([0.5, 0.5, 1.0])

    class Broken:
        def encode(self, texts: list[str]) -> np.ndarray:
            return np.full((len(texts), 2), np.inf)

    with pytest.raises(ValueError, match="Broken gave a vector that is not finite"):
        DiversityReward(same=Broken())(["p"] * 3, told("ABC"))


def test_a_group_without_a_label_abstains_and_so_does_what_may_be_the_label() -> None:
    assert rewards("AB", "74", ties="abstain") == [None, None]
    assert rewards("AC", "74") == [1.0, 0.0]
    assert DiversityReward()(["p"] * 2, ["?", "!"]) == [None, None]
    texts = [rf"{SAID['A']} \boxed{{{a}}}" for a in ("x+1", "1+x", "x+1", "9^{9^9}", LONG)]
    found = DiversityReward(same=classifier)(["p"] * 5, texts)
    assert found[:3] == pytest.approx([0.1] * 3)  # who abstains still says the same
    assert found[3:] == [None, None]


def test_a_quality_is_called_as_trl_would_and_abstains() -> None:
    handed: dict[str, Any] = {}

    def length(**columns: Any) -> list[float | None]:
        handed.update(columns)
        return [
            None if "C" in text else float(len(ids))
            for text, ids in zip(columns["completions"], columns["completion_ids"], strict=True)
        ]

    logged: dict[str, float] = {}
    found = DiversityReward(length, classifier)(
        prompts=["p"] * 3,
        completions=told("AAC"),
        completion_ids=[[1], [1, 2], [3]],
        note=["x"] * 3,
        log_metric=logged.__setitem__,
    )
    assert found == pytest.approx([0.5, 1.0, None])
    assert handed.keys() == {"prompts", "completions", "completion_ids", "note", "log_metric"}
    assert logged["DiversityReward/diversity"] == pytest.approx(2 / 3)


def test_it_logs_the_diversity_of_this_batch_alone() -> None:
    logged: dict[str, float] = {}
    reward = DiversityReward(same=classifier)
    for letters, diversity in (("AAAA", 0.1), ("AAC", 2 / 3)):
        reward(["p"] * len(letters), told(letters), log_metric=logged.__setitem__)
        assert logged["DiversityReward/diversity"] == pytest.approx(diversity)


def test_a_reward_of_ours_as_quality_brings_its_needs_and_its_log() -> None:
    quality = StepConfidenceVote()
    reward = DiversityReward(quality, classifier)
    assert reward.signals == quality.signals
    assert (reward.columns, reward.needs_teacher, reward.needs_policy, reward.elects) == ((), False, False, False)
    assert DiversityReward().elects
    with pytest.raises(ValueError, match="StepConfidenceVote needs"):
        reward(["p"] * 2, told("AB"))
    logged: dict[str, float] = {}
    plain = DiversityReward(MajorityVoteReward(), classifier)(
        ["p"] * 3, told("AAC", "774"), log_metric=logged.__setitem__
    )
    assert plain == rewards("AAC", "774") == pytest.approx([0.5, 0.5, 0.0])
    assert logged["MajorityVoteReward/majority_ratio"] == pytest.approx(2 / 3)
    assert DiversityReward(MajorityVoteReward(voters="teacher")).needs_teacher


@pytest.mark.parametrize(
    ("given", "message"),
    [([1.0], "gave 1 rewards for 2 completions"), ([1.0, float("nan")], "not finite: abstain with None")],
)
def test_what_a_quality_gives_is_checked(given: list[float], message: str) -> None:
    def quality(**columns: Any) -> list[float]:
        return given

    with pytest.raises(ValueError, match=f"The quality quality gave .*{message.removeprefix('gave ')}"):
        DiversityReward(quality)(["p"] * 2, told("AB"))
    assert DiversityReward(lambda completions, **_: torch.ones(2), classifier)(["p"] * 2, told("AC")) == [1.0, 1.0]


def test_a_classifier_is_checked_and_asked_once_a_pair_of_different_texts() -> None:
    asked: list[tuple[str, str]] = []

    def same(first: str, second: str) -> float:
        asked.append((kinds(first), kinds(second)))
        return 0.0

    DiversityReward(same=same)(["p"] * 4, told("BABC"))
    assert sorted(asked) == [("A", "B"), ("A", "C"), ("B", "C")]
    with pytest.raises(ValueError, match=r"`same` gave 1\.5 for"):
        DiversityReward(same=lambda a, b: 1.5)(["p"] * 2, told("AB"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "best"}, "`quality` is 'best'"),
        ({"same": 3}, "`same` is 3"),
        ({"same": "ngarms"}, "Vectors of texts are to come from 'ngarms'"),
        ({"threshold": 1.0}, "`threshold` is 1.0"),
        ({"threshold": -0.1}, "`threshold` is -0.1"),
        ({"linkage": "complete"}, "`linkage` is 'complete'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiversityReward(**options)


def test_it_can_be_pickled() -> None:
    reward = pickle.loads(pickle.dumps(DiversityReward(MajorityVoteReward(), classifier, linkage="single")))
    assert reward(["p"] * 3, told("ABC")) == pytest.approx([0.1] * 3)
    assert reward.__name__ == "DiversityReward"
