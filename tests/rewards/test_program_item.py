"""Program items: their form, what is shown of them, and a proposer's text read by its contract alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards.program_item import COLUMN, ProgramItem, Proposed, fenced, prompt_of, read_proposal

PROGRAM = "def f(x, y=0):\n    return {x: y}"
PYTHON = f"```python\n{PROGRAM}\n```\n"
ONE = "```input\n1, y=2\n```\n"
MESSAGE = "```message\nIt pairs.\n```"
PAIRS: dict[str, Any] = {"inputs": ("1, 10", "2, 20", "3, 30"), "outputs": ("{1: 10}", "{2: 20}", "{3: 30}")}


def item(kind: Any, **fields: Any) -> ProgramItem:
    given = {"inputs": ("71, 72",), "outputs": ("{71: 72}",)} if kind != "induction" else PAIRS
    return ProgramItem(**{"kind": kind, "program": PROGRAM, **given, **fields})


@pytest.mark.parametrize(
    ("text", "proposed"),
    [
        (PYTHON + ONE, Proposed(PROGRAM, ("1, y=2",))),
        (f"<think>```python\n?\n```</think>So:\n{ONE}and\n{PYTHON}", Proposed(PROGRAM, ("1, y=2",))),
        (PYTHON + ONE + "```input\n3\n```\n" + MESSAGE, Proposed(PROGRAM, ("1, y=2", "3"), "It pairs.")),
        ((PYTHON + ONE).replace("\n```\n", "\n``` \n") + "<|im_end|>", Proposed(PROGRAM, ("1, y=2",))),
        (PYTHON, None),
        (ONE, None),
        ("", None),
        (PYTHON + PYTHON + ONE, None),
        (PYTHON + ONE + ONE, None),
        (PYTHON + ONE + MESSAGE, None),
        (PYTHON + ONE + ONE + MESSAGE + "\n" + MESSAGE, None),
        (PYTHON + ONE + "```output\n{1: 2}\n```", None),
        (PYTHON + "```input\n \n```", None),
        (PYTHON + ONE.rstrip("`\n"), None),
        (f"<think>{PYTHON}{ONE}", None),
        (PYTHON.replace("def f", "def g") + ONE, None),
        (PYTHON.replace("\n```\n", "\ndef g(x):\n    return x\n```\n") + ONE, None),
        (PYTHON.replace("\n```\n", "\nclass A:\n    x = 1\n```\n") + ONE, None),
        (PYTHON.replace("def f", "async def f") + ONE + PYTHON, None),
        (PYTHON.replace("python", "Python3") + ONE, None),
        (PYTHON + ONE + " " * 20_000, None),
    ],
)
def test_a_proposal_keeps_to_its_form_or_is_none(text: str, proposed: Proposed | None) -> None:
    assert read_proposal(text) == proposed


def test_helpers_inside_and_constants_beside_keep_the_form() -> None:
    program = "LIMIT = 3\n\ndef f(x):\n    def g(y):\n        return y\n    return g(x) + LIMIT"
    assert read_proposal(f"```python\n{program}\n```\n{ONE}") == Proposed(program, ("1, y=2",))


@pytest.mark.parametrize(
    "part", ["```python\n", "```", "```\n", "def f(\n", "<think>", "```input\n1\n```\n", "def " * 5]
)
def test_long_texts_are_read_in_no_time(part: str) -> None:
    started = time.monotonic()
    read_proposal(part * (19_000 // len(part)))
    read_proposal(part * (1_000_000 // len(part)))
    assert time.monotonic() - started < 1


@given(
    st.lists(
        st.sampled_from(["```", "python", "input", "message", "\n", " ", "def f():", "x", "</think>"]), max_size=30
    )
)
def test_any_text_is_read_or_refused(parts: list[str]) -> None:
    proposed = read_proposal("".join(parts))
    assert proposed is None or (proposed.program and all(proposed.inputs))


def test_blocks_are_found_where_they_stand() -> None:
    assert fenced("a\n```\nx\n\n```\n```input\n```") == [("", "x"), ("input", "")]
    assert fenced("```python\n  x\n  ```\n```") == [("python", "  x\n  ```")]
    assert fenced("```python\nx\n```\n```python\ny") == []


def test_a_prompt_shows_what_it_must_and_no_more() -> None:
    deduction, abduction = prompt_of(item("deduction")), prompt_of(item("abduction"))
    assert PROGRAM in deduction
    assert "f(71, 72)" in deduction
    assert "{71: 72}" not in deduction
    assert r"\boxed{}" in deduction
    assert PROGRAM in abduction
    assert "{71: 72}" in abduction
    assert "71, 72" not in abduction
    assert r"\boxed{}" in abduction
    induction = prompt_of(item("induction", message="It pairs."))
    assert "It pairs." in induction
    assert "f(1, 10) == {1: 10}" in induction
    assert "```python" in induction
    assert not any(hidden in induction for hidden in (PROGRAM, "20", "30"))


def test_the_pairs_are_shown_or_held_back() -> None:
    whole = item("induction")
    assert whole.shown + whole.held_back == tuple(zip(whole.inputs, whole.outputs, strict=True))
    assert len(whole.held_back) == 2
    two = item("induction", inputs=("1", "2"), outputs=("1", "2"))
    assert (two.shown, two.held_back) == ((("1", "1"),), (("2", "2"),))


@pytest.mark.parametrize("kind", ["deduction", "abduction", "induction"])
def test_an_item_goes_through_a_row_and_back(kind: Any) -> None:
    made = item(kind, message="é\n\ud800")
    row = made.to_columns()
    assert list(row) == [COLUMN]
    assert row[COLUMN].isascii()
    assert ProgramItem.from_columns({**row, "prompt": "?"}) == made


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "seduction"}, "has the kind 'seduction': choose deduction, abduction, induction"),
        ({"kind": "deduction", "inputs": ()}, "has 0 inputs and 1 outputs: give one of each"),
        ({"kind": "abduction", "outputs": ("1", "2")}, "has 1 inputs and 2 outputs: give one of each"),
        ({"kind": "deduction", "inputs": ("1", "2"), "outputs": ("1", "2")}, "give one of each"),
        (
            {"kind": "induction", "inputs": ("1",), "outputs": ("1",)},
            "has 1 inputs and 1 outputs: give two or more pairs",
        ),
        ({"kind": "induction", "outputs": ("1",)}, "has 3 inputs and 1 outputs: give two or more pairs"),
    ],
)
def test_an_item_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        item(**fields)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "[]",
        "{}",
        "null",
        '{"kind": "deduction", "program": "", "inputs": [1], "outputs": ["1"]}',
        '{"kind": "deduction", "program": 1, "inputs": ["1"], "outputs": ["1"]}',
        '{"kind": "deduction", "program": "", "inputs": ["1"], "outputs": ["1"], "more": "1"}',
    ],
)
def test_a_row_without_an_item_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="holds no program item: write it with"):
        ProgramItem.from_columns({COLUMN: text})
    with pytest.raises(ValueError, match="holds no program item"):
        ProgramItem.from_columns({})
