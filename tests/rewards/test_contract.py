"""What every reward shares: its name, what it is handed, how it logs."""

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import selfrl.rewards
from selfrl.group_record import PromptHistory
from selfrl.rewards import (
    AccuracyReward,
    AnswerProbabilityReward,
    BaseReward,
    BoundaryReward,
    ConsistencyVolatilityReward,
    ContrastiveAgreementReward,
    DiversityReward,
    EntropyReward,
    ExecutionReward,
    FormatReward,
    LogProbabilityReward,
    MajorityVoteReward,
    NoveltyReward,
    PairwiseSelfReward,
    PretextReward,
    ProposerReward,
    RandomReward,
    RationaleCertaintyReward,
    RepetitionReward,
    RewardModelReward,
    SelectiveComplementaryReward,
    SelfCertaintyReward,
    SemanticEntropyReward,
    ShopActionReward,
    ShopFormatReward,
    SoftVote,
    StepConfidenceVote,
)
from selfrl.rewards.contract import Batch, BatchRecords, Reward, Scores, groups_of
from selfrl.trainers.records import ScoredBatch


class Longest(BaseReward):
    """Asks for everything, and keeps what it got."""

    columns = ("level",)
    signals = ("entropy",)

    def score(self, batch: Batch) -> Scores:
        self.seen = batch
        lengths = [float(len(text)) for text in batch.texts]
        return Scores([*lengths], {"most": max(lengths)}, {"words": [len(text.split()) for text in batch.texts]})


HANDED: dict[str, Any] = {"level": [1, 2], "entropy": [torch.ones(1), None]}


def test_a_reward_is_named_after_its_class_and_may_be_renamed() -> None:
    reward = Longest()
    assert (reward.__name__, Longest.__name__, Longest.__qualname__) == ("Longest",) * 3
    reward.__name__ = "longest of two"
    logged: dict[str, Any] = {}
    reward(["p"] * 2, ["a b", "c"], **HANDED, log_metric=logged.__setitem__, log_extra=logged.__setitem__)
    assert logged == {"longest of two/most": 3.0, "longest of two/words": [2, 1]}
    assert pickle.loads(pickle.dumps(reward)).__name__ == "longest of two"
    assert Longest().__name__ == "Longest"


def test_a_reward_sees_what_it_is_handed() -> None:
    reward = Longest()
    state = SimpleNamespace(global_step=3)
    prompt = [{"role": "user", "content": "?"}]
    reply = [{"role": "assistant", "content": r"\boxed{4.0}"}]
    assert reward([prompt] * 2, [reply, "four"], [[1], [2]], **HANDED, trainer_state=state) == [11.0, 4.0]
    batch = reward.seen
    assert batch.trainer_state is state
    assert batch.texts == [r"\boxed{4.0}", "four"]
    assert batch.prompt_ids[0] == batch.prompt_ids[1]
    assert [answer.key for answer in batch.answers()] == ["4", None]
    assert [answer.key for answer in batch.answers("raw")] == ["4.0", None]
    assert batch.column("level") == [1, 2]
    assert batch.column("nothing") == [None, None]
    assert batch.records is None


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"columns": ("level", "gold")}, r"Longest needs the column 'gold': add or rename it\."),
        ({"columns": ("a", "b")}, r"Longest needs the columns 'a' and 'b': add or rename it\."),
        ({"columns": ("pair_id",)}, r"needs the column 'pair_id': expand paraphrase pairs with selfrl\.data\.pairs"),
        ({"signals": ("entropy", "margin")}, r"needs margin, which TRL's own trainers do not compute: train with self"),
        ({"needs_teacher": True}, r"takes its label from a teacher: .* teacher=TeacherConfig\(\)"),
        ({"needs_policy": True}, r"asks the policy to judge: train with selfrl\.trainers\.GRPOTrainer"),
    ],
)
def test_what_is_not_handed_over_is_named(attributes: dict[str, Any], message: str) -> None:
    reward = Longest()
    vars(reward).update(attributes)
    with pytest.raises(ValueError, match=message):
        reward(["p"] * 2, ["a", "b"], **HANDED)


