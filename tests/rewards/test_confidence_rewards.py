"""Confidence rewards: which tokens count, what abstains, and the error under plain TRL."""

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from hypothesis import given
from hypothesis import strategies as st
from support.runs import tiny_run

from selfrl.answers import extract
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import (
    AnswerProbabilityReward,
    EntropyReward,
    LogProbabilityReward,
    MajorityVoteReward,
    SelfCertaintyReward,
)
from selfrl.rewards.spans import overlapping, token_span
from selfrl.trainers import GRPOTrainer, RLOOTrainer

TEXTS = ["3", " +", " 4", " \\boxed", "{", "1", "2", "}", ""]
TEXT = "".join(TEXTS)
LOG_PROB = torch.tensor([-0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8, -0.9])


def one(reward: Any, **columns: Any) -> float | None:
    (value,) = reward(["?"], [TEXT], **{name: [column] for name, column in columns.items()})
    return value


def test_each_reward_is_its_formula_over_its_span() -> None:
    signal = torch.arange(9.0)
    assert one(SelfCertaintyReward(), self_certainty=signal) == 4.0
    assert one(SelfCertaintyReward("last_chunk"), self_certainty=signal) == 8.0
    assert one(SelfCertaintyReward("answer"), self_certainty=signal, token_texts=TEXTS) == 5.5
    assert one(SelfCertaintyReward("rationale"), self_certainty=signal, token_texts=TEXTS) == 2.0
    assert one(EntropyReward(), entropy=signal) == -4.0
    assert one(EntropyReward(no_answer=-7.0), entropy=signal) == -4.0
    assert one(LogProbabilityReward(), log_prob=LOG_PROB) == pytest.approx(-0.5)
    assert one(LogProbabilityReward("sum"), log_prob=LOG_PROB) == pytest.approx(-4.5)
    # the mean of probabilities, not the probability of the mean
    mean = (math.exp(-0.6) + math.exp(-0.7)) / 2
    assert one(AnswerProbabilityReward(), log_prob=LOG_PROB, token_texts=TEXTS) == pytest.approx(mean, abs=1e-7)


def test_what_abstains_and_what_is_no_answer() -> None:
    signal = torch.ones(3)
    plain: dict[str, Any] = {"prompts": ["?"], "completions": ["I do not know"]}
    texts = [["I", " do", " not know"]]
    assert SelfCertaintyReward()(**plain, self_certainty=[None]) == [None]
    assert SelfCertaintyReward("answer")(**plain, self_certainty=[signal], token_texts=texts) == [None]
    assert SelfCertaintyReward("rationale")(**plain, self_certainty=[signal], token_texts=texts) == [None]
    assert EntropyReward()(**plain, entropy=[signal]) == [-1.0]
    assert EntropyReward(no_answer=-7.0)(**plain, entropy=[signal]) == [-7.0]
    assert AnswerProbabilityReward()(**plain, log_prob=[signal], token_texts=texts) == [0.0]
    assert AnswerProbabilityReward(None)(**plain, log_prob=[signal], token_texts=texts) == [None]
    logged: dict[str, float] = {}
    SelfCertaintyReward()(["?"] * 2, ["a", "b"], self_certainty=[None, signal], log_metric=logged.__setitem__)
    assert logged == {"SelfCertaintyReward/abstained": 0.5}


@given(st.lists(st.sampled_from(["a", "", "\\boxed", "{", "}", "12", " x", "}}", "{\\boxed{"]), max_size=12))
def test_the_answer_span_covers_the_answer_and_nothing_beyond_its_tokens(texts: list[str]) -> None:
    span = token_span("answer", len(texts), texts)
    answer = extract("".join(texts))
    if answer is None:
        assert span is None
    else:
        assert span is not None
        covered = texts[span]
        assert answer in "".join(covered)
        assert answer not in "".join(covered[1:])
        assert answer not in "".join(covered[:-1])


