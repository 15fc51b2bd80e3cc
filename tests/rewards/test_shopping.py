"""Shop-R1's rewards against its table, and hostile replies."""

import functools
import json
import math
import pickle
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import RationaleCertaintyReward, ShopActionReward, ShopFormatReward
from selfrl.rewards.shopping import action_value
from selfrl.rewards.shopping_actions import Action, read_action, read_reply
from selfrl.text import rouge_l


def said(action: Any, rationale: str = "because") -> str:
    return json.dumps({"rationale": rationale, "action": action})


CLICK = {"type": "click", "name": "add red shoes to cart"}
TYPE = {"type": "type_and_submit", "name": "search box", "text": "red running shoes"}
END = {"type": "terminate"}


@pytest.mark.parametrize(
    ("mine", "true", "value"),
    [
        (END, END, 0.3),
        (CLICK, END, 0.0),
        (END, CLICK, 0.0),
        (CLICK, CLICK, 0.3 + 0.2 + 1000),
        ({"type": "click", "name": "checkout"}, CLICK, 0.3 + 0.2),  # present, but wrong
        ({"type": "click"}, CLICK, 0.3),
        ({"type": "click", "name": "  "}, CLICK, 0.3),
        # 4 of 5 words: F1 = 2·4/9 = 0.889, above the threshold
        ({"type": "click", "name": "add red shoes cart"}, CLICK, 0.5 + 1000 * 8 / 9),
        # 2 of 5 words: F1 = 0.571, which does not count
        ({"type": "click", "name": "red shoes"}, CLICK, 0.5),
        (TYPE, TYPE, 0.3 + 0.1 + 0.1 + 0.1 + 1000),
        ({**TYPE, "text": "hats"}, TYPE, 0.3 + 0.1 + 0.1 + 0.1),
        ({**TYPE, "name": "menu"}, TYPE, 0.3 + 0.1 + 0.1 + 1000),
        ({"type": "type_and_submit", "text": TYPE["text"]}, TYPE, 0.3 + 0.1 + 1000),
        ({"type": "type_and_submit", "name": TYPE["name"]}, TYPE, 0.3 + 0.1 + 0.1),
    ],
)
def test_the_table(mine: dict[str, str], true: dict[str, str], value: float) -> None:
    assert ShopActionReward()(["…"], [said(mine)], action=[true]) == [pytest.approx(value)]
    assert ShopActionReward()(["…"], [said(mine)], action=[json.dumps(true)]) == [pytest.approx(value)]


def test_difficulty_scaling_and_threshold_are_settings() -> None:
    near = {"type": "click", "name": "red shoes"}
    assert ShopActionReward(dars=10, threshold=0.5)(["…"], [said(near)], action=[CLICK]) == [
        pytest.approx(0.5 + 10 * 4 / 7)
    ]
    # exactly at the threshold does not count: "only above"
    assert action_value(Action("click", "a b"), Action("click", "a c"), threshold=0.5) == pytest.approx(0.5)
    for bad in ({"dars": 0.0}, {"threshold": 1.0}):
        with pytest.raises(ValueError, match="must be above 0, threshold"):
            ShopActionReward(**bad)


words = st.lists(st.sampled_from("abcd"), max_size=8)


@given(words, words)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(mine: list[str], theirs: list[str]) -> None:
    @functools.cache
    def lcs(i: int, j: int) -> int:
        if i == len(mine) or j == len(theirs):
            return 0
        return 1 + lcs(i + 1, j + 1) if mine[i] == theirs[j] else max(lcs(i + 1, j), lcs(i, j + 1))

    n = lcs(0, 0)
    precision, recall = n / max(len(mine), 1), n / max(len(theirs), 1)
    f1 = 2 * precision * recall / (precision + recall) if n else 0.0
    assert rouge_l(" ".join(mine), " ".join(theirs)) == pytest.approx(f1)


