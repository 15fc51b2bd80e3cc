"""Strict readers: hostile text earns nothing and costs no time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import PretextReward
from selfrl.rewards.pretext import TASKS, task_of
from selfrl.rewards.pretext_answers import read_degrees, read_order, tagged

TASK_NAMES = sorted(TASKS)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("<answer>90</answer>", "90"),
        ("<think>maybe <answer>0</answer></think> <answer> 90 </answer>.", "90"),
        ("<ANSWER>90</Answer>", "90"),
        ("<answer>0</answer><answer>90", "0"),
        ("<answer>0 <answer>90</answer>", "90"),
        ("<answer>90</answer></answer>", "90"),
        ("<answer></answer>", ""),
        ("</answer>90<answer>", None),
        ("answer: 90", None),
        ("", None),
        ("<anſwer>90</anſwer>", None),
        ("İ" * 9 + "<answer>90</answer>", "90"),
        ("<answer>" + "9" * 501 + "</answer>", ""),
    ],
)
def test_the_last_complete_pair_of_tags_counts(text: str, inside: str | None) -> None:
    assert tagged(text) == inside


@pytest.mark.parametrize(
    ("said", "degrees"),
    [
        ("90", 90),
        ("90°", 90),
        ("90 degrees", 90),
        ("90 DEG.", 90),
        ("+450", 90),
        ("-90", 270),
        ("360", 0),
        ("0, 90", None),
        ("ninety", None),
        ("90.0", None),
        ("9" * 400, None),
        ("٩٠", 90),
        ("", None),
    ],
)
def test_degrees(said: str, degrees: int | None) -> None:
    assert read_degrees(said) == degrees


def test_orders() -> None:
    items = {str(i): str(i) for i in range(1, 5)}
    for said in ("2,4,1,3", "2 4 1 3", "[2, 4, 1, 3]", "(2;4;1;3)", "2,4,1,3."):
        assert read_order(said, items) == "2,4,1,3"
    for said in ("", "2,4,1", "2,4,1,3,3", "2,4,1,5", "02,4,1,3", "2-4-1-3", "[2,4,1,3", "1,1,1,1", "2,4,1,x"):
        assert read_order(said, items) is None


@pytest.mark.parametrize("name", TASK_NAMES)
@pytest.mark.parametrize(
    "said",
    ["1 " * 250, "[" * 500, "9" * 500, "1,1,1,1", "0", "{}", "\x00", "top-left" * 60, "90 or 180", "yes no"],
)
def test_hostile_answers_are_read_at_once(name: str, said: str) -> None:
    started = time.perf_counter()
    task = task_of(name)
    read = task.read(said)
    assert read is None or task.read(read) == read
    assert time.perf_counter() - started < 0.5


@given(st.text(max_size=300), st.sampled_from(TASK_NAMES))
def test_any_text_gets_a_reward_from_0_to_1(text: str, name: str) -> None:
    golds = {"rotation": "90", "contrastive": "positive", "position": "top-left", "link": "yes"}
    (reward,) = PretextReward()(["?"], [f"<answer>{text}</answer>"], task=[name], answer=[golds.get(name, "1")])
    assert reward in (0.0, 1.0)


@given(st.text(alphabet="<>/answer ANSWER90", max_size=80))
def test_tags_in_any_order_raise_nothing(text: str) -> None:
    inside = tagged(text)
    assert inside is None or f"{inside}" in text
