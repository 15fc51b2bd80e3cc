"""Answers are read, voted on and graded as the training rewards do it."""

import random

from selfrl.forecast.answered_prompts import answered
from selfrl.forecast.asked_prompts import Asked
from selfrl.generation import Generation
from selfrl.rewards import AccuracyReward, ContrastiveAgreementReward, MajorityVoteReward

ANSWERS = (r"\boxed{1/2}", r"\boxed{0.5}", r"\boxed{2}", r"\boxed{9^{9^9}}", "I do not know", r"\boxed{\frac{2}{4}}")


def test_the_rewards_are_those_of_the_rewards_themselves() -> None:
    rng = random.Random(0)
    for _ in range(20):
        texts = [[rng.choice(ANSWERS) for _ in range(6)] for _ in range(2)]
        said = [[Generation(text, "stop", 3, 5) for text in group] for group in texts]
        pair = answered(Asked("Half of 1?", "1 / 2?", "0.5"), said)
        flat = texts[0] + texts[1]
        columns = {"pair_id": [0] * 12, "view": [0] * 6 + [1] * 6}
        crossed = ContrastiveAgreementReward()(["a"] * 6 + ["b"] * 6, flat, **columns)
        assert [*(pair[0].crossed or ()), *(pair[1].crossed or ())] == crossed
        for wording, group in zip(pair, texts, strict=True):
            assert list(wording.own) == MajorityVoteReward()(["a"] * 6, group)
            assert list(wording.truth) == AccuracyReward()(["a"] * 6, group, answer=["0.5"] * 6)


def test_the_other_wordings_label_is_graded_though_nobody_here_gave_it() -> None:
    said = [[Generation(rf"\boxed{{{n}}}", "stop", 3, 5) for n in group] for group in ("555", "444")]
    first, second = answered(Asked("2+2?", "Add 2 to 2.", "4"), said)
    assert (first.label_is_right, first.other_is_right) == (False, True)
    assert (second.label_is_right, second.other_is_right) == (True, False)
    assert first.crossed == (0.0, 0.0, 0.0)


def test_without_a_gold_answer_nothing_is_right_or_wrong() -> None:
    (wording,) = answered(Asked("2+2?"), [[Generation(r"\boxed{4}", "stop", 3, 5)] * 2])
    assert not wording.labelled
    assert wording.label_is_right is None
    assert wording.crossed is None
