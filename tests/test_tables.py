"""Tables on a terminal of 80 columns: no word of a head and no number is broken, and nothing is cut off."""

import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.table import Table

from selfrl.doctor import doctor
from selfrl.eval.pairing import TaskComparison
from selfrl.eval.pairing_report import comparison_row, print_comparison
from selfrl.eval.report import HEAD, harness_row, print_report
from selfrl.prompting.command import ROUNDS_HEAD, rounds_table, usage_table
from selfrl.prompting.run_record import Round, Run, Usage
from selfrl.tables import wrapping_table

LONG = "reasoning_gym:gsm_symbolic_with_fresh_numbers"


def printed(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    return out.getvalue()


def assert_readable(text: str, head: Sequence[str], cells: Sequence[str] = ()) -> None:
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    missing = [w for cell in (*head, *cells) for w in cell.split() if len(w) <= 16 and w not in words]
    assert not missing


def test_numbers_keep_their_place_and_long_words_break_last() -> None:
    row = [LONG, "12345 x 64", "64.5", "59.2–71.0", "76.8", "65.0", "50.0", "100.0", "50.0", "12345"]
    text = printed(
        wrapping_table(
            HEAD,
            [row, harness_row({"task": LONG, "metric": "acc", "value": 0.5, "stderr": 0.05, "questions": 100})],
            "Accuracy",
        )
    )
    assert_readable(text, HEAD, row[1:])
    letters = re.sub(r"[^a-z_:]", "", "".join(line[:18].rstrip() for line in text.splitlines()[5:]))
    assert LONG in letters


def test_a_number_is_not_broken_where_hardly_any_room_is_left_for_texts() -> None:
    head = [*HEAD, "more"]
    row = [LONG, "12345 x 64", "64.5", "59.2–71.0", "76.8", "65.0", "50.0", "100.0", "50.0", "12345", "1234567"]
    assert_readable(printed(wrapping_table(head, [row])), head, row[1:])


def test_what_looks_like_markup_stands_as_it_is() -> None:
    assert "[eval]" in printed(wrapping_table(["a"], [["x[eval]"]]))


def test_a_head_without_rows() -> None:
    assert_readable(printed(wrapping_table(["task", "questions"], [])), ["task", "questions"])


def test_the_reports_of_evaluations() -> None:
    scores = {"questions": 1319, "n": 16, "avg": 0.5, "low": 0.45, "high": 0.55, "flexible": 1.0, "maj": 0.6}
    scores |= {"pass_at": {16: 0.9}, "no_answer": 0.1, "truncated": 0.2, "tokens": 1234.5, "failed": 0, "undecided": 0}
    probe = {"questions": 200, "exact": 0.1, "low": 0.05, "high": 0.15, "rouge_l": 0.3}
    row = {"task": LONG, "signal": "self_certainty", "completions": 21104, "auroc": 0.7, "ece": None}
    results = {
        "tasks": {LONG: {"scores": scores, "ungradable": 0}},
        "contamination": {LONG: probe},
        "calibration": [row],
        "remarks": ["One thing to know."],
    }
    out = io.StringIO()
    print_report(results, Console(file=out, width=80))
    contamination = ["task", "questions", "completed exactly", "95 %", "mean ROUGE-L"]
    calibration = ["task", "signal", "completions", "AUROC", "ECE"]
    assert_readable(out.getvalue(), [*HEAD, *contamination, *calibration], ["1319 x 16", "self_certainty", "21104"])
    assert "One thing to know." in out.getvalue()


def test_the_comparison_of_evaluations() -> None:
    task = TaskComparison(LONG, 12032, 0.5, 0.56, 0.01, 0.11, 0.021, 1234, 1234, [])
    out = io.StringIO()
    print_comparison([task], ("before", "after"), Console(file=out, width=80))
    head = ["task", "questions", "before", "after", "change", "95 %", "p", "better", "worse"]
    assert_readable(out.getvalue(), head, comparison_row(task)[1:])


def test_the_rounds_of_prompt_optimisation() -> None:
    said = "Adds a request to think step by step, and to check the result before it is given in a box."
    usage = {"optimizer": Usage(prompt_tokens=1234567, completion_tokens=654321, cost=12.5)}
    run = Run(begun={}, samples=[], rounds=[Round(10, outcome="no prompt", modification=said, usage=usage)])
    assert_readable(printed(rounds_table(run)), ROUNDS_HEAD, ["10", "no prompt", "1888888", "12.5000", said])
    head = ["role", "calls", "failed", "prompt tokens", "completion tokens", "cost"]
    assert_readable(printed(usage_table(run)), head, ["optimizer", "1234567", "654321"])


def test_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = "is broken: a sentence as long as those that a library says of itself when its parts do not fit together"
    monkeypatch.setattr("selfrl.doctor.import_fault", lambda module: f"{module} {fault}")
    out = io.StringIO()
    assert doctor(Console(file=out, width=80, markup=False)) == 1
    tables = out.getvalue().partition("training: pip install")[0]
    assert_readable(tables, ["what", "version", "feature", "state"], fault.split())
