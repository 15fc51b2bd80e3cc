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
from selfrl.rewards.internal_confidence import (
    entropy_certainty,
    length_normalised_probability,
    level_of,
    token_sar_certainty,
    weighted_confidence,
)
from selfrl.rewards.reasoning_steps import PHRASES, agreed_steps, split_steps, step_key
from selfrl.rewards.step_terms import calibration_reward, expected_calibration_error, matches


def steps(text: str) -> list[tuple[str, int | None]]:
    return [(text[s.start : s.end], s.level) for s in split_steps(text)]


def test_each_sentence_is_a_step_and_a_phrase_gives_it_its_level() -> None:
    text = "First 2.5 + 1 = 3.5. I am not sure.\nThen 3.5 * 2 = 7! I am certain of this. "
    text += "So 7\nI am guessing that it is a cat."
    assert steps(text) == [
        ("First 2.5 + 1 = 3.5.", 1),
        ("Then 3.5 * 2 = 7!", 4),
        ("So 7", None),
        ("that it is a cat.", 0),
    ]
    assert steps("I am sure. I AM SURE") == []  # nothing to be sure of
    assert steps("a. I am sure. I am guessing.") == [("a.", 0)]  # the last word counts
    assert [level for _, level in steps("x. I am very confident.")] == [4]  # not "I am confident"
    assert [level for _, level in steps("x. I’m sure. y. i'm sure")] == [4, 4]
    assert set(PHRASES.values()) == set(range(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 41, I am sure.", [("It is 41", 4)]),
        ("It is 41 and I am sure of it.", [("It is 41", 4)]),
        ("It is 41 (I am guessing).", [("It is 41", 0)]),
        ("It is 41. I doubt I am sure.", [("It is 41.", None), ("I doubt I am sure.", None)]),
        ("The cat, I am sure, sits on the mat today.", [("The cat, I am sure, sits on the mat today.", 4)]),
        ("1. Add: 41. I am sure.\n2. So 41.", [("1. Add: 41.", 4), ("2. So 41.", None)]),
        ("4. I am sure.", [("4", 4)]),
        ("41. I am sure. \\boxed{41}", [("41", 4)]),
        ("**\\boxed{41}**\n#### 41\n## Step 2\n<think>\n---", []),
        ("So \\boxed{41}. I am sure.", [("So \\boxed{41}.", 4)]),
    ],
)
def test_what_is_a_step_and_what_is_its_confidence(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert steps(text) == expected


@pytest.mark.parametrize(
    ("step", "key"),
    [
        ("y = 2x + 3.", "2x+3"),
        (r"\( x = 5\sqrt{3} \).", r"5\sqrt{3}"),
        ("48/2 = 24, as in step 1.", "24"),
        ("He has 2 + 3 = 5 apples in 4 bags.", "5"),
        ("It costs 2 * 9 = $1,234.50 in all.", "2469/2"),
        ("Points = (1, 2)", "(1,2)"),
        (r"So the sum 3 + 4 = 7 gives \boxed{8}.", "8"),
        ("2. Add them: 30 + 25 = 55.", "55"),
        ("2. The Pool looks muddy", "the pool looks muddy"),
        ("2.", "2"),
        ("x = 9^{9^{9^9}}", "x 9 9 9 9"),
    ],
)
def test_the_key_of_a_step(step: str, key: str) -> None:
    assert step_key(step) == key


def test_the_confidence_is_no_part_of_what_a_step_says() -> None:
    sure, unsure = ("The pool looks muddy, I am sure.", "The pool looks muddy, but I am guessing.")
    assert step_key(steps(sure)[0][0]) == step_key(steps(unsure)[0][0])


@given(st.text(max_size=300))
def test_steps_lie_in_order_within_any_text(text: str) -> None:
    found = split_steps(text)
    ends = [0, *(step.end for step in found)]
    for step, before in zip(found, ends, strict=False):
        assert before <= step.start < step.end <= len(text)
        assert step_key(text[step.start : step.end])


@pytest.mark.parametrize(
    "text",
    [
        "." * 200_000,
        "a." * 100_000,
        "I am sure" * 30_000,
        "I am sure " * 30_000,
        ", I am sure" * 30_000,
        "! a" * 60_000,
        "1. " * 60_000,
        "a\n" * 100_000,
        "\n" * 200_000,
        "\\boxed{" * 20_000,
        "= 1" + ",111" * 30_000,
        "=" + " " * 100_000,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    for step in split_steps(text):
        step_key(text[step.start : step.end])
    assert time.perf_counter() - started < 2


def test_a_stutter_of_many_steps_takes_no_time() -> None:
    texts = ["a.", "\n"] * 4000
    zeros = torch.zeros(len(texts))
    started = time.perf_counter()
    columns = {"log_prob": [zeros], "entropy": [zeros], "token_texts": [texts], "vocab_size": [50]}
    assert BoundaryReward()(["a"], [""], **columns) != [None]
    assert time.perf_counter() - started < 3


def test_the_agreed_chain_is_what_more_than_half_say() -> None:
    assert agreed_steps([["1", "2"], ["1", "3"], ["2", "1"], ["4"]]) == ["1"]  # 2 of 4 is no majority
    assert agreed_steps([["1", "1"], ["2"], ["3"]]) == []  # said twice by one is said by one
    assert agreed_steps([["1", "1"], ["1"], ["1", "1"]]) == ["1", "1"]
    assert agreed_steps([["1"], [], []]) == ["1"]
    assert agreed_steps([]) == []


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
    # the chain's second step, which nothing matches, is a third one, wrong and silent
    ka = 1 / 3
    ec = 1 - (abs(expressed[0] - correct[0]) + abs(expressed[1] - correct[1]) + 1) / 3
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
    # of two steps one matches, and one of the agreed chain is not there
    expected = [1.0, 1.0, 1 / 3, 1 / 3, 1.0, 1.0]
    assert reward(prompts, [""] * 6, **flat(6, token_texts=texts)) == expected
    # a group is all rows of equal prompts, in whatever order they come
    order = [3, 0, 5, 1, 4, 2]
    mixed = reward([prompts[i] for i in order], [""] * 6, **flat(6, token_texts=[texts[i] for i in order]))
    assert mixed == [expected[i] for i in order]


@pytest.mark.parametrize("reference", [None, "1 + 1 = 2. 2 + 2 = 4."])
def test_it_does_not_pay_to_stop_before_a_hard_step(reference: str | None) -> None:
    reward = BoundaryReward(1, 1, 0)
    columns = flat(4, token_texts=[TEXTS, TEXTS, TEXTS, TEXTS[:5]])
    columns["log_prob"] = columns["entropy"] = [torch.zeros(len(texts)) for texts in columns["token_texts"]]
    whole, *_, stopped = reward(["a"] * 4, [""] * 4, **columns, reference_steps=[reference] * 4)
    assert whole == 1 + 0.5  # the second, right step is guessed
    assert stopped == 0.5 + 0.5


@pytest.mark.parametrize("filler", ["So far so good.", "1 + 1 = 2.", "2 + 2 = 5."])
@pytest.mark.parametrize("reference", [None, "1 + 1 = 2. 2 + 2 = 4."])
def test_a_filler_in_the_place_of_a_hard_step_does_not_pay(reference: str | None, filler: str) -> None:
    reward = BoundaryReward(1, 1, 0)
    columns = flat(4, token_texts=[TEXTS, TEXTS, TEXTS, [*TEXTS[:5], " ", filler, " I am guessing."]])
    columns["log_prob"] = columns["entropy"] = [torch.zeros(len(texts)) for texts in columns["token_texts"]]
    *_, filled = reward(["a"] * 4, [""] * 4, **columns, reference_steps=[reference] * 4)
    # three steps: right and sure, wrong and unsure, and the chain's second one, wrong and silent
    assert filled == pytest.approx(1 / 3 + 2 / 3)


def test_a_result_said_again_is_right_again() -> None:
    again = [*TEXTS[:-1], " So it is 4.", " I am sure."]
    zeros = [torch.zeros(len(again))] * 3
    columns = flat(3, token_texts=[again] * 3, log_prob=zeros, entropy=zeros)
    assert BoundaryReward(1, 0, 0)(["a"] * 3, [""] * 3, **columns) == [1.0] * 3


def test_references_are_lists_or_text_and_may_lack() -> None:
    reward = BoundaryReward(1, 0, 0)
    given: list[Any] = [["2", "5"], "1 + 1 = 2. 2 + 2 = 5.", None, float("nan"), []]
    assert reward(list("abcde"), [""] * 5, **flat(5), reference_steps=given) == [1 / 3, 1 / 3, 1.0, 1.0, 1.0]
    for bad in (7, [7]):
        with pytest.raises(ValueError, match=r"Row 1 of the batch has .*7.* in the column 'reference_steps'"):
            reward(["a"] * 2, [""] * 2, **flat(2), reference_steps=["2", bad])


@pytest.mark.parametrize("name", ["log_prob", "entropy"])
def test_a_signal_that_is_no_number_abstains(name: str) -> None:
    broken = torch.full((len(TEXTS),), math.nan)
    assert BoundaryReward()(["a"], [""], **flat(1, **{name: [broken]})) == [None]
    impossible = torch.full((len(TEXTS),), -math.inf)
    assert BoundaryReward()(["a"], [""], **flat(1, log_prob=[impossible])) != [None]  # probability 0


def test_what_abstains_and_what_is_nothing() -> None:
    unscored = [None, torch.zeros(len(TEXTS))]
    reward = BoundaryReward()
    first, second = reward(["a"] * 2, [""] * 2, **flat(2, log_prob=unscored))
    assert first is None
    assert second is not None
    silent = [["", ""], TEXTS]
    zeros = [torch.zeros(2), torch.zeros(len(TEXTS))]
    columns = flat(2, token_texts=silent, log_prob=zeros, entropy=zeros)
    assert reward(["a"] * 2, [""] * 2, **columns)[0] == 0.0
    with pytest.raises(ValueError, match=r"selfrl\.trainers\.GRPOTrainer"):
        reward(["a"], ["x"])


def no_image(image: Any, text: str) -> float:
    return 0.0


def one_step(rows: int) -> dict[str, Any]:
    zeros = [torch.zeros(5)] * rows
    return flat(rows, token_texts=[TEXTS[:5]] * rows, log_prob=zeros, entropy=zeros)


def test_an_image_score_counts_only_with_an_image() -> None:
    reward = BoundaryReward(0, 0, 1, weights=(1, 0, 0, 1), image_score=no_image)
    assert reward(["a"], [""], **one_step(1)) == [1.0]  # expressed 1, internal 1
    assert reward(["a"], [""], **one_step(1), image=["pixels"]) == [0.5]  # internal ½, level 2
    assert reward(["a"] * 2, [""] * 2, **one_step(2), images=[["pixels"], []], image=[None] * 2) == [0.5, 1.0]
    assert BoundaryReward(0, 0, 1)(["a"], [""], **one_step(1), image=["pixels"]) == [1.0]


def test_an_image_score_may_be_a_column() -> None:
    reward = BoundaryReward(0, 0, 1, weights=(1, 0, 0, 1), image_score="clip")
    assert reward.columns == ("clip",)
    scores = [None, math.nan, 1.0, 7, 0.5, 0.0, -7]
    assert reward(["a"] * 7, [""] * 7, **one_step(7), clip=scores) == [1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.5]
    with pytest.raises(ValueError, match="Row 0 of the batch has the image score 'high'"):
        reward(["a"], [""], **one_step(1), clip=["high"])
    with pytest.raises(ValueError, match="needs the column 'clip'"):
        reward(["a"], [""], **one_step(1))


def test_a_step_owns_every_token_that_touches_it_and_no_other() -> None:
    texts = ["1 + 1 = 2.", "\n", "2 + 2", " = 4", ".", " I am sure.", ""]
    log_prob = torch.tensor([0.0, -50.0, 0.0, 0.0, 0.0, -50.0, -50.0])
    chain = BoundaryReward(weights=(1, 0, 0, 0)).chain(log_prob, torch.zeros(7), texts, 50)
    assert chain.internal == (4, 4)
    for token, internal in ((0, (0, 4)), (2, (4, 0)), (3, (4, 0)), (4, (4, 0))):
        doubted = torch.zeros(7).index_fill(0, torch.tensor(token), -50.0)
        assert BoundaryReward(weights=(1, 0, 0, 0)).chain(doubted, torch.zeros(7), texts, 50).internal == internal


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=9), st.integers(2, 100_000))
def test_the_parts_of_internal_confidence_against_their_formulas(probabilities: list[float], size: int) -> None:
    log_prob = torch.tensor(probabilities, dtype=torch.float64).log()
    n = len(probabilities)
    assert length_normalised_probability(log_prob) == pytest.approx(math.prod(probabilities) ** (1 / n))
    entropy = [p * math.log(size) for p in probabilities]  # between certainty and a uniform distribution
    expected = 1 - sum(h / math.log(size) for h in entropy) / n
    assert entropy_certainty(torch.tensor(entropy, dtype=torch.float64), size) == pytest.approx(expected, abs=1e-9)
    relevance = [float(i) for i in range(n)]
    shares = [r / sum(relevance) for r in relevance] if n > 1 else [1.0]
    expected = math.prod(p**share for p, share in zip(probabilities, shares, strict=True))
    assert token_sar_certainty(log_prob, relevance) == pytest.approx(expected)


def test_internal_confidence_rises_with_each_part() -> None:
    assert weighted_confidence([0.2, 0.4, None, None], [1, 1, 7, 7]) == pytest.approx(0.3)
    assert token_sar_certainty(torch.tensor([-1.0, -9.0]), [1, 0]) == pytest.approx(math.exp(-1))
    assert token_sar_certainty(torch.tensor([-1.0, -3.0]), [0, 0]) == pytest.approx(math.exp(-2))
    assert token_sar_certainty(torch.tensor([-math.inf, -1.0]), [0, 1]) == pytest.approx(math.exp(-1))
    assert weighted_confidence([0.5, math.nan], [1, 0]) == 0.5
    assert weighted_confidence([0.5, math.nan], [1, 1]) is None
    for bad in ([1.0], [1.0, -1.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="`relevance` gave"):
            token_sar_certainty(torch.tensor([-1.0, -3.0]), bad)
    assert [level_of(u / 10) for u in range(11)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


def test_signals_of_another_shape_are_refused() -> None:
    for name in ("log_prob", "entropy"):
        with pytest.raises(ValueError, match=rf"`{name}` has the shape \(10, 1\): it must be \(T,\)"):
            BoundaryReward()(["a"], [""], **flat(1, **{name: [torch.zeros(len(TEXTS), 1)]}))
        with pytest.raises(ValueError, match=rf"`{name}` has 9 values for 10 tokens"):
            BoundaryReward()(["a"], [""], **flat(1, **{name: [torch.zeros(9)]}))
    grid = torch.zeros(2, 3)
    for build in (length_normalised_probability, lambda x: entropy_certainty(x, 50)):
        with pytest.raises(ValueError, match=r"has the shape \(2, 3\)"):
            build(grid)
    with pytest.raises(ValueError, match=r"`log_prob` has the shape \(2, 3\)"):
        token_sar_certainty(grid, [[1.0] * 3] * 2)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="`vocab_size` is 1"):
        entropy_certainty(torch.zeros(2), 1)


@pytest.mark.parametrize(
    "bad",
    [
        {"weights": (1, 1, 1)},
        {"weights": (0, 0, 0, 1)},
        {"weights": (math.nan, 1, 1, 1)},
        {"phrases": {}},
        {"phrases": {"so": 5}},
        {"phrases": {" ": 1}},
        {"alpha": -1.0},
        {"alpha": math.nan},
        {"alpha": 0.0, "beta": 0.0, "gamma": 0.0},
    ],
    ids=str,
)
def test_bad_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        BoundaryReward(**bad)


def test_the_reward_is_picklable() -> None:
    reward = pickle.loads(pickle.dumps(BoundaryReward(image_score=no_image)))
    assert reward(["a"], [""], **flat(1)) == BoundaryReward()(["a"], [""], **flat(1))