def test_lists_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="Longest got 1 prompts for 2 completions"):
        Longest()(["p"], ["a", "b"], **HANDED)
    with pytest.raises(ValueError, match="The column 'answer' has 1 entries for 2 completions"):
        MajorityVoteReward()(["p"] * 2, ["a", "b"], answer=["4"])
    with pytest.raises(ValueError, match="The column 'entropy' has 3 entries for 2 completions"):
        EntropyReward()(["p"] * 2, ["a", "b"], entropy=[None] * 3)


def test_a_signal_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`entropy` has the shape \(3, 1\)"):
        EntropyReward()(["p"], ["a"], entropy=[torch.zeros(3, 1)])
    with pytest.raises(ValueError, match="`self_certainty` has 3 values for 2 tokens"):
        SelfCertaintyReward("answer")(["p"], ["a"], self_certainty=[torch.zeros(3)], token_texts=[[r"\boxed", "{1}"]])
    reply = '{"rationale": "cheap", "action": {"type": "terminate"}}'
    with pytest.raises(ValueError, match="`entropy` has 3 values for 1 tokens"):
        RationaleCertaintyReward()(["p"], [reply], entropy=[torch.zeros(3)], token_texts=[[reply]], vocab_size=[9])


ABSTAINING: list[Reward] = [
    AccuracyReward(),
    AnswerProbabilityReward(),
    BoundaryReward(),
    ConsistencyVolatilityReward(),
    ContrastiveAgreementReward(),
    DiversityReward(),
    EntropyReward(),
    ExecutionReward(),
    LogProbabilityReward(),
    MajorityVoteReward(),
    NoveltyReward(),
    PairwiseSelfReward(),
    ProposerReward("tiny"),
    RationaleCertaintyReward(),
    RewardModelReward("tiny"),
    SelectiveComplementaryReward(),
    SelfCertaintyReward(),
    SemanticEntropyReward(),
    ShopActionReward(),
    SoftVote(),
    StepConfidenceVote(),
]
NEVER: list[Reward] = [FormatReward(), PretextReward(), RandomReward(), RepetitionReward(), ShopFormatReward()]


def test_every_reward_says_whether_it_abstains_and_keeps_to_the_base() -> None:
    bases = {"BaseReward", "PromptGroupReward"}
    assert {reward.__name__ for reward in (*ABSTAINING, *NEVER)} | bases == set(selfrl.rewards.__all__)
    assert all(reward.abstains for reward in ABSTAINING)  # type: ignore[attr-defined]
    assert not any(reward.abstains for reward in NEVER)  # type: ignore[attr-defined]
    for reward in (*ABSTAINING, *NEVER):
        assert isinstance(reward, BaseReward)
        assert pickle.loads(pickle.dumps(reward)).__name__ == type(reward).__name__


def test_what_a_reward_needs_follows_from_its_options() -> None:
    assert MajorityVoteReward(voters="teacher").needs_teacher
    assert not MajorityVoteReward().needs_teacher
    assert ContrastiveAgreementReward(voters="teacher").needs_teacher
    assert PairwiseSelfReward().needs_policy
    assert not PairwiseSelfReward({"backend": "transformers", "model": "m"}).needs_policy
    assert ProposerReward("policy").needs_policy
    assert not ProposerReward("tiny").needs_policy
    assert EntropyReward("answer").signals == ("entropy", "token_texts")
    assert AccuracyReward("solution").columns == ("solution",)


def test_rewards_of_one_batch_share_its_answers() -> None:
    records = ScoredBatch(PromptHistory(), ["a", "a"])
    shared: BatchRecords = records
    column = {"batch_records": [shared] * 2}
    # what the records hold is believed: here, that both say 7
    records.answers([r"\boxed{7}"] * 2)
    assert AccuracyReward()(["p"] * 2, ["", ""], answer=["7", "8"], **column) == [1.0, 0.0]
    assert MajorityVoteReward()(["p"] * 2, ["", ""], **column) == [1.0, 1.0]
    assert MajorityVoteReward(mode="raw")(["p"] * 2, ["", ""], **column) == [None, None]


def test_a_group_is_every_row_with_its_id() -> None:
    assert groups_of(["b", "a", "b", ("a", 0), "a"]) == [(0, 2), (1, 4), (3,)]
    assert groups_of([]) == []
