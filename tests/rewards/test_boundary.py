"""MMBoundary's reward: steps, internal confidence, and the three terms."""

import math
import pickle
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import BoundaryReward
from selfrl.rewards.boundary import calibration_reward, expected_calibration_error, matches
from selfrl.rewards.internal_confidence import level_of, token_sar_certainty, weighted_confidence
from selfrl.rewards.reasoning_steps import PHRASES, agreed_steps, split_steps, step_key


def steps(text: str) -> list[tuple[str, int | None]]:
    return [(text[s.start : s.end], s.level) for s in split_steps(text)]


def test_each_sentence_is_a_step_and_a_phrase_gives_it_its_level() -> None:
    text = "First 2.5 + 1 = 3.5. I am not sure.\nThen 3.5 * 2 = 7! I am certain of this. "
    text += "So 7\nI am guessing that it is a cat."
    assert steps(text) == [
        ("First 2.5 + 1 = 3.5.", 1),
        ("Then 3.5 * 2 = 7!", 4),
        ("So 7", None),
        ("I am guessing that it is a cat.", 0),
    ]
    assert steps("I am sure. I AM SURE") == []  # nothing to be sure of
    assert steps("a. I am sure. I am guessing.") == [("a.", 0)]  # the last word counts
    assert [level for _, level in steps("x. I am very confident.")] == [4]  # not "I am confident"
    assert set(PHRASES.values()) == set(range(5))


@given(st.text(max_size=300))
def test_steps_lie_in_order_within_any_text(text: str) -> None:
    found = split_steps(text)
    ends = [0, *(step.end for step in found)]
    for step, before in zip(found, ends, strict=False):
        assert before <= step.start < step.end <= len(text)
        assert step_key(text[step.start : step.end])


@pytest.mark.parametrize("text", ["." * 200_000, "a." * 100_000, "I am sure" * 30_000, "! a" * 60_000, "\n" * 200_000])
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    split_steps(text)
    assert time.perf_counter() - started < 2


def test_the_agreed_chain_is_what_more_than_half_say() -> None:
    assert agreed_steps([["1", "2"], ["1", "3"], ["2", "1"], ["4"]]) == {"1"}  # 2 of 4 is no majority
    assert agreed_steps([["1", "1"], ["2"], ["3"]]) == set()  # said twice by one is said by one
    assert agreed_steps([]) == set()


def test_repeating_a_right_step_does_not_pay() -> None:
    assert matches(["41", "41", "41"], {"41"}) == [True, False, False]


def test_calibration_against_its_formula() -> None:
    assert calibration_reward([4, 0, 2], [1.0, 1.0, 0.25]) == pytest.approx(1 - (0 + 1 + 0.25) / 3)
    assert calibration_reward([None, 4], [1.0, 1.0]) == 0.5  # silence is as wrong as can be
    assert calibration_reward([], []) == 0.0


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_ece_is_the_weighted_gap_of_each_level(pairs: list[tuple[int, bool]]) -> None:
    expected = 0.0
    for level in range(5):
        members = [c for e, c in pairs if e == level]
        if members:
            expected += len(members) / len(pairs) * abs(sum(members) / len(members) - level / 4)
    said, right = zip(*pairs, strict=True)
    assert expected_calibration_error(said, right) == pytest.approx(expected)


TEXTS = ["1 + 1", " = 2", ".", " I am", " sure.", " 2 + 2", " = 4", ".", " I am guessing.", ""]


