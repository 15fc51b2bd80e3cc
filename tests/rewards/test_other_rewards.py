import math
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.answers.worker import WORKER
from selfrl.rewards import AccuracyReward, FormatReward, RandomReward, RepetitionReward, SemanticEntropyReward
from selfrl.rewards.semantic_entropy import semantic_entropy, semantic_entropy_rewards

KEYS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=2, max_size=12)


def reference_entropy(keys: list[str | None]) -> float:
    clusters = [keys.count(k) for k in set(keys) - {None}] + [1] * keys.count(None)
    total = sum(clusters)
    return sum(-(n / total) * math.log(n / total) for n in clusters)


@given(KEYS)
def test_semantic_entropy_and_its_rewards(keys: list[str | None]) -> None:
    entropy = reference_entropy(keys)
    assert semantic_entropy(keys) == pytest.approx(entropy, abs=1e-12)
    rewards = semantic_entropy_rewards(keys)
    all_agree, none_agree = entropy < 1e-9, entropy > math.log(len(keys)) - 1e-9
    if all_agree or none_agree:
        assert rewards == [None] * len(keys)
    else:
        assert rewards == [0.0 if k is None else keys.count(k) / len(keys) for k in keys]


def test_the_gate_is_exclusive_and_in_nats() -> None:
    keys = ["1", "1", "2", "2"]  # H = log 2
    assert semantic_entropy_rewards(keys, low=0.0, high=math.log(2)) == [None] * 4
    assert semantic_entropy_rewards(keys, low=math.log(2)) == [None] * 4
    assert semantic_entropy_rewards(keys, low=0.69, high=0.70) == [0.5] * 4
    assert semantic_entropy_rewards(keys, low=0.9, high=1.1) == [None] * 4  # 1 bit, not 1 nat


def test_semantic_entropy_reward_merges_meanings() -> None:
    completions = [r"\boxed{\sqrt{8}}", r"\boxed{2\sqrt{2}}", r"\boxed{1}", "?"]
    assert SemanticEntropyReward()(["p"] * 4, completions) == [0.5, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    ("completion", "answer", "reward"),
    [
        (r"\boxed{0.5}", r"\frac{1}{2}", 1.0),
        (r"\boxed{2\sqrt{2}}", r"\sqrt{8}", 1.0),
        (r"\boxed{7}", "3 + 4 = 7\n#### 7", 1.0),
        (r"\boxed{8}", "7", 0.0),
        ("7", "7", 0.0),  # states no answer by any convention
        (r"\boxed{9^{9^9}}", "7", None),
        (r"\boxed{7}", "9^{9^9}", None),
        (r"\boxed{7}", "", None),
        (r"\boxed{7}", 7, 1.0),
    ],
)
def test_accuracy(completion: str, answer: object, reward: float | None) -> None:
    assert AccuracyReward()(["p"], [completion], answer=[answer]) == [reward]


def test_accuracy_counts_what_it_could_not_grade_and_asks_for_its_column() -> None:
    seen: dict[str, float] = {}
    AccuracyReward()(["p"] * 2, [r"\boxed{1}", r"\boxed{9^{9^9}}"], answer=["1", "1"], log_metric=seen.__setitem__)
    assert seen == {"AccuracyReward/abstained": 0.5}
    with pytest.raises(ValueError, match="needs the column 'solution'"):
        AccuracyReward("solution")(["p"], ["x"], answer=["1"])


@pytest.mark.parametrize(
    ("style", "text", "reward"),
    [
        ("boxed", r"so \boxed{4}", 1.0),
        ("boxed", r"so \boxed{}", 0.0),
        ("boxed", r"so \boxed{4", 0.0),
        ("boxed", "4", 0.0),
        ("think_answer", "<think>a\nb</think>\n<answer>4</answer>", 1.0),
        ("think_answer", "x<think>a</think><answer>4</answer>", 0.0),
        ("think_answer", "<think>a</think>x<answer>4</answer>", 0.0),
        ("think_answer", "<think>a</think><answer></answer>", 0.0),
        ("think_answer", "<think>a</think><answer>4</answer><answer>5</answer>", 0.0),
        ("think_answer", "<answer>4</answer><think>a</think>", 0.0),
    ],
)
def test_format(style: str, text: str, reward: float) -> None:
    assert FormatReward(style)(["p"], [text]) == [reward]  # type: ignore[arg-type]


