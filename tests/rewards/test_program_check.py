"""The gate's check 7: what is wrong with a program is said, in the order of the checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from selfrl.limited_program import Outcome, run_calls
from selfrl.rewards import program_check
from selfrl.rewards.program_check import LONGEST_OUTPUT, program_reason
from selfrl.selfplay.gate import Gate, Proposal
from selfrl.selfplay.gate_checks import Contamination
from selfrl.selfplay.near_index import NearIndex

TEXT = "What does the function give for this input?"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(code: str, calls: Sequence[str], **options: Any) -> Iterator[Outcome]:
        return run_calls(code, calls, **options, limit_s=0.5)

    monkeypatch.setattr(program_check, "run_calls", quick)


def f(body: str) -> str:
    return f"def f(x):\n    {body}"


NOT_LITERAL = "output not a canonical literal"


@pytest.mark.parametrize(
    ("program", "inputs", "why"),
    [
        (f("return x + 1"), ["1", "2.5"], None),
        (f("return {x: {x, 'b', 'c', 'd', 'e'}}"), ["'a'"], None),
        (f("return sorted({x, 'b', 'c', 'd', 'e'})"), ["'a'"], None),
        (f("return x"), [], "no inputs"),
        (f("return x") + "\ndef g(x):\n    return x", ["1"], "several functions"),
        (f("return x") + "\n" + f("return 2"), ["1"], "several functions"),
        (f("return x") + "\nf = abs", ["1"], "several functions"),
        (f("return x") + "\nimport os\nclass A:\n    pass", ["1"], "several functions"),
        (f("return g_0(open(x))"), ["1"], "composite"),
        (f("return open"), ["1"], "banned names: open"),
        (f("return random.random()"), ["1"], "banned names: .random, random"),
        ("import sys, time\n" + f("return time.time()"), ["1"], "banned names: .time, import"),
        (f("return x.__class__"), ["1"], "banned names: .__class__"),
        ("x = 1", ["1"], "no function f"),
        ("def f(x:", ["1"], "does not parse"),
        (f(f"return {'-' * 9000}x"), ["1"], "does not parse"),
        (f("return x"), ["y"], "an input is no literal"),
        (f("return lambda: x"), ["1"], NOT_LITERAL),
        (f("return 1e308 * x"), ["10"], NOT_LITERAL),
        (f("return 'a' * x"), [str(LONGEST_OUTPUT)], NOT_LITERAL),
        (f("return 'a' * x"), [str(LONGEST_OUTPUT - 2)], None),
        (f("return 1 // x"), ["1", "0"], "error (ZeroDivisionError)"),
        ("x = [][0]\n" + f("return x"), ["1"], "error (IndexError)"),
        (f("return [0] * x"), ["10 ** 9"], "an input is no literal"),
        (f("return [0] * x"), ["1000000000"], "error (MemoryError)"),
        (f("return str(f)"), ["1"], "two runs differ"),
        (f("return str(x for x in [x])[-9:]"), ["1"], "two runs differ"),
        (f("return [*{x, 'b', 'c', 'd', 'e'}]"), ["'a'"], "two runs differ"),
        (f("return {'a', 'b', 'c', x}.pop()"), ["'d'"], "two runs differ"),
        (f("while True:\n        pass"), ["1", "2"], "more than 10 s"),
        (
            f("while True:\n        try:\n            pass\n        finally:\n            continue"),
            ["1"],
            "more than 10 s",
        ),
    ],
)
def test_a_program_passes_or_is_refused(program: str, inputs: list[str], why: str | None) -> None:
    assert program_reason(program, inputs) == why


def test_what_was_not_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_check, "run_calls", lambda *_, **__: iter([Outcome(None, "not decided", "no child")]))
    assert program_reason(f("return x"), ["1"]) == "could not be run"


def test_the_gate_runs_programs() -> None:
    gate = Gate(NearIndex([].__getitem__), Contamination([]))
    proposals = [
        Proposal("a", TEXT, program=f("return x"), inputs=("1",)),
        Proposal("b", TEXT, program=f("return id(x)"), inputs=("1",)),
        Proposal("c", TEXT, program=f("return x")),
        Proposal("d", TEXT),
    ]
    found = [(verdict.accepted, verdict.check, verdict.why) for verdict in gate.judge(proposals)]
    assert found == [
        (True, None, None),
        (False, 7, "banned names: id"),
        (False, 7, "no inputs"),
        (True, None, None),
    ]