@given(st.integers(1, 200))
def test_the_last_chunk_is_a_tenth_rounded_up(tokens: int) -> None:
    span = token_span("last_chunk", tokens)
    assert span is not None
    assert span.stop == tokens
    assert span.stop - span.start == math.ceil(tokens / 10)


def test_empty_spans() -> None:
    assert token_span("whole", 0) is None
    assert token_span("last_chunk", 0) is None
    assert token_span("rationale", 1, ["\\boxed{4}"]) is None
    assert overlapping(["", ""], (0, 0)) is None
    assert token_span("answer", 2, [r"\boxed", "{}"]) is None  # an empty box inside a token


@pytest.mark.parametrize(
    "build", [lambda: SelfCertaintyReward("all"), lambda: LogProbabilityReward("max"), lambda: EntropyReward("")]
)
def test_bad_options_are_refused(build: Any) -> None:
    with pytest.raises(ValueError, match="it must be"):
        build()


def test_rewards_are_picklable() -> None:
    for reward in (SelfCertaintyReward("answer"), EntropyReward(), LogProbabilityReward(), AnswerProbabilityReward()):
        assert pickle.loads(pickle.dumps(reward)).__dict__ == reward.__dict__


OPTIONS: dict[str, Any] = {"per_device_train_batch_size": 16, "max_completion_length": 40}


def run_of(trainer_class: Any, out: Path, reward: Any, **options: Any) -> Any:
    return tiny_run(trainer_class, TINY_MODEL, out, reward, tiny_problems("train", 8), **OPTIONS, **options)


@pytest.mark.parametrize("trainer_class", [trl.GRPOTrainer, trl.RLOOTrainer])
def test_plain_trl_is_told_which_trainer_to_use(trainer_class: Any, tmp_path: Path) -> None:
    trainer = run_of(trainer_class, tmp_path, SelfCertaintyReward())
    with pytest.raises(ValueError, match=r"needs self_certainty.*train with selfrl\.trainers\.GRPOTrainer"):
        trainer.train()


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer])
def test_all_confidence_rewards_train_together(trainer_class: Any, tmp_path: Path) -> None:
    rewards = [
        SelfCertaintyReward(),
        EntropyReward("last_chunk", no_answer=-7.0),
        LogProbabilityReward("sum", "rationale"),
        AnswerProbabilityReward(),
    ]
    trainer = run_of(trainer_class, tmp_path, rewards)
    trainer.train()
    row = next(row for row in trainer.state.log_history if "reward" in row)
    assert row["rewards/SelfCertaintyReward/mean"] > 1
    assert -7 <= row["rewards/EntropyReward/mean"] < 0
    assert row["rewards/LogProbabilityReward/mean"] < 0
    assert 0.3 < row["rewards/AnswerProbabilityReward/mean"] < 1


class KeptVote(MajorityVoteReward):
    """A reward that keeps what it gave."""

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        self.given = super().__call__(*args, **kwargs)
        return self.given


class KeptCertainty(SelfCertaintyReward):
    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        self.given = super().__call__(*args, **kwargs)
        return self.given


def test_a_vote_and_a_certainty_blend_normalised_before_they_are_summed(tmp_path: Path) -> None:
    vote, certainty = KeptVote(), KeptCertainty()
    options = {"max_steps": 1, "multi_objective_aggregation": "normalize_then_sum", "beta": 0.0}
    trainer = run_of(GRPOTrainer, tmp_path, [vote, certainty], **options)
    trainer.train()

    def normalised(rewards: list[Any]) -> torch.Tensor:
        grouped = torch.tensor(rewards).view(-1, 4)
        return ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).flatten()

    summed = normalised(vote.given) + normalised(certainty.given)
    expected = (summed - summed.mean()) / (summed.std() + 1e-4)
    assert sorted(trainer._logs["advantages"]) == pytest.approx(sorted(expected.tolist()), abs=1e-4)


def test_an_unbounded_reward_beside_another_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="set multi_objective_aggregation to normalize_then_sum"):
        run_of(GRPOTrainer, tmp_path, [MajorityVoteReward(), SelfCertaintyReward()])