def test_format_refuses_an_unknown_style() -> None:
    with pytest.raises(ValueError, match="no style 'json'"):
        FormatReward("json")  # type: ignore[arg-type]


def test_random_reward_has_its_rate_and_ignores_the_completion() -> None:
    reward = RandomReward(p=0.3, seed=5)
    draws = reward([f"p{i // 8}" for i in range(8000)], ["x"] * 8000)
    assert abs(sum(draws) / 8000 - 0.3) < 0.03  # type: ignore[arg-type]
    assert draws == reward([f"p{i // 8}" for i in range(8000)], ["y"] * 8000)
    assert len(set(draws[:8])) == 2 or len(set(draws[8:16])) == 2  # rows of one group differ


def test_random_reward_changes_with_seed_and_step() -> None:
    prompts, completions = ["p"] * 64, ["x"] * 64
    states = [SimpleNamespace(global_step=step) for step in (0, 1)]
    first, second = (RandomReward(seed=1)(prompts, completions, trainer_state=state) for state in states)
    assert first != second
    assert first != RandomReward(seed=2)(prompts, completions, trainer_state=states[0])
    assert first == RandomReward(seed=1)(prompts, completions)
    with pytest.raises(ValueError, match=r"p = 1\.5"):
        RandomReward(p=1.5)


@pytest.mark.parametrize("reward", [AccuracyReward(), FormatReward("think_answer"), RandomReward(seed=3)])
def test_controls_are_picklable(reward: object) -> None:
    assert vars(pickle.loads(pickle.dumps(reward))) == vars(reward)


def test_a_row_without_a_label_abstains_and_a_list_is_refused() -> None:
    golds = [None, float("nan"), "7", 7.0]
    assert AccuracyReward()(["p"] * 4, [r"\boxed{7}"] * 4, answer=golds) == [None, None, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"Row 1 of the batch has \['7', '8'\] in the column 'answer'"):
        AccuracyReward()(["p"] * 2, [r"\boxed{7}"] * 2, answer=["7", ["7", "8"]])


def test_one_comparison_serves_all_completions_that_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, cluster = [], WORKER.cluster
    monkeypatch.setattr(WORKER, "cluster", lambda *args: asked.append(args) or cluster(*args))
    towers = [rf"\exp(\exp(\exp({n})))" for n in (98, 99)]  # too large to compare
    assert AccuracyReward()(["p"] * 8, [rf"\boxed{{{towers[0]}}}"] * 8, answer=[towers[1]] * 8) == [None] * 8
    assert len(asked) == 1


def test_no_bound_lets_a_group_count_where_no_two_agree() -> None:
    assert semantic_entropy_rewards(["4", "5", "6", "7"], high=2.0) == [None] * 4
    assert semantic_entropy_rewards([None] * 4, high=2.0) == [None] * 4
    assert semantic_entropy_rewards(["4", "4", "5", "6"], high=2.0) == [0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("bounds", [{"low": -1.0}, {"low": 2.0, "high": 1.0}, {"mode": "rwa"}])
def test_bounds_that_leave_nothing_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs 0 <= low < high|`mode` is 'rwa'"):
        SemanticEntropyReward(**bounds)


def test_repetition_is_a_long_line_more_than_three_times() -> None:
    long, short = "I turn the second picture by a quarter", "I turn it"
    said = [f"{long}\n" * 4, f"{long}\n" * 3, f"{short}\n" * 9, f"  {long} \n{short}\n" * 4]
    assert RepetitionReward()(["?"] * 4, said) == [-0.5, 0.0, 0.0, -0.5]
    assert RepetitionReward(penalty=1.0)(["?"], [said[0]]) == [-1.0]
    with pytest.raises(ValueError, match="has penalty -1"):
        RepetitionReward(penalty=-1)
