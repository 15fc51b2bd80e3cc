"""Answers scored outside of a trainer: as a trainer would, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from selfrl.conversation import conversation
from selfrl.generation import Generation, Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import model_path
from selfrl.rewards import (
    AccuracyReward,
    ContrastiveAgreementReward,
    EntropyReward,
    MajorityVoteReward,
    SelfCertaintyReward,
)
from selfrl.selfplay.offline_scores import OfflineScorer


class Said:
    """Says what it was given, group by group."""

    def __init__(self, *groups: Sequence[str]) -> None:
        self.groups = groups

    def generate(self, prompts: Sequence[Any], sampling: Sampling) -> list[list[Generation]]:
        return [[Generation(text, "stop", 1, 1) for text in group] for group in self.groups]

    def close(self) -> None: ...


def boxed(*answers: str) -> list[str]:
    return [rf"\boxed{{{answer}}}" for answer in answers]


def test_each_prompt_is_a_group_and_equal_answers_are_one() -> None:
    said = Said(boxed("1/2", "0.5", "3"), boxed("7", "8", "8"))
    rows = [{"prompt": "a", "answer": "3"}, {"prompt": "b", "answer": "8"}]
    first, second = OfflineScorer([MajorityVoteReward()]).answer(["A", "B"], rows, said, Sampling(n=3))
    assert (first.id, first.rewards, second.rewards) == ("A", [1.0, 1.0, 0.0], [0.0, 1.0, 1.0])
    assert first.samples[0].key == first.samples[1].key
    assert (first.vote_share, first.label_right, second.label_right) == (2 / 3, False, True)


def test_a_failed_prompt_has_no_answers_and_the_others_keep_their_places() -> None:
    said = Said([], boxed("8", "9"))
    rows = [{"prompt": "a", "answer": "3"}, {"prompt": "b", "answer": "8"}]
    first, second = OfflineScorer([AccuracyReward()]).answer(["A", "B"], rows, said, Sampling(n=2))
    assert (first.samples, first.vote_share, first.label_right) == ((), None, None)
    assert second.rewards == [1.0, 0.0]
    assert OfflineScorer([AccuracyReward()]).answer(["A"], rows[:1], Said([]), Sampling())[0].samples == ()


def test_rewards_are_weighed_and_one_that_abstains_counts_for_nothing() -> None:
    def half(completions: Sequence[str], **columns: Any) -> list[float | None]:
        return [0.5 if "7" in text else None for text in completions]

    half.__name__ = "half"
    rows = [{"prompt": "a", "answer": "7"}, {"prompt": "b", "answer": None}]
    scorer = OfflineScorer([AccuracyReward(), half], [2.0, 1.0])
    first, second = scorer.answer(["A", "B"], rows, Said(boxed("7", "8"), boxed("7", "8")), Sampling(n=2))
    assert [sample.reward for sample in first.samples] == [2.5, 0.0]
    assert [sample.reward for sample in second.samples] == [0.5, None]
    assert second.rewards == [0.5]


def test_conversations_get_conversations() -> None:
    seen = {}

    def look(prompts: Any, completions: Any, **columns: Any) -> list[float]:
        seen.update(columns, prompts=prompts, completions=completions)
        return [0.0] * len(prompts)

    look.__name__ = "look"
    row = {"prompt": conversation("Be brief.", "2+2?"), "level": 3}
    OfflineScorer([look]).answer(["A"], [row], Said(["4", "5"]), Sampling(n=2))
    assert seen["completions"] == [[{"role": "assistant", "content": text}] for text in "45"]
    assert seen["prompts"] == [row["prompt"]] * 2
    assert seen["level"] == [3, 3]


def test_confidence_is_that_of_the_solvers_own_distribution() -> None:
    solver = TransformersGenerator.load(model_path("tiny"), batch_size=3)
    rows = [{"prompt": "Add 3 and 4.\n"}, {"prompt": "Find the sum of 34 and 7.\n"}]
    sampling = Sampling(max_tokens=6, temperature=0.7, n=4, seed=0)
    scorer = OfflineScorer([SelfCertaintyReward()])
    scorer.check(solver)
    answers = scorer.answer(["A", "B"], rows, solver, sampling)
    texts = [
        [(g.text, g.finish_reason) for g in group] for group in solver.generate([r["prompt"] for r in rows], sampling)
    ]
    assert [[sample.text for sample in a.samples] for a in answers] == [[text for text, _ in group] for group in texts]
    tokenizer, model = solver.tokenizer, solver.model
    for row, found, group in zip(rows, answers, texts, strict=True):
        before = tokenizer(row["prompt"]).input_ids
        for sample, (text, reason) in zip(found.samples, group, strict=True):
            ids = tokenizer(text).input_ids + ([tokenizer.eos_token_id] if reason == "stop" else [])
            with torch.no_grad():
                logits_LV = model(torch.tensor([before + ids])).logits[0, len(before) - 1 : -1].double() / 0.7
            logs_LV = logits_LV.log_softmax(-1)
            certainty = (-logs_LV.mean(-1) - torch.tensor(logs_LV.shape[-1]).double().log()).mean()
            assert sample.reward == pytest.approx(certainty.item(), abs=1e-5)


def test_signals_under_another_back_end_pairs_and_teachers_are_refused() -> None:
    with pytest.raises(ValueError, match="EntropyReward needs token signals"):
        OfflineScorer([EntropyReward()]).check(Said())
    with pytest.raises(ValueError, match="pairs"):
        OfflineScorer([ContrastiveAgreementReward()])
    with pytest.raises(ValueError, match="teacher"):
        OfflineScorer([MajorityVoteReward(voters="teacher")])
    with pytest.raises(ValueError, match="weights"):
        OfflineScorer([AccuracyReward()], [1.0, 2.0])


def test_a_reward_that_asks_the_policy_gets_the_solver() -> None:
    class Asks:
        needs_policy, __name__ = True, "asks"

        def __call__(self, policy: Any, **columns: Any) -> list[float]:
            return [float(isinstance(one, Said)) for one in policy]

    (found,) = OfflineScorer([Asks()]).answer(["A"], [{"prompt": "a"}], Said(["4"]), Sampling())
    assert found.rewards == [1.0]
