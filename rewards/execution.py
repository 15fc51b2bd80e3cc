"""The reward of questions about programs: whether running them says that the answer is right."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Literal, get_args

from selfrl.answers.extract import answering_part, boxed
from selfrl.limited_program import Outcome, run_calls
from selfrl.rewards.contract import BaseReward, Batch, Scores, share_abstaining
from selfrl.rewards.program_item import COLUMN, Kind, ProgramItem, fenced

Scale = Literal["zero_one", "absolute_zero"]
Verdict = Literal["right", "wrong", "malformed"]
_SCALES: dict[Scale, dict[Verdict, float]] = {
    "zero_one": {"right": 1.0, "wrong": 0.0, "malformed": 0.0},
    "absolute_zero": {"right": 1.0, "wrong": -0.5, "malformed": -1.0},
}
_READ = "def f(*values):\n    return values[0] if len(values) == 1 else values"  # "1, 2" is a tuple


class ExecutionReward(BaseReward):
    r"""1 if running the row's program, or the answer, shows that the answer is right (Absolute Zero, 2505.03335).

    Deduction: the answer equals the output, as Python compares values. Abduction: `f(answer)` equals the output,
    whatever the input was. Induction: the answer's `f` gives every output that was held back. Answers stand in
    `\boxed{}`, for induction in the last ```python block. Programs run in a child with hard limits
    ([`selfrl.limited_program`]); what hits one is wrong. Malformed is an answer that is not there, is no literal, or is
    a program that may not run.

    Abstains (None): a row without an item, an item whose own program may not run, and what the child could not decide
    for reasons of ours; their share is logged as `abstained`, and beside it that of the `malformed`.

    Raises:
        ValueError: for another scale, without the column, or for what is no program item.

    Args:
        scale: "zero_one" gives 1, or 0 for the wrong and the malformed; "absolute_zero" gives these -0.5 and -1.

    Example:
        >>> item = ProgramItem("abduction", "def f(x):\n    return x % 5", ("7",), ("2",))
        >>> texts = [r"\boxed{12}", r"\boxed{13}", "12"]
        >>> ExecutionReward("absolute_zero")(["?"] * 3, texts, program_item=[item.to_columns()["program_item"]] * 3)
        [1.0, -0.5, -1.0]
    """

    columns = (COLUMN,)
    abstains = True

    def __init__(self, scale: Scale = "zero_one") -> None:
        if scale not in _SCALES:
            raise ValueError(f"ExecutionReward has no scale {scale!r}: choose {' or '.join(get_args(Scale))}.")
        self.scale = _SCALES[scale]

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        items = [None if text is None else ProgramItem.from_columns({COLUMN: text}) for text in batch.column(COLUMN)]
        found = verdicts(items, batch.texts)
        rewards = [None if verdict is None else self.scale[verdict] for verdict in found]
        malformed = found.count("malformed") / max(len(found), 1)
        return Scores(rewards, {"abstained": share_abstaining(rewards), "malformed": malformed})


def verdicts(items: Sequence[ProgramItem | None], texts: Sequence[str]) -> list[Verdict | None]:
    r"""What each completion is; equal answers to an item are judged once, and one child judges all of a program's.

    >>> item = ProgramItem("deduction", "def f(x):\n    return {x, 1}", ("2",), ("{1, 2}",))
    >>> verdicts([item] * 3, [r"\boxed{{2, 1}}", r"\boxed{{2}}", r"\boxed{x}"])
    ['right', 'wrong', 'malformed']
    """
    asked = [
        None if item is None else (item, answer_of(item.kind, text)) for item, text in zip(items, texts, strict=True)
    ]
    found: dict[tuple[ProgramItem, str], Verdict | None] = {}
    calls: dict[str, list[tuple[ProgramItem, str]]] = {}
    for item, answer in dict.fromkeys(pair for pair in asked if pair is not None):
        if answer is None:
            continue
        if item.kind == "induction":
            found[item, answer] = _of_program(item, answer)
        else:
            calls.setdefault(_READ if item.kind == "deduction" else item.program, []).append((item, answer))
    for program, pairs in calls.items():
        outcomes = run_calls(program, [answer for _, answer in pairs])
        found |= {pair: _of_call(outcome, pair[0]) for pair, outcome in zip(pairs, outcomes, strict=True)}
    return [None if pair is None else "malformed" if pair[1] is None else found[pair[0], pair[1]] for pair in asked]


def answer_of(kind: Kind, text: str) -> str | None:
    r"""The answer of a completion as it stands: its last box, or for induction its last ```python block.

    >>> answer_of("abduction", r"So \boxed{f('a', 2)}."), answer_of("induction", r"\boxed{1}")
    ("'a', 2", None)
    """
    if kind == "induction":
        return next((body for name, body in reversed(fenced(text)) if name == "python" and body), None)
    part = answering_part(text)
    answer = (boxed(text[slice(*part)]) or "").strip() if part else ""
    if kind == "abduction" and answer.startswith("f(") and answer.endswith(")"):
        answer = answer[2:-1]
    return answer or None


def _of_call(outcome: Outcome, item: ProgramItem) -> Verdict | None:
    if outcome.failure in ("refused", "definition", "not decided"):  # whatever the answer is
        return None
    if outcome.failure == "arguments":
        return "malformed"
    return "right" if _equal(outcome, item.outputs[0]) else "wrong"


def _of_program(item: ProgramItem, program: str) -> Verdict | None:
    inputs, outputs = zip(*item.held_back, strict=True)
    for outcome, output in zip(run_calls(program, inputs), outputs, strict=True):
        if outcome.failure == "refused":
            return "malformed"
        if outcome.failure in ("arguments", "not decided"):
            return None
        if not _equal(outcome, output):
            return "wrong"
    return "right"


def _equal(outcome: Outcome, output: str) -> bool:
    if outcome.literal is None:
        return False
    try:
        expected = ast.literal_eval(output)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"A program item has the output {output[:80]!r}: give it as a Python literal.") from error
    return bool(ast.literal_eval(outcome.literal) == expected)
