"""Completion text to key: the one place where a completion's answer is decided."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from selfrl.answers.canonical import canonical_key
from selfrl.answers.extract import boxed, find_answer

KeyMode = Literal["canonical", "raw"]


class ReadAnswer(NamedTuple):
    """A completion's answer as graders see it.

    Args:
        key: its canonical key; None if there is no usable answer.
        unreadable: an answer is stated, but too long, unsafe or malformed to get a key. It abstains, where a
            completion without an answer is simply wrong.
    """

    key: str | None
    unreadable: bool


def answer_key(text: str, *, mode: KeyMode = "canonical", last_number: bool = False) -> str | None:
    r"""The key that voting, grading and evaluation use for a completion; None if it states no usable answer.

    Args:
        text: the completion.
        mode: "raw" is parity with the Co-rewarding authors: the last `\boxed{}` as it stands, empty is none.
        last_number: fall back on the last number, see [`extract`].

    Raises:
        ValueError: for another word in `mode`.

    Example:
        >>> answer_key(r"thus \boxed{0.50}"), answer_key(r"thus \boxed{0.50}", mode="raw")
        ('1/2', '0.50')
    """
    return read_answer(text, mode=mode, last_number=last_number).key


def read_answer(text: str, *, mode: KeyMode = "canonical", last_number: bool = False) -> ReadAnswer:
    r"""[`answer_key`], telling an answer that cannot be read from one that is not there.

    >>> read_answer("I do not know"), read_answer(r"\boxed{9^{9^9}}")
    (ReadAnswer(key=None, unreadable=False), ReadAnswer(key=None, unreadable=True))
    """
    if mode not in get_args(KeyMode):
        raise ValueError(f"`mode` is {mode!r}: it must be one of {get_args(KeyMode)}.")
    if mode == "raw":
        content = boxed(text) or ""
        return ReadAnswer(content if content.strip() else None, False)
    answer = find_answer(text, last_number=last_number)
    if not answer:
        return ReadAnswer(None, False)
    key = canonical_key(answer)
    return ReadAnswer(key, key is None)