def test_the_reward_equals_a_float64_reference_written_from_the_paper() -> None:
    generator = torch.Generator().manual_seed(1)
    V = 50
    logits = torch.randn(len(TEXTS), V, generator=generator, dtype=torch.float64) * 3
    logs = logits.log_softmax(-1)
    log_prob = logs.max(-1).values
    entropy = -(logs.exp() * logs).sum(-1)
    weights = (3.0, 1.0, 2.0, 1.0)
    internal = []
    for tokens, relevant in (((0, 1, 2), (0, 1)), ((5, 6, 7), (5, 6))):
        lnlp = math.exp(sum(log_prob[t].item() for t in tokens) / 3)
        mte = 1 - sum(entropy[t].item() for t in tokens) / 3 / math.log(V)
        sar = math.exp(sum(log_prob[t].item() for t in relevant) / 2)
        internal.append(min(int((3 * lnlp + mte + 2 * sar) / 6 * 5), 4) / 4)
    expressed, correct = [4 / 4, 0 / 4], [1.0, 0.0]
    ka = 0.5
    ec = 1 - (abs(expressed[0] - correct[0]) + abs(expressed[1] - correct[1])) / 2
    cs = 1 - (abs(expressed[0] - internal[0]) + abs(expressed[1] - internal[1])) / 2
    reward = BoundaryReward(0.5, 0.3, 0.2, weights=weights)
    columns: dict[str, Any] = {
        "log_prob": [log_prob.float()],
        "entropy": [entropy.float()],
        "token_texts": [TEXTS],
        "vocab_size": [V],
    }
    logged: dict[str, float] = {}
    (value,) = reward(
        ["?"], ["".join(TEXTS)], **columns, reference_steps=[["so 2", "then 5"]], log_metric=logged.__setitem__
    )
    assert value == pytest.approx(0.5 * ka + 0.3 * ec + 0.2 * cs)
    assert logged["BoundaryReward/ece"] == pytest.approx(0)
    assert logged["BoundaryReward/expressed"] == 1


def flat(rows: int, **changes: Any) -> dict[str, Any]:
    columns = {
        "log_prob": [torch.zeros(len(TEXTS))] * rows,
        "entropy": [torch.zeros(len(TEXTS))] * rows,
        "token_texts": [TEXTS] * rows,
        "vocab_size": [50] * rows,
    }
    return {**columns, **changes}


def test_without_a_reference_the_group_agrees_on_the_chain() -> None:
    other = [text.replace("4", "5") for text in TEXTS]
    reward = BoundaryReward(1, 0, 0)
    texts = [TEXTS, TEXTS, other, TEXTS, other, other]
    prompts = ["a"] * 3 + ["b"] * 3
    assert reward(prompts, [""] * 6, **flat(6, token_texts=texts)) == [1.0, 1.0, 0.5, 0.5, 1.0, 1.0]


def test_what_abstains_and_what_is_nothing() -> None:
    unscored = [None, torch.zeros(len(TEXTS))]
    reward = BoundaryReward()
    first, second = reward(["a"] * 2, [""] * 2, **flat(2, log_prob=unscored))
    assert first is None
    assert second is not None
    silent = [["", ""], TEXTS]
    columns = flat(2, token_texts=silent, log_prob=[torch.zeros(2), torch.zeros(len(TEXTS))])
    assert reward(["a"] * 2, [""] * 2, **columns)[0] == 0.0
    with pytest.raises(ValueError, match=r"selfrl\.trainers\.GRPOTrainer"):
        reward(["a"], ["x"])


def no_image(image: Any, text: str) -> float:
    return 0.0


def test_an_image_score_counts_only_with_an_image() -> None:
    reward = BoundaryReward(0, 0, 1, weights=(1, 0, 0, 1), image_score=no_image)
    (sure,) = reward(["a"], [""], **flat(1))
    (unsure,) = reward(["a"], [""], **flat(1), image=["pixels"])
    assert sure == pytest.approx(1 - (0 + 1) / 2)  # internal 1 and 1, expressed 1 and 0
    assert unsure == pytest.approx(1 - (0.5 + 0.5) / 2)  # internal ½, level 2


def test_internal_confidence_rises_with_each_part() -> None:
    assert weighted_confidence([0.2, 0.4, None, None], [1, 1, 7, 7]) == pytest.approx(0.3)
    assert token_sar_certainty(torch.tensor([-1.0, -9.0]), [1, 0]) == pytest.approx(math.exp(-1))
    assert token_sar_certainty(torch.tensor([-1.0, -3.0]), [0, 0]) == pytest.approx(math.exp(-2))
    assert [level_of(u / 10) for u in range(11)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


@pytest.mark.parametrize(
    "bad", [{"weights": (1, 1, 1)}, {"weights": (0, 0, 0, 1)}, {"phrases": {}}, {"phrases": {"so": 5}}], ids=str
)
def test_bad_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        BoundaryReward(**bad)


def test_the_reward_is_picklable() -> None:
    reward = pickle.loads(pickle.dumps(BoundaryReward(image_score=no_image)))
    assert reward(["a"], [""], **flat(1)) == BoundaryReward()(["a"], [""], **flat(1))
