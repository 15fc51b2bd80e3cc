"""Whether answers are right, one grader a kind of answer; an answer that cannot be decided is None, never wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from selfrl.answers import canonical_key, merge_keys
from selfrl.answers.symbolic import keys_equivalent
from selfrl.eval.literals import check_code, read_arguments, read_literal, returns
from selfrl.eval.options import bare, options_of
from selfrl.rewards.pretext import task_of

MERGE_BUDGET_S = 5.0
_BRACKETED = re.compile(r"\(([A-Za-z])\)")


class Grade(NamedTuple):
    """One answer's verdict.

    Args:
        key: what votes: equal answers of a question share one. None without an answer, or without a usable one.
        correct: None if that could not be decided safely; False without an answer.
    """

    key: str | None
    correct: bool | None


Grader = Callable[[Sequence[str | None], str, Mapping[str, Any]], list[Grade]]


def grade_math(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    r"""Mathematical equality, over canonical keys and, where spelling does not decide, math-verify in a child.

    >>> [grade.correct for grade in grade_math(["0.5", r"\frac{2}{4}", "2", None, "9^{9^9}"], "1/2", {})]
    [True, True, False, False, None]
    """
    gold_key = canonical_key(gold)
    keys = [None if answer is None else canonical_key(answer) for answer in answers]
    verdicts = {key: keys_equivalent(key, gold_key) for key in dict.fromkeys(keys) if key is not None}
    merged = merge_keys(keys, budget_s=MERGE_BUDGET_S) if len(verdicts) > 1 else keys
    return [
        Grade(None, False if answer is None else None) if key is None else Grade(shared, verdicts[key])
        for answer, key, shared in zip(answers, keys, merged, strict=True)
    ]


def grade_choice(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    """The letter of the right option, which its text may follow.

    >>> [grade.correct for grade in grade_choice(["(B)", "B.", "b", None], "B", {})]
    [True, True, True, False]
    """
    return _same(answers, _letter_of, gold)


def grade_text(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    r"""The same text, but for case, quotes, outer blanks and a final dot; a letter in brackets is a choice.

    >>> [grade.correct for grade in grade_text([r"\text{True}", " true. ", "not true"], "True", {})]
    [True, True, False]
    """
    if lettered := _BRACKETED.fullmatch(gold):
        return grade_choice(answers, lettered[1].upper(), row)
    return _same(answers, plain_text, plain_text(gold))


def grade_words(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    """The same words in the same order, however they are separated.

    >>> [grade.correct for grade in grade_words(["apple, pear", "pear apple"], "apple pear", {})]
    [True, False]
    """
    return _same(answers, _words, _words(gold))


def grade_literal(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    """The same Python value; an answer that is no literal is wrong.

    >>> [grade.correct for grade in grade_literal(["[1,2]", "f(3) == [1, 2]", "[2, 1]", "x"], "[1, 2]", {})]
    [True, True, False, False]
    """
    expected = read_literal(gold)
    grades = []
    for answer in answers:
        try:
            value = read_literal(answer or "")
        except ValueError:
            grades.append(Grade(None, False))
        else:
            grades.append(Grade(repr(value), bool(value == expected)))
    return grades


def grade_call(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    """Literal arguments for which the benchmark's own function returns `row["output"]`; see `returns`.

    >>> row = {"code": "def f(x):\\n    return x % 2", "output": "1"}
    >>> [grade.correct for grade in grade_call(["f(3) == 1", "5", "4", "print(1)"], "1", row)]
    [True, True, False, False]
    """
    verdicts: dict[str, bool | None] = {}
    grades = []
    for answer in answers:
        try:
            arguments = read_arguments(answer or "")
        except ValueError:
            grades.append(Grade(None, False))
            continue
        key = repr(arguments)
        if key not in verdicts:
            verdicts[key] = returns(row["code"], arguments, row["output"])
        grades.append(Grade(key, verdicts[key]))
    return grades


def grade_pretext(answers: Sequence[str | None], gold: str, row: Mapping[str, Any]) -> list[Grade]:
    """The answer of the row's pretext task, read as its reward reads it; what is no possible answer is wrong.

    >>> [grade.correct for grade in grade_pretext(["90°", "45", None], "90", {"task": "rotation"})]
    [True, False, False]
    """
    if not isinstance(row.get("task"), str):
        raise ValueError("A pretext question needs the column `task`: build the data with `selfrl pretext build`.")
    task = task_of(row["task"])
    keys = [None if answer is None else task.read(answer) for answer in answers]
    return [Grade(key, key == gold) for key in keys]


GRADERS: dict[str, Grader] = {
    "math": grade_math,
    "choice": grade_choice,
    "text": grade_text,
    "words": grade_words,
    "literal": grade_literal,
    "call": grade_call,
    "pretext": grade_pretext,
}


def gradable(grading: str, gold: str, row: Mapping[str, Any]) -> bool:
    """Whether the gold answer itself can be read, so that any answer can be graded against it.

    >>> gradable("math", "1/2", {}), gradable("math", "9^{9^9}", {})
    (True, False)
    """
    try:
        if grading == "call":
            check_code(row["code"])
            read_literal(row["output"])
            return True
        return GRADERS[grading]([gold], gold, row)[0].correct is True
    except (ValueError, SyntaxError):
        return False


def _same(answers: Sequence[str | None], key_of: Callable[[str], str], gold_key: str) -> list[Grade]:
    """Grades by the equality of keys; an empty key is no answer."""
    keys = [None if answer is None else key_of(answer) for answer in answers]
    return [Grade(key or None, bool(key) and key == gold_key) for key in keys]


def plain_text(text: str) -> str:
    r"""Case-folded text without LaTeX's text commands, quotes, outer blanks and a final dot.

    >>> plain_text(r'"\text{Yes}".')
    'yes'
    """
    return " ".join(bare(text).casefold().split())


def _letter_of(answer: str) -> str:
    """The option that an answer names; the whole answer where it names none, or several."""
    options = options_of(answer)
    return options[0] if len(options) == 1 and len(set(_BRACKETED.findall(answer))) < 2 else plain_text(answer).upper()


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:['-][^\W_]+)*", plain_text(text)))
