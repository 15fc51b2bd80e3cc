"""Find the answer in a completion, in time linear in its length."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from selfrl.answers.boxes import find_boxes, last_boxes
from selfrl.answers.characters import SPECIAL_END
from selfrl.answers.limits import MAX_ANSWER
from selfrl.answers.statement import stated

_THOUGHT = re.compile(r"[<\[](/?)(?:think|thinking|thought|reasoning)[>\]]", re.IGNORECASE)
_SPECIALS_AT = 1000  # characters at the end that are searched for them
_OPEN_TAG, _CLOSE_TAG = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"[-+$]{0,2}\d[\d,./]*\s?%?\$?")
_NUMBER = re.compile(
    r"(?:(?<![\w.,)\]}])-)?(?:\d{1,15} \d{1,15}/\d{1,15}(?![\d/])|(?:\d[\d,]*(?:\.\d+)?|(?<!\d)\.\d+)(?:/\d+)?)"
)

Convention = Literal["boxed", "answer_tag", "hashes", "answer_is", "last_number"]


class Found(NamedTuple):
    """An answer in a text: where it stands, and what it says there.

    Args:
        start: of its first character.
        end: behind its last.
        text: what stands there, without blanks around it; several boxes are a list of their contents.
    """

    start: int
    end: int
    text: str


def extract(text: str, *, last_number: bool = False) -> str | None:
    r"""The answer that a completion states, or None.

    What follows the thought (`<think>…</think>`) decides; a thought that is not over, or a last box that is not
    closed, states none. The first convention that is present wins, in this order: the last balanced `\boxed{}` or
    `\fbox{}` (or `\boxed 5`), with the boxes that "and", "or" or a comma joins to it; the last `<answer>…</answer>`,
    and in it the same conventions; the line after the last `####`; what follows the last "answer is", "answer:" or a
    heading "Answer" (the formulas between dollar signs or `\(…\)` there, or else the sentence without its clauses and
    remarks). A `####` line that is not the text's last counts only if it is a number: Markdown has headings like it.
    The last number of the text counts only if asked for: taken by default, it makes completions agree that state no
    answer.

    An empty answer, or one of more than 1000 characters, is None.

    Example:
        >>> extract(r"First \boxed{1}, no: \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
        >>> extract("So 3 apples, 4 pears. The answer is 7, because 3 + 4 = 7.")
        '7'
        >>> extract("<think>The answer is 3.</think> I do not know.") is None
        True
        >>> extract("There are 7 in all.") is None, extract("There are 7 in all.", last_number=True)
        (True, '7')
    """
    answer = find_answer(text, last_number=last_number)
    return answer if answer and len(answer) <= MAX_ANSWER else None


def find_answer(text: str, *, last_number: bool = False) -> str | None:
    """[`extract`] without its bounds: what stands where an answer belongs, however long, or empty."""
    found = _found(text, last_number)
    return None if found is None else found.text


def answer_span(text: str, *, last_number: bool = False) -> tuple[int, int] | None:
    r"""Where [`find_answer`] finds the answer, as (start, end) without the blanks around it.

    >>> answer_span(r"so \boxed{ 42 }")
    (11, 13)
    """
    found = _found(text, last_number)
    return None if found is None else (found.start, found.end)


def extract_by(text: str, convention: Convention) -> str | None:
    r"""The answer that `text` states in one convention of [`extract`], and in no other.

    Raises:
        KeyError: for an unknown convention.

    Example:
        >>> extract_by(r"The answer is \boxed{7}.", "boxed"), extract_by("The answer is 7.", "boxed")
        ('7', None)
    """
    find = _FINDERS[convention]
    after = answering_part(text)
    found = None if after is None else find(text[slice(*after)])
    return found.text if found and found.text and len(found.text) <= MAX_ANSWER else None


def boxed(text: str) -> str | None:
    r"""Content of the last balanced `\boxed{}`, `\fbox{}` or `\boxed 5` as it stands; None without one."""
    closed = find_boxes(text).closed
    return text[closed[-1].start : closed[-1].end] if closed else None


def after_thought(text: str) -> tuple[int, int] | None:
    r"""Where what follows a thought starts and ends, special tokens aside; None if the thought is not over.

    >>> text = "<think>3?</think> It is 4.<|im_end|>"
    >>> text[slice(*after_thought(text))]
    ' It is 4.'
    >>> after_thought("<think>3?") is None
    True
    """
    start = 0
    if last := _last_match(_THOUGHT, text):
        if not last[1]:
            return None
        start = last.end()
    tail = max(start, len(text) - _SPECIALS_AT)
    special = SPECIAL_END.search(text, tail)
    return start, special.start() if special else len(text)


def answering_part(text: str) -> tuple[int, int] | None:
    r"""Where the text that can state an answer starts and ends; None if its thought, or its last box, is not over.

    >>> answering_part("It is 4."), answering_part("<think>3?"), answering_part(r"\boxed{\frac{1")
    ((0, 8), None, None)
    """
    after = after_thought(text)
    return None if after is None or find_boxes(text[slice(*after)]).unfinished else after


def _found(text: str, last_number: bool) -> Found | None:
    after = answering_part(text)
    if after is None:
        return None
    part = text[slice(*after)]
    for convention, find in _FINDERS.items():
        found = find(part) if convention != "last_number" or last_number else None
        if found is not None:
            return Found(found.start + after[0], found.end + after[0], found.text)
    return None


def _boxed(text: str) -> Found | None:
    boxes = last_boxes(text)
    contents = dict.fromkeys(text[box.start : box.end].strip() for box in boxes)
    if len(contents) < 2:
        return _stripped(text, boxes[-1].start, boxes[-1].end) if boxes else None
    return Found(boxes[0].start, boxes[-1].end, ", ".join(contents))


def _answer_tag(text: str) -> Found | None:
    opened, closed = _last_match(_OPEN_TAG, text), _last_match(_CLOSE_TAG, text)
    if opened is None or closed is None or closed.start() < opened.end():
        return None
    inside = text[opened.end() : closed.start()]
    found = _boxed(inside) or _hashes(inside) or _answer_is(inside)
    if found is not None:
        return Found(found.start + opened.end(), found.end + opened.end(), found.text)
    return _stripped(text, opened.end(), closed.start())


def _hashes(text: str) -> Found | None:
    at = text.rfind("####")
    if at < 0:
        return None
    line, _, after = text[at + 4 :].partition("\n")
    if after.strip() and not _BARE_NUMBER.fullmatch(line.strip(" \t\r*$")):
        return None
    return _stripped(text, at + 4, at + 4 + len(line))


def _answer_is(text: str) -> Found | None:
    span = stated(text)
    return None if span is None else _stripped(text, *span)


def _number(text: str) -> Found | None:
    last = _last_match(_NUMBER, text)
    return last and Found(*last.span(), last.group())


def _stripped(text: str, start: int, end: int) -> Found:
    answer = text[start:end]
    start += len(answer) - len(answer.lstrip())
    answer = answer.strip()
    return Found(start, start + len(answer), answer)


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = deque(pattern.finditer(text), maxlen=1)
    return last[0] if last else None


_FINDERS: dict[Convention, Callable[[str], Found | None]] = {
    "boxed": _boxed,
    "answer_tag": _answer_tag,
    "hashes": _hashes,
    "answer_is": _answer_is,
    "last_number": _number,
}
CONVENTIONS: tuple[Convention, ...] = tuple(_FINDERS)
