"""Group rewards: what a group holds, that its rows may stand anywhere, and what is told of its vote."""

import math
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.answers.worker import WORKER
from selfrl.conversation import prompt_id
from selfrl.group_record import GroupVote, PromptHistory
from selfrl.rewards import (
    AccuracyReward,
    ContrastiveAgreementReward,
    MajorityVoteReward,
    PromptGroupReward,
    SemanticEntropyReward,
)
from selfrl.rewards.prompt_groups import Group
from selfrl.rewards.vote_rule import VoteRule
from selfrl.trainers.records import ScoredBatch


def boxes(answers: str) -> list[str]:
    """A completion a letter: "?" states no answer, "!" an unsafe one."""
    said = {"?": "I do not know", "!": r"\boxed{9^{9^9}}"}
    return [said.get(answer, rf"so \boxed{{{answer}}}") for answer in answers]


class Keeps(PromptGroupReward):
    """Rewards by the place in the group, and keeps the groups."""

    columns = ("level",)
    signals = ("entropy",)

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def group_rewards(self, group: Group) -> list[float | None]:
        self.groups.append(group)
        return [float(place) for place in range(len(group.keys))]

    def group_metrics(self, groups: Any) -> dict[str, float]:
        return {"groups": len(groups)}


def test_a_group_holds_all_completions_of_a_prompt_wherever_they_stand() -> None:
    reward = Keeps()
    prompts: list[Any] = [[{"role": "user", "content": "b?"}], "a?", "a?", [{"role": "user", "content": "b?"}]]
    entropy = [torch.tensor([float(i)]) for i in range(4)]
    completions = [*boxes("7"), *boxes("?!"), r"\boxed{7.0}"]
    logged: dict[str, Any] = {}
    rewards = reward(
        prompts,
        completions,
        level=[1, 2, 3, 4],
        entropy=entropy,
        other=[0] * 4,
        log_metric=logged.__setitem__,
        log_extra=logged.__setitem__,
    )
    assert rewards == [0.0, 0.0, None, 1.0]  # an answer that is unsafe to read abstains, whatever it was given
    first, second = reward.groups
    assert (first.prompt, second.prompt) == ("b?", "a?")
    assert first.texts == (completions[0], completions[3])
    assert first.keys == ("7", "7")
    assert second.keys == (None, None)
    assert [answer.unreadable for answer in second.answers] == [False, True]
    assert (first.label, second.label) == ("7", None)
    assert first.columns == {"level": (1, 4), "entropy": (entropy[0], entropy[3])}
    assert logged["Keeps/groups"] == 2
    assert logged["Keeps/labelled"] == 0.75
    assert logged["Keeps/answer"] == ["7", None, None, "7"]


def test_another_number_of_rewards_is_refused() -> None:
    class Short(PromptGroupReward):
        def group_rewards(self, group: Group) -> list[float | None]:
            return [1.0]

    with pytest.raises(ValueError, match=r"Short\.group_rewards gave 1 rewards for 2 completions"):
        Short()(["p"] * 2, boxes("44"))
    assert Short()([], []) == []


