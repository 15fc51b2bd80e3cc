"""Boxed answers in LaTeX, in time linear in the text."""

from __future__ import annotations

import re
from typing import NamedTuple

_BRACES = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\boxed[ \t]{1,9}([^\s{}$\\]{1,50})")
_BLANK = r"(?:[\s$]|\\[()\[\],;]|\\q?quad)"
_JOINED = re.compile(
    rf"{_BLANK}{{0,9}}(?:,{_BLANK}{{0,3}}(?:and|or)\b|[,;]|\b(?:and|or)\b|\\text\s?\{{,?\s?(?:and|or)\s?\}}){_BLANK}{{0,9}}"
    rf"(?:[a-zA-Z](?:_\{{?\w\}}?)?\s?=\s?)?"
)


class Box(NamedTuple):
    """A box: where its command starts, its content starts and ends, and it is over."""

    opens: int
    start: int
    end: int
    closes: int


class Boxes(NamedTuple):
    """The boxes of a text.

    Args:
        closed: in the order of their starts.
        unfinished: whether the box that opens last is never closed.
    """

    closed: list[Box]
    unfinished: bool


def find_boxes(text: str) -> Boxes:
    r"""All balanced `\boxed{}` and `\fbox{}`, and `\boxed 5`.

    >>> boxes = find_boxes(r"\boxed{\frac12} or \boxed{3")
    >>> len(boxes.closed), boxes.unfinished
    (1, True)
    """
    if "box" not in text:
        return Boxes([], False)
    opened: list[
        tuple[int, int] | None
    ] = []  # where each open brace's box and its content start; None for other braces
    closed: list[Box] = []
    for match in _BRACES.finditer(text):
        token = match.group()
        if token == "}":
            box = opened.pop() if opened else None
            if box is not None:
                closed.append(Box(*box, match.start(), match.end()))
        elif token.endswith("{") and token != r"\{":
            opened.append((match.start(), match.end()) if len(token) > 1 else None)
    for match in _BARE_BOX.finditer(text):
        closed.append(Box(match.start(), match.start(1), match.start(1) + len(match[1].rstrip(".,")), match.end()))
    closed.sort()
    last = closed[-1].opens if closed else -1
    return Boxes(closed, any(box is not None and box[0] > last for box in opened))


def last_boxes(text: str) -> list[Box]:
    r"""The last box, with those before it that a comma, "and" or "or" joins to it; none if the last is unfinished.

    >>> text = r"No \boxed{1}. The roots are \boxed{3} and $x = \boxed{5}$."
    >>> [text[box.start : box.end] for box in last_boxes(text)]
    ['3', '5']
    """
    closed, unfinished = find_boxes(text)
    if unfinished or not closed:
        return []
    found = [closed[-1]]
    for box in reversed(closed[:-1]):
        if box.closes > found[0].opens or not _JOINED.fullmatch(text, box.closes, found[0].opens):
            break
        found.insert(0, box)
    return found
