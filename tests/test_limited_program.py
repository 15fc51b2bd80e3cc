"""Hostile programs are refused or ended within the limits, and honest ones say what they say everywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl import limited_program
from selfrl.limited_program import Outcome, run_calls, run_program
from selfrl.literal_text import MAX_LITERAL, MAX_NESTING, TooLongError, literal, read_arguments

LIMIT_S = 0.5


def f(*lines: str, arguments: str = "x") -> str:
    return "\n    ".join([f"def f({arguments}):", *lines])


def run(*lines: str, call: str = "1", **options: Any) -> Outcome:
    return run_program(f(*lines), call, limit_s=LIMIT_S, **options)


@pytest.mark.parametrize(
    ("lines", "call", "said"),
    [
        (["return x + 1"], "16", "17"),
        (["return {3, 1, 2}"], "0", "{1, 2, 3}"),
        (["return {'b': set(), 'a': ()}"], "0", "{'a': (), 'b': set()}"),
        (["return (x,), [None, True], b'\\xff'"], "'é'", "(('é',), [None, True], b'\\xff')"),
        (["return x / 3, -0.0, 1e300"], "1", "(0.3333333333333333, -0.0, 1e+300)"),
        (["return 1j * x"], "2", "2j"),
        (["_, y = x", "return [y for _ in range(2)]"], "(1, 2)", "[2, 2]"),
        (["def g(n):", "    return 1 if n < 2 else n * g(n - 1)", "return g(x)"], "5", "120"),
        (["try:", "    return 1 // x", "except ZeroDivisionError as e:", "    return str(e)"], "0", None),
        (["match x:", "    case {'a': [int(y), *z], **w}:", "        return y, z, w"], "{'a': [1, 2], 'b': 3}", None),
        (["return f'{x!r:>4}', '%s' % x, '\\N{EM DASH}', x.encode('cp1252')"], "'é'", None),
        (["return type(x) is int, type(None)() is x"], "1", "(True, False)"),
        (["def f2(f):", "    f = f + 1", "    return f", "return f2(x)"], "1", "2"),
    ],
)
def test_honest_programs_say_what_python_says(lines: list[str], call: str, said: str | None) -> None:
    outcome = run(*lines, call=call)
    scope: dict[str, Any] = {}
    exec(f(*lines), scope)
    assert outcome.failure is None
    assert ast.literal_eval(outcome.literal or "") == scope["f"](ast.literal_eval(call))
    assert said is None or outcome.literal == said


BANNED = {
    "open": ["return open('/etc/passwd')"],
    "import": ["import os", "return os.getpid()"],
    "fork bomb": ["import os", "while True:", "    os.fork()"],
    "__import__": ["return __import__('os')"],
    "__builtins__": ["return __builtins__"],
    "global __builtins__": ["global __builtins__", "return x"],
    "eval": ["return eval('1')"],
    "exit": ["exit()"],
    "print": ["print('a' * 10**9)"],
    "id": ["return id(x)"],
    "hash": ["return hash('a')"],
    "getattr": ["return getattr(x, 'real')"],
    "subclasses": ["return ().__class__.__bases__[0].__subclasses__()"],
    "wide letters": ["return x.__ｃlass__"],
    "format": ["return '{0.__class__}'.format(x)"],
    "format_map": ["return '{x.__class__}'.format_map({'x': x})"],
    "str.format": ["return list(map(str.format, ['{0.__class__}'], [x]))"],
    "f-string": ["return f'{x.__class__}'"],
    "pattern": ["match x:", "    case int(__class__=c):", "        return str(c)"],
    "generator": ["return [g.gi_frame.f_back for g in [(i for i in [x])]]"],
    "traceback": ["try:", "    1 / 0", "except Exception as e:", "    return e.with_traceback"],
    "except as": ["try:", "    1 / 0", "except Exception as __loader__:", "    return 1"],
    "argument": ["return (lambda __class__: 1)(x)"],
    "keyword": ["return dict(__class__=1)"],
    "class": ["class A:", "    pass", "return A.x"],
}


@pytest.mark.parametrize("name", BANNED)
def test_names_that_reach_out_are_refused_unrun(name: str) -> None:
    outcome = run(*BANNED[name])
    assert outcome.failure == "refused"
    assert outcome.detail.startswith("banned names: ")


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["while True:", "    pass"], "time"),
        (["while True:", "    try:", "        while True: pass", "    except:", "        pass"], "time"),
        (["def g():", "    try:", "        yield 1", "    finally:", "        while True: pass", "next(g())"], "time"),
        (["return 10 ** 10 ** 9"], "time"),
        (["return sum(range(10 ** 12))"], "time"),
        (["return 'a' * (1 << 30)"], "memory"),
        (["y = []", "while True:", "    y.append(bytes(10 ** 8))"], "memory"),
        (["y = []", "while True:", "    try:", "        y.append([0] * 1000)", "    except:", "        pass"], "time"),
        (["return 'a' * 10 ** 6"], "too long"),
        (["return 10 ** 10000"], "too long"),
        (["y = []", "y.append(y)", "return y"], "too long"),
        (["y = []", "for _ in range(60):", "    y = [y, y]", "return y"], "too long"),
        (["y = []", "for _ in range(30):", "    y = [y, y]", "return y"], "too long"),
        (["return float('inf')"], "no literal"),
        (["return f"], "no literal"),
        (["return frozenset([1])"], "no literal"),
        (["return (lambda: (yield))()"], "no literal"),
        (["return int"], "no literal"),
        (["return f(x)"], "error"),
        (["return type('A', (), {})"], "error"),
        (["return type(type)"], "error"),
        (["return type(x for x in [])"], "error"),
        (["class A:", "    pass", "return 1"], "error"),
        (["return 'é'.encode('shift_jis')"], "error"),
    ],
)
def test_what_runs_wild_is_ended_within_its_limits(lines: list[str], failure: str) -> None:
    started = time.monotonic()
    assert run(*lines).failure == failure
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1",
        "\0",
        "def f(x):\n  return (",
        f(f"return {'[' * 150}1{']' * 150}"),
        f(f"return {'-' * 9000}1"),
        f(f"return {'[' * 9000}"),
        f("return " + "+".join("1" * 500)),
        f("return " + "f'{" * 60),
        f("return 1 " + "#" * 20_000),
        "def f(x):\n" + "".join(" " * n + "if x:\n" for n in range(1, 99)) + " " * 99 + "pass",
        "def f(x):\n    return 1\ndef f(x):\n    return 2",
        "def f(x):\n    return 1\nf = 2",
        f("global f", "f = 2", "return 1"),
        "async def f(x):\n    return 1",
        "\ud800",
    ],
)
def test_source_that_is_not_one_small_function_is_refused(code: str) -> None:
    assert run_program(code, "1", limit_s=LIMIT_S).failure in ("refused", "memory")


@pytest.mark.parametrize(
    "call",
    ["x", "*[1]", "**{'x': 1}", "1) or (2", "1+1", "f()", "[" * 9000, "[" * 99 + "]" * 99, "'" * 30_000, "9" * 5000],
)
def test_arguments_must_be_literals(call: str) -> None:
    assert run("return x", call=call).failure in ("arguments", "too long")


def test_a_definition_can_fail_or_never_end() -> None:
    assert run_program("y = 1 / 0\ndef f():\n    return 1", "") == Outcome(None, "definition", "ZeroDivisionError")
    assert run_program("while True: pass\ndef f():\n    return 1", "", limit_s=LIMIT_S).failure == "time"


def test_a_call_that_ends_the_child_ends_no_other() -> None:
    code = f("while x == 2:", "    pass", "return 'a' * x")
    said = [
        outcome.literal or outcome.failure for outcome in run_calls(code, "1 2 3 10**10 4".split(), limit_s=LIMIT_S)
    ]
    assert said == ["'a'", "time", "'aaa'", "arguments", "'aaaa'"]


def test_every_call_has_the_whole_limit() -> None:
    started = time.process_time()
    sum(range(3_000_000))
    counted = round(3_000_000 * 0.15 / (time.process_time() - started))
    outcomes = run_calls(f("return sum(range(x)) > 0"), [str(counted)] * 8, limit_s=LIMIT_S)
    assert {outcome.literal for outcome in outcomes} == {"True"}


def test_calls_share_nothing() -> None:
    code = "seen = []\ndef f(x, y=[]):\n    seen.append(x)\n    y.append(x)\n    return len(seen), len(y)"
    assert [outcome.literal for outcome in run_calls(code, ["1", "2"])] == ["(1, 1)", "(1, 1)"]


def test_who_stops_asking_stops_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    outcomes = run_calls(f("while x == 2:", "    pass", "return x"), ["1", "2", "3"])
    assert next(outcomes).literal == "1"
    outcomes.close()  # type: ignore[attr-defined]
    assert started[0].returncode is not None
    assert started[0].stdout is not None
    assert started[0].stdout.closed


def test_equal_seeds_give_sets_equal_orders() -> None:
    lines = ["return [*{'a', 'b', 'c', 'd', 'e', 'f', 'g'}]"]
    assert run(*lines) == run(*lines)
    assert len({run(*lines, hash_seed=seed).literal for seed in range(4)}) > 1


# What a program could do that got out of its namespace: its names are not looked at, but it is shut in.
ESCAPED = """
def f(what):
    catch = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'WarningMessage'][0]
    os = catch.__init__.__globals__['sys'].modules['os']
    try:
        if what == 'environment':
            return sorted(os.environ)
        if what == 'user':
            return os.geteuid()
        if what == 'pipe':
            return os.pipe()
        if what == 'open':
            return os.open('/dev/null', 0)
        return os.fork()
    except Exception as e:
        return repr(e)[:20]
