"""Reasoning–answer consistency: what the judge sees, how its rulings count, and when it is an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from selfrl.eval.consistency import Consistency, consistency, has_fallen, judge_prompts, reasoning_of
from selfrl.eval.jobs import Job
from selfrl.eval.questions import Question, QuestionSet
from selfrl.eval.scoring import grade
from selfrl.eval.task import load_tasks
from selfrl.generation import Generation, Sampling

COMPLETIONS = [
    "<think>The roof points to the left.</think><answer>90</answer>",
    "<think>Nothing moved.</think><answer>90</answer>",
    "<think>It stands on its head.</think><answer>180</answer>",
    "<think>I cannot tell.</think><answer>0</answer>",
    "no tags at all",
]
RULINGS = ["<answer>90</answer>", "<answer>0</answer>", "<answer>180°</answer>", "<answer>None.</answer>"]


class Judge:
    """Rules what it is told to, and keeps what it was asked."""

    def __init__(self, rulings: Sequence[str | None]) -> None:
        self.rulings, self.asked = rulings, []  # type: ignore[var-annotated]

    def generate(self, prompts: Sequence[Any], sampling: Sampling) -> list[list[Generation]]:
        self.asked = list(prompts)
        assert sampling.temperature == 0
        return [[] if r is None else [Generation(r, "stop", 9, 5)] for r in self.rulings]


def job() -> Job:
    (task,) = load_tasks("pretext")
    row = {"task": "rotation", "answer": "90"}
    question = Question(0, "[1] [2] By how many degrees?", "?", "90", row)
    return Job(task, "chat", QuestionSet([question], 0), Sampling(n=len(COMPLETIONS)))


def groups(wanted: Job) -> list[Any]:
    said = [Generation(text, "stop", 9, 9) for text in COMPLETIONS]
    return [grade(wanted.task, "chat", wanted.questions.questions[0], said)]


@pytest.mark.parametrize(
    ("completion", "left"),
    [
        ("<think>Left.</think><answer>90</answer>", "Left."),
        (r"Left, so \boxed{90}.", r"Left, so \boxed{}."),
        ("Left.\nThe answer is 90.", "Left."),
        ("Left.\nFinal answer: 90", "Left."),
        ("<answer>0</answer> no <answer>90</answer>", "no"),
        ("Left.<answer>90", "Left.90"),
    ],
)
def test_the_judge_does_not_see_the_answer(completion: str, left: str) -> None:
    assert reasoning_of(completion).strip() == left


def test_only_completions_with_an_answer_are_judged_and_without_pictures() -> None:
    wanted = job()
    places, prompts = judge_prompts(wanted, groups(wanted))
    assert places == [(0, 0), (0, 1), (0, 2), (0, 3)]
    first = prompts[0][0]["content"]  # type: ignore[index]
    assert "By how many degrees?" in first
    assert "The roof points to the left." in first
    assert "90" not in first.replace("degrees", "")


def test_rulings_are_counted_for_right_and_wrong_answers() -> None:
    wanted = job()
    found = consistency(wanted, groups(wanted), Judge(RULINGS))
    assert found is not None
    assert (found.judged, found.unjudged) == (4, 0)
    assert found.rac == 0.5  # the first, and the third, which is wrong and consistent
    assert (found.right, found.wrong, found.none) == (0.5, 0.5, 0.25)
    assert found.error == pytest.approx((0.5 * 0.5 / 4) ** 0.5)


def test_a_judge_that_says_nothing_readable_is_counted_apart() -> None:
    wanted = job()
    found = consistency(wanted, groups(wanted), Judge([RULINGS[0], "I think so", None, RULINGS[3]]))
    assert found is not None
    assert (found.judged, found.unjudged, found.rac) == (2, 2, 0.5)
    assert consistency(wanted, groups(wanted), Judge([None] * 4)) is None


def test_a_fall_by_three_standard_errors_is_an_alarm() -> None:
    before = Consistency(400, 0.8, 0.02, None, None, 0.0, 0)
    assert not has_fallen(before, replace(before, rac=0.72))
    assert has_fallen(before, replace(before, rac=0.71))
    assert not has_fallen(before, replace(before, rac=0.95))