@settings(deadline=None)
@given(
    st.lists(st.text("123?!", min_size=1, max_size=6), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_never_matters(groups: list[str], draw: random.Random) -> None:
    rows = [(f"p{i // 2}.{i % 2}", i // 2, i % 2, text) for i, group in enumerate(groups) for text in boxes(group)]
    if len(groups) % 2:
        rows = [row for row in rows if row[1] < len(groups) // 2]
    # a prompt that stands in two places is still one group
    order = list(range(len(rows)))
    draw.shuffle(order)
    for reward in (
        MajorityVoteReward(ties="abstain"),
        MajorityVoteReward(soft=True, ties="abstain"),
        SemanticEntropyReward(),
        ContrastiveAgreementReward(ties="abstain"),
    ):

        def call(places: list[int], reward: PromptGroupReward = reward) -> dict[int, float | None]:
            prompts, pairs, views, texts = ([rows[i][part] for i in places] for part in range(4))
            return dict(zip(places, reward(prompts, texts, pair_id=pairs, view=views), strict=True))

        assert call(order) == call(list(range(len(rows))))


GOLDS = [
    ("72", "She sold 48 + 24 = 72 clips.\n#### 72"),
    ("1/2", r"The answer is $\boxed{0.5}$, as claimed."),
    (r"\sqrt{3}/2", r"\frac{\sqrt{3}}{2}"),
    (r"\text{cat}", "cat"),
]


@pytest.mark.parametrize(("answer", "gold"), GOLDS)
@pytest.mark.parametrize("mode", ["canonical", "raw"])
def test_a_label_is_as_right_as_accuracy_finds_it(answer: str, gold: str, mode: Any) -> None:
    """It was 0.0 for all of these, which is what a collapse looks like."""
    texts = [rf"so \boxed{{{answer}}}"] * 4
    logged: dict[str, float] = {}
    columns: dict[str, Any] = {"answer": [gold] * 4, "pair_id": [1] * 4, "view": [0, 0, 1, 1]}
    assert AccuracyReward()(["p"] * 4, texts, **columns) == [1.0] * 4
    for reward in (MajorityVoteReward(mode=mode), ContrastiveAgreementReward(mode=mode), SemanticEntropyReward()):
        reward(["p", "p", "q", "q"], texts, **columns, log_metric=logged.__setitem__)
        assert logged[f"{reward.__name__}/label_accuracy"] == 1.0
        reward(["p", "p", "q", "q"], texts, **{**columns, "answer": ["71"] * 4}, log_metric=logged.__setitem__)
        assert logged[f"{reward.__name__}/label_accuracy"] == 0.0


@pytest.mark.parametrize("nothing", [None, math.nan, ["4"], {"value": 4}, b"4", "", "9^{9^9}"], ids=str)
def test_what_is_no_gold_answer_is_not_counted(nothing: Any) -> None:
    logged: dict[str, float] = {}
    prompts = ["a"] * 2 + ["b"] * 2
    rewards = MajorityVoteReward()(prompts, boxes("4455"), answer=[nothing] * 4, log_metric=logged.__setitem__)
    assert rewards == [1.0] * 4
    assert "MajorityVoteReward/label_accuracy" not in logged
    MajorityVoteReward()(prompts, boxes("4455"), answer=[nothing, "4", 6, nothing], log_metric=logged.__setitem__)
    assert logged["MajorityVoteReward/label_accuracy"] == 0.5
    # of one group, whose rows contradict each other
    MajorityVoteReward()(prompts, boxes("4455"), answer=["4", "5", 6, "6"], log_metric=logged.__setitem__)
    assert logged["MajorityVoteReward/label_accuracy"] == 0.0


def test_a_label_and_a_gold_answer_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, cluster = [], WORKER.cluster
    monkeypatch.setattr(WORKER, "cluster", lambda *args: asked.append(args) or cluster(*args))
    towers = [rf"\exp(\exp(\exp({n})))" for n in (98, 99)]  # too large to compare
    logged: dict[str, float] = {}
    prompts = [f"p{i}" for i in range(8)]
    completions = [rf"\boxed{{{towers[0]}}}"] * 8
    MajorityVoteReward()(prompts, completions, answer=[towers[1]] * 8, log_metric=logged.__setitem__)
    assert len(asked) == 1
    assert "MajorityVoteReward/label_accuracy" not in logged


def votes_of(reward: PromptGroupReward, **batch: Any) -> list[GroupVote]:
    records = ScoredBatch(PromptHistory(), [prompt_id(p) for p in batch["prompts"]])
    reward(**batch, batch_records=[records] * len(batch["completions"]))
    assert records.votes is not None
    return records.votes


def test_the_vote_is_told_with_its_rows_keys_and_label() -> None:
    batch = {"prompts": list("abab"), "completions": boxes("4566"), "answer": ["4", "6", "6", "6"]}
    votes = votes_of(MajorityVoteReward(), **batch)
    assert votes == [
        GroupVote((0, 2), ("4", "6"), "4", None),  # golds of one group contradict each other
        GroupVote((1, 3), ("5", "6"), "5", False),
    ]
    assert votes_of(SemanticEntropyReward(), **batch) == votes
    assert votes_of(MajorityVoteReward(ties="abstain"), **batch)[0] == GroupVote((0, 2), ("4", "6"), None, None)


def test_the_label_told_of_a_view_is_the_one_that_rewards_it() -> None:
    reward = ContrastiveAgreementReward()
    batch = {
        "prompts": ["x", "y"] * 3,
        "completions": boxes("040747"),
        "answer": ["7"] * 6,
        "pair_id": ["p"] * 6,
        "view": [0, 1] * 3,
    }
    assert votes_of(reward, **batch) == [
        GroupVote((0, 2, 4), ("0", "0", "4"), "7", True),
        GroupVote((1, 3, 5), ("4", "7", "7"), "0", False),
    ]


def test_a_teachers_label_is_told_with_the_groups_own_keys() -> None:
    teacher = [[r"\boxed{5}"], [r"\boxed{5}"]]
    batch = {"prompts": ["a"] * 2, "completions": boxes("44"), "teacher_completions": teacher, "answer": ["5"] * 2}
    assert votes_of(MajorityVoteReward(voters="teacher"), **batch) == [GroupVote((0, 1), ("4", "4"), "5", True)]


def test_options_are_parameters_of_their_own() -> None:
    reward = MajorityVoteReward(ties="abstain", min_votes=2, min_margin=1, max_agreement=0.9, mode="raw")
    assert reward.rule == VoteRule("abstain", 2, 1, 0.9, "raw")
    crossed = ContrastiveAgreementReward(ties="abstain", min_votes=2, min_margin=1, max_agreement=0.9, mode="raw")
    assert crossed.rule == reward.rule
    with pytest.raises(TypeError, match="unexpected keyword argument 'tie'"):
        MajorityVoteReward(tie="abstain")  # type: ignore[call-arg]