GARBAGE = [
    "",
    "buy!",
    "[1]",
    "{",
    '{"rationale": "x"}',
    '{"action": {"type": "terminate"}}',
    '{"rationale": 3, "action": {"type": "terminate"}}',
    '{"rationale": "a", "rationale": "b", "action": {"type": "terminate"}}',
    '{"rationale": "x", "action": NaN}',
    said(END) + " and more",
    said(END, "x" * 30_000),
    '{"rationale":' * 10_000,
    "[" * 15_000,
    '{"rationale": "x", "action": ' + "9" * 10_000 + "}",
    '"rationale": "' + "\\" * 9000,
]


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_abstains_and_earns_no_format(text: str) -> None:
    started = time.perf_counter()
    assert ShopActionReward()(["…"], [text], action=[END]) == [None]
    assert ShopFormatReward()(["…"], [text]) == [0.0]
    texts = list(text)[:3] or [""]
    signals = {"entropy": [torch.ones(len(texts))], "token_texts": [texts], "vocab_size": [10]}
    assert RationaleCertaintyReward()(["…"], [text], **signals) == [None]
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "action",
    [3, "click", {"type": "fly"}, {"type": ["click"]}, {"name": "x"}, {"type": "click", "name": 3}],
    ids=str,
)
def test_valid_json_with_an_unknown_action_has_its_format_but_no_value(action: Any) -> None:
    assert ShopActionReward()(["…"], [said(action)], action=[END]) == [None]
    assert ShopFormatReward()(["…"], [said(action)]) == [0.5]


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    read_reply(text)
    read_reply("```json\n" + text + "```")
    read_action(text)
    assert rouge_l(text, text) in (0.0, 1.0)


def test_a_fenced_reply_and_a_message_are_read() -> None:
    fenced = "```json\n" + said(CLICK) + "\n```"
    assert ShopActionReward()(["…"], [[{"role": "assistant", "content": fenced}]], action=[CLICK]) == [1000.5]


def test_metrics_count_what_was_right_and_what_could_not_be_read() -> None:
    logged: dict[str, float] = {}
    ShopActionReward()(
        ["…"] * 4,
        [said(CLICK), said({"type": "click", "name": "x"}), said(END), "?"],
        action=[CLICK] * 4,
        log_metric=logged.__setitem__,
    )
    assert logged == {
        "ShopActionReward/exact": 0.25,
        "ShopActionReward/type": 0.5,
        "ShopActionReward/unreadable": 0.25,
    }


def test_bad_data_end_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="needs the column 'action'"):
        ShopActionReward()(["…"], ["x"])
    with pytest.raises(ValueError, match=r"true action .* cannot be read"):
        ShopActionReward()(["…"], ["x"], action=["jump"])


def test_rationale_certainty_is_the_divergence_from_uniform_over_the_rationales_own_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    # a rationale inside the action comes first, and is not the rationale
    texts = ['{"action": {"rationale": "no", "type": "terminate"}, ', '"rationale": "', "so", " cheap", '"', "}", ""]
    p = torch.randn(len(texts), 50, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    entropy = -(p * p.log()).sum(-1)
    expected = sum((p[j] * (p[j] * 50).log()).sum() for j in (2, 3)).item() / (2 * 50)  # type: ignore[union-attr]
    signals = {"entropy": [entropy.float()], "token_texts": [texts], "vocab_size": [50]}
    (value,) = RationaleCertaintyReward()(["…"], ["".join(texts)], **signals)
    assert value == pytest.approx(expected, rel=1e-5)
    reverse = (-(p.log().mean(-1)) - math.log(50))[2:4].mean().item() / 50
    assert abs(value - reverse) > 1e-3  # type: ignore[operator]
    assert RationaleCertaintyReward()(["…"], ["x"], **{**signals, "entropy": [None]}) == [None]
    empty = [said(END, " ")]
    signals = {"entropy": [torch.ones(1)], "token_texts": [empty], "vocab_size": [50]}
    assert RationaleCertaintyReward()(["…"], empty, **signals) == [None]
    with pytest.raises(ValueError, match=r"selfrl\.trainers\.GRPOTrainer"):
        RationaleCertaintyReward()(["…"], ["x"])


def test_rewards_are_picklable() -> None:
    for reward in (ShopActionReward(5.0), ShopFormatReward(), RationaleCertaintyReward()):
        assert pickle.loads(pickle.dumps(reward)).__dict__ == reward.__dict__
