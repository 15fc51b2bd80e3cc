"""The reward of questions about programs: what is right, wrong, malformed, and what cannot be decided."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trl
from datasets import Dataset

from selfrl.limited_program import Outcome, run_calls
from selfrl.rewards import ExecutionReward, execution
from selfrl.rewards.execution import Verdict, answer_of, verdicts
from selfrl.rewards.program_item import ProgramItem, prompt_of

PROGRAM = "def f(x, y=0):\n    return {'sum': x + y}"
DEDUCTION = ProgramItem("deduction", PROGRAM, ("1, y=2",), ("{'sum': 3}",))
ABDUCTION = ProgramItem("abduction", PROGRAM, ("1, y=2",), ("{'sum': 3}",))
INDUCTION = ProgramItem(
    "induction",
    PROGRAM,
    ("1", "2", "3, 4", "5, y=6"),
    ("{'sum': 1}", "{'sum': 2}", "{'sum': 7}", "{'sum': 11}"),
    "Adds.",
)


def box(answer: str) -> str:
    return rf"Hence \boxed{{{answer}}}."


def block(program: str) -> str:
    return f"So:\n```python\n{program}\n```\n"


@pytest.mark.parametrize(
    ("item", "text", "verdict"),
    [
        (DEDUCTION, box("{'sum': 3}"), "right"),
        (DEDUCTION, box('{ "sum" : 3.0 }'), "right"),
        (
            DEDUCTION,
            "<think>" + box("4") + "</think>" + box("1") + " no, " + box("{  'sum': 3} "),
            "right",
        ),
        (DEDUCTION, box("{'sum': 4}"), "wrong"),
        (DEDUCTION, box("3"), "wrong"),
        (DEDUCTION, box("{'sum': 1 + 2}"), "malformed"),
        (DEDUCTION, box("f(1, y=2)"), "malformed"),
        (DEDUCTION, box(""), "malformed"),
        (DEDUCTION, "{'sum': 3}", "malformed"),
        (DEDUCTION, r"\boxed{{'sum': 3}", "malformed"),
        (DEDUCTION, "<think>" + box("{'sum': 3}"), "malformed"),
        (DEDUCTION, box("[" * 5000), "malformed"),
        (DEDUCTION, box("[" * 5000 + "]" * 5000), "malformed"),
        (DEDUCTION, box("__import__('os').abort()"), "malformed"),
        (ABDUCTION, box("1, y=2"), "right"),
        (ABDUCTION, box("f(5, -2)"), "right"),
        (ABDUCTION, box("y=3, x=0"), "right"),
        (ABDUCTION, box("1"), "wrong"),
        (ABDUCTION, box("'a'"), "wrong"),
        (ABDUCTION, box("1, 2, 3"), "wrong"),
        (ABDUCTION, box("1 + 2"), "malformed"),
        (ABDUCTION, box("*[1, 2]"), "malformed"),
        (ABDUCTION, box("1), (2"), "malformed"),
        (INDUCTION, block("def f(x, y=0):\n    return {'sum': y + x}"), "right"),
        (INDUCTION, block("x = 1") + block("def f(x, y=0):\n    return dict(sum=x + y)"), "right"),
        (INDUCTION, block("def f(x, y=0):\n    return {1: {'sum': 1}, 2: {'sum': 2}}[x]"), "wrong"),  # what was shown
        (INDUCTION, block("def f(x, y=0):\n    return {'sum': x}"), "wrong"),
        (INDUCTION, block("def f(x):\n    return {'sum': x}"), "wrong"),
        (INDUCTION, block("y = 1 / 0\ndef f(x, y=0):\n    return {'sum': x + y}"), "wrong"),
        (INDUCTION, block("def f(x, y=0):\n    return {'sum': x +"), "malformed"),
        (INDUCTION, block("def g(x, y=0):\n    return {'sum': x + y}"), "malformed"),
        (INDUCTION, block("import os\ndef f(x, y=0):\n    return {'sum': x + y}"), "malformed"),
        (INDUCTION, block(PROGRAM) + "```python\n", "malformed"),
        (INDUCTION, box(PROGRAM), "malformed"),
        (INDUCTION, "", "malformed"),
    ],
)
def test_an_answer_is_judged_by_running(item: ProgramItem, text: str, verdict: Verdict) -> None:
    assert verdicts([item], [text]) == [verdict]


def test_values_are_compared_whatever_their_order() -> None:
    item = ProgramItem("deduction", "def f():\n    return [{3, 'b', 'a'}, {}]", ("",), ("[{'a', 'b', 3}, {}]",))
    assert verdicts([item] * 2, [box("[{3, 'a', 'b'}, {}]"), box("[['a', 'b', 3], {}]")]) == ["right", "wrong"]


@pytest.mark.parametrize(("scale", "values"), [("zero_one", [1, 0, 0]), ("absolute_zero", [1, -0.5, -1])])
def test_scales_and_what_is_logged(scale: Any, values: list[float]) -> None:
    reward = pickle.loads(pickle.dumps(ExecutionReward(scale)))
    texts = [box("3, 0"), box("4, 0"), "3, 0", "3, 0"]
    column = [*[ABDUCTION.to_columns()["program_item"]] * 3, None]
    logged: dict[str, float] = {}
    assert reward(["?"] * 4, texts, program_item=column, log_metric=logged.__setitem__) == [*values, None]
    assert logged == {"ExecutionReward/abstained": 0.25, "ExecutionReward/malformed": 0.25}


def test_what_is_no_scale_or_item_is_refused() -> None:
    with pytest.raises(ValueError, match="has no scale 'ten': choose zero_one or absolute_zero"):
        ExecutionReward("ten")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the column 'program_item'"):
        ExecutionReward()(["?"], ["1"])
    with pytest.raises(ValueError, match="holds no program item"):
        ExecutionReward()(["?"], ["1"], program_item=["{}"])
    broken = ProgramItem("abduction", PROGRAM, ("1",), ("so much",))
    with pytest.raises(ValueError, match="has the output 'so much': give it as a Python literal"):
        verdicts([broken], [box("1")])


@pytest.mark.parametrize("program", ["import os\ndef f(x):\n    return x", "y = 1 / 0\ndef f(x):\n    return x", "("])
def test_an_item_that_does_not_run_decides_nothing(program: str) -> None:
    assert verdicts([ProgramItem("abduction", program, ("1",), ("1",))], [box("1")]) == [None]


def test_a_held_back_input_that_is_no_literal_decides_nothing() -> None:
    item = ProgramItem("induction", PROGRAM, ("1", "x"), ("1", "1"))
    assert verdicts([item], [block("def f(x):\n    return x")]) == [None]


def test_a_child_that_fails_for_reasons_of_ours_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(code: str, calls: Sequence[str]) -> Iterator[Outcome]:
        return iter([Outcome(None, "not decided", "no child")] * len(calls))

    monkeypatch.setattr(execution, "run_calls", failing)
    items = [DEDUCTION, ABDUCTION, INDUCTION, DEDUCTION]
    assert verdicts(items, [box("1"), box("1"), block(PROGRAM), "1"]) == [None, None, None, "malformed"]


def test_an_answer_that_hits_a_limit_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(code: str, calls: Sequence[str]) -> Iterator[Outcome]:
        return run_calls(code, calls, limit_s=0.5)

    monkeypatch.setattr(execution, "run_calls", quick)
    item = ProgramItem("abduction", "def f(x):\n    while x == 2:\n        pass\n    return x > 2", ("3",), ("True",))
    assert verdicts([item] * 4, [box(str(x)) for x in (2, 3, 1, 4)]) == ["wrong", "right", "wrong", "right"]
    endless = block(
        "def f(x, y=0):\n    while True:\n        try:\n            pass\n        except:\n            pass"
    )
    started = time.monotonic()
    assert verdicts([INDUCTION] * 2, [endless, block(PROGRAM)]) == ["wrong", "right"]
    assert time.monotonic() - started < 5


def test_equal_answers_are_judged_once_and_one_child_serves_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def counting(code: str, calls: Sequence[str]) -> Iterator[Outcome]:
        asked.append(list(calls))
        return run_calls(code, calls)

    monkeypatch.setattr(execution, "run_calls", counting)
    texts = [box("3"), box("1, 2"), box("3"), "?"]
    other = ProgramItem("abduction", PROGRAM, ("4",), ("{'sum': 4}",))
    assert verdicts([ABDUCTION] * 4 + [other], [*texts, box("3")]) == ["right", "right", "right", "malformed", "wrong"]
    assert asked == [["3", "1, 2", "3"]]
    asked.clear()
    assert verdicts([INDUCTION] * 3, [block(PROGRAM)] * 3) == ["right"] * 3
    assert len(asked) == 1


def test_where_an_answer_stands() -> None:
    assert answer_of("deduction", box("f(1)")) == "f(1)"
    assert answer_of("abduction", box("f(1)")) == "1"
    assert answer_of("abduction", box("f()")) is None
    assert answer_of("induction", block("") + block("x")) == "x"
    assert answer_of("induction", "<think>" + block("x")) is None


def test_it_trains_in_an_unmodified_trainer(random_model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": prompt_of(item)[:60], **item.to_columns()} for item in (DEDUCTION, ABDUCTION, INDUCTION)]
    options: dict[str, Any] = {"per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 8}
    options |= {"max_steps": 1, "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
    args = trl.GRPOConfig(str(tmp_path), **options, logging_steps=1)
    trainer = trl.GRPOTrainer(str(random_model), ExecutionReward("absolute_zero"), args, Dataset.from_list(rows))
    trainer.train()
    assert trainer.state.log_history[0]["ExecutionReward/malformed"] == 1.0
    assert trainer.state.log_history[0]["rewards/ExecutionReward/mean"] == -1.0
