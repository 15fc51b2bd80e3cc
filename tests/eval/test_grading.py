"""Verdicts, and what hostile answers cannot do."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.eval.extraction import RULES, find
from selfrl.eval.grading import GRADERS, Grade, gradable
from selfrl.eval.literals import check_code, read_arguments, read_literal, returns

DATA = Path(__file__).parents[3] / "shared" / "data"
HOSTILE = [
    r"9^{9^{9}}",
    "(10^9)!",
    "__import__('os').system('touch hacked')",
    "open('hacked','w')",
    "[[" * 500,
    "-" * 1500 + "1",
    "not " * 400 + "1",
    "9" * 3000,
    "{" + "1:" * 900,
    "\x00\ud800",
    "(" * 25 + "1" + ")" * 25,
    "1e999",
    "f" * 5000,
    "lambda: 0",
    "f(*[1])",
    "f(**{})",
    "f(1))(",
]


def verdicts(kind: str, answers: list[str | None], gold: str, row: dict[str, Any] | None = None) -> list[bool | None]:
    return [grade.correct for grade in GRADERS[kind](answers, gold, row or {})]


def test_equal_answers_vote_together() -> None:
    grades = GRADERS["math"]([r"\sqrt{8}", r"2\sqrt{2}", "3"], r"2\sqrt{2}", {})
    assert [grade.correct for grade in grades] == [True, True, False]
    assert grades[0].key == grades[1].key != grades[2].key


def test_no_answer_is_wrong_and_an_unreadable_one_undecided() -> None:
    assert GRADERS["math"]([None, r"9^{9^{9}}"], "1", {}) == [Grade(None, False), Grade(None, None)]


@pytest.mark.parametrize(
    ("kind", "gold", "right", "wrong"),
    [
        (
            "choice",
            "C",
            ["(C)", "C", "c.", r"\text{C}", "C:", "(C) 42", "Option C", "c)", "(C):", "C. cats"],
            ["(A)", "CC", "", None, "C or D", "(C) or (D)", "Cats"],
        ),
        ("text", "(D)", ["(D) 01/02/1987", "d)", "D", "(D)."], ["(A) 01/02/1987", "01/02/1987", "Dogs"]),
        ("text", "(A)", ["(A)", "A", "(a).", r"\text{(A)}"], ["(B)", "(A) and (B)", None]),
        ("text", "True", ["true", '"True"', "**True**", "$True$"], ["False", "not True", ""]),
        ("text", "] ) }", ["] ) }", " ] )  }"], ["] )"]),
        ("words", "ape bee cow", ["ape bee cow", "ape, bee, cow.", "Ape\nbee\ncow"], ["bee ape cow", "ape bee", None]),
        (
            "literal",
            "{'a': (1, 2)}",
            ["{'a': (1, 2)}", '{"a":(1,2)}', "assert f(3) == {'a': (1, 2)}"],
            ["{'a': [1, 2]}"],
        ),
        ("literal", "'a == b'", ["'a == b'", "f(1) == 'a == b'"], ["a == b", "'a'"]),
        ("literal", "True", ["True", "1 == 1 == True"], ["'True'", "true"]),
    ],
)
def test_kinds_of_answers(kind: str, gold: str, right: list[str | None], wrong: list[str | None]) -> None:
    assert verdicts(kind, right, gold) == [True] * len(right)
    assert verdicts(kind, wrong, gold) == [False] * len(wrong)


def test_any_input_that_gives_the_output_is_right() -> None:
    row = {"code": "def f(a, b=0):\n    return sorted(a)[b]", "output": "3"}
    right = ["f([5, 3], 0) == 3", "assert f((3,)) == 3", "[3]", "[9, 3], b=0", "assert(f([3]) == 3)"]
    right += ["assert f([3]) == 3, 'no'"]
    wrong = ["[4]", "f(range(3)) == 3", "[]", "x", "f([3]", None, "3", "1)([3]", "a=[4],a=[3]", "g([3])"]
    assert verdicts("call", right, "[3]", row) == [True] * len(right)
    assert verdicts("call", wrong, "[3]", row) == [False] * len(wrong)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", list(GRADERS))
def test_hostile_answers_do_nothing(kind: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = {"code": "def f(x=0):\n    return x", "output": "17", "task": "rotation"}
    started = time.monotonic()
    assert all(v in (False, None) for v in verdicts(kind, [text, text], "17", row))
    assert time.monotonic() - started < 10
    assert os.listdir(tmp_path) == []


def test_a_pretext_answer_is_read_as_its_reward_reads_it() -> None:
    assert verdicts("pretext", ["90°", "-270", "45", "0", None], "90", {"task": "rotation"}) == [
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="needs the column `task`"):
        verdicts("pretext", ["90"], "90", {})
    assert not gradable("pretext", "90", {})


def test_a_function_that_never_ends_or_eats_memory_is_undecided() -> None:
    started = time.monotonic()
    assert returns("def f(x):\n    while True:\n        pass", ((1,), {}), "1") is None
    assert returns("def f(x):\n    return 'a' * x", ((10**10,), {}), "1") is None
    assert time.monotonic() - started < 8
    assert returns("def f(x):\n    return open('x', 'w')", ((1,), {}), "1") is False


@pytest.mark.parametrize(
    "code", ["import os", "from os import path", "def f(x):\n    return x.__class__", "__import__('os')"]
)
def test_code_that_reaches_out_is_not_run(code: str) -> None:
    with pytest.raises(ValueError, match="is not run here"):
        check_code(code)
    assert not gradable("call", "1", {"code": code, "output": "1"})
    with pytest.raises(ValueError, match="is not run here"):
        returns(code, ((1,), {}), "1")


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_literal, read_arguments):
        with suppress(ValueError):
            read(text)
    for rule in RULES:
        find(text, [rule])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)))
@settings(deadline=None)
def test_literals_are_read_back(value: Any) -> None:
    assert read_literal(f"f(0) == {value!r}") == value
    assert read_arguments(f"f({value!r}, k={value!r}) == 1") == ((value,), {"k": value})


@pytest.mark.parametrize(
    ("text", "rules", "answer"),
    [
        ("The answer is (B). Not (C).", ["choice_is"], "B"),
        ("answer: **d**", ["choice_is"], "D"),
        ("The answer is Bob", ["choice_is"], None),
        ("The answer is (C). Indeed the answer is a polar molecule.", ["choice_is"], "C"),
        ("The correct answer is a combination, so I would go for (D).", ["choice_is", "last_choice"], "D"),
        ("The answer is A because", ["choice_is"], "A"),
        ("The answer is A dog because", ["choice_is"], None),
        ("The answer is B or C.", ["choice_is"], "B or C"),
        (r"<think>\boxed{A}</think>The answer is B.", ["boxed", "choice_is"], "B"),
        (r"<think>\boxed{A}", ["boxed", "choice_is"], None),
        (r"The answer is $\text{B}$", ["choice_is"], "B"),
        ("The answer is option (e)", ["choice_is"], "E"),
        ("Not A. I would pick B since it fits", ["last_choice"], "B"),
        ("I'd say (A), no: (C)", ["choice_is", "last_choice"], "C"),
        ("I am", ["last_choice"], None),
        ("A dog, so B", ["last_choice"], "B"),
        ("x [ANSWER]1[/ANSWER] y [ANSWER] 2 [/ANSWER]", ["brackets"], "2"),
        ("assert f(1) == 2\n[/ANSWER]", ["brackets"], "assert f(1) == 2"),
        ("plain", ["brackets", "first_line"], "plain"),
        ("one\ntwo\n", ["last_line"], "two"),
        ("", ["last_line", "first_line", "brackets"], None),
        (r"\boxed{1} #### 2", ["hashes", "boxed"], "2"),
    ],
)
def test_rules(text: str, rules: list[str], answer: str | None) -> None:
    assert find(text, rules) == answer


@pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not beside the project")
def test_gold_answers_of_math500_are_right() -> None:
    rows = [json.loads(line) for line in (DATA / "math500.jsonl").read_text().splitlines()]
    assert len(rows) == 500
    for row in rows:
        gold = row["answer"]
        texts = [rf"So \boxed{{{gold}}}.", f"After all this, the answer is ${gold}$."]
        answers = [find(text, ["boxed", "answer_is"]) for text in texts]
        assert verdicts("math", answers, gold) == [True, True], gold


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not beside the project")
def test_gold_answers_of_cruxeval_are_right() -> None:
    rows = [json.loads(line) for line in (DATA / "cruxeval.jsonl").read_text().splitlines()]
    assert all(
        verdicts("literal", [f"f({r['input']}) == {r['output']}", r["output"]], r["output"]) == [True] * 2 for r in rows
    )
    # twelve inputs of the 800 are expressions, which are not run
    wrong = [
        r["id"] for r in rows if verdicts("call", [f"assert f({r['input']}) == {r['output']}"], r["input"], r) != [True]
    ]
    assert len(wrong) == 12