"""


def test_a_program_that_got_out_finds_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(
        limited_program,
        "_CHILD",
        "import sys; sys.path.append(sys.argv[1]); from selfrl import limited_child as child;"
        "child.refusal = lambda code: None; child.main(compile, exec)",
    )
    said = {what: run_program(ESCAPED, repr(what)) for what in ("environment", "user", "pipe", "open", "fork")}
    assert "HF_TOKEN" not in (said["environment"].literal or "HF_TOKEN")
    assert said["pipe"].literal == said["open"].literal == '"OSError(24, \'Too man"'
    assert said["fork"].literal == "'BlockingIOError(11, '"
    assert said["user"].literal == str(os.geteuid() or 65534)


def test_a_child_that_fails_for_reasons_of_ours_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(limited_program.sys, "executable", str(tmp_path / "none"))
        assert run("return x") == Outcome(None, "not decided", "no child")
    for child, detail in {
        "import sys; sys.exit(3)": "the child ended with 3",
        "import os; os.kill(os.getpid(), 9)": "the child ended with -9",
        "import time; time.sleep(60)": "no word from the child",
        "import os; os.write(1, b'a' * (1 << 21))": "too many words from the child",
        "import os, time; os.close(1); time.sleep(60)": "no word from the child",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(limited_program, "_CHILD", child)
            patch.setattr(limited_program, "START_LIMIT_S", 1.0)
            patch.setattr(limited_program, "CLOCK_FACTOR", 0)
            started = time.monotonic()
            assert [*run_calls(f("return x"), ["1", "2"])] == [Outcome(None, "not decided", detail)] * 2
            assert time.monotonic() - started < 10
    with monkeypatch.context() as patch:
        patch.setattr(limited_program, "_CHILD", "import os; os.abort()")
        assert run("return x") == Outcome(None, "error", "SIGABRT")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.floats(allow_nan=False),
    lambda x: (
        st.lists(x, max_size=3)
        | st.lists(x, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(max_size=3), x, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
)


@given(VALUES)
@settings(deadline=None)
def test_literals_are_read_back(value: Any) -> None:
    try:
        text = literal(value)
    except TypeError:
        assert "inf" in repr(value)
    else:
        assert ast.literal_eval(text) == value
        assert read_arguments(f"{text}, a={text}") == ([value], {"a": value})


def test_a_literal_has_one_text_whatever_its_order() -> None:
    assert literal({1: {"a", "b"}, 2: 3}) == literal({2: 3, 1: {"b", "a"}}) == "{1: {'a', 'b'}, 2: 3}"
    assert literal(dict.fromkeys("ab")) == literal(dict.fromkeys("ba"))
    assert len({literal(value) for value in (1, 1.0, True, "1", b"1", [1], (1,), {1})}) == 8


def test_a_literal_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(MAX_NESTING - 1):
        deep = [deep]
    assert literal([deep]) == repr([deep])
    for value in ([[deep]], "a" * MAX_LITERAL, ["aaaa"] * (MAX_LITERAL // 5), 1 << 10**7):
        with pytest.raises(TooLongError):
            literal(value)


@given(st.text(max_size=60))
@settings(max_examples=25, deadline=None)
def test_any_text_has_an_outcome(text: str) -> None:
    for code in (text, f(f"return {text}")):
        outcome = run_program(code, text, limit_s=LIMIT_S)
        assert (outcome.literal is None) == (outcome.failure is not None)
        assert outcome.failure != "not decided"
