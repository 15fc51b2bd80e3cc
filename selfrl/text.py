"""Small questions about texts."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

MAX_WORDS = 200


def last_between(reply: str, start: str, end: str) -> str | None:
    """What stands between the last pair of markers, or None if they are not there or hold nothing.

    >>> last_between("[no] or rather [ yes ]", "[", "]")
    'yes'
    >>> last_between("[cut off", "[", "]") is None
    True
    """
    stop = reply.rfind(end)
    begin = reply.rfind(start, 0, max(stop, 0))
    text = reply[begin + len(start) : stop].strip() if begin >= 0 and stop > begin else ""
    return text or None


def rouge_l(said: str, true: str) -> float:
    """ROUGE-L: F1 of the longest common subsequence of words, case aside; 0 if either has no word.

    Words beyond the first 200 are left out.

    >>> round(rouge_l("buy the red shoes", "Buy red shoes"), 3)
    0.857
    """
    mine, theirs = (re.findall(r"\w+", text.lower())[:MAX_WORDS] for text in (said, true))
    if not mine or not theirs:
        return 0.0
    row = [0] * (len(theirs) + 1)
    for word in mine:
        above_left = 0
        for j, other in enumerate(theirs, start=1):
            above_left, row[j] = row[j], above_left + 1 if word == other else max(row[j], row[j - 1])
    return 2 * row[-1] / (len(mine) + len(theirs))


class Piece(NamedTuple):
    """A part of a text diff."""

    kind: Literal["same", "gone", "new"]
    text: str


def word_diff(before: str, after: str) -> list[Piece]:
    """The words that went and those that came.

    >>> [tuple(piece) for piece in word_diff("Answer well.", "Answer briefly.")]
    [('same', 'Answer '), ('gone', 'well.'), ('new', 'briefly.')]
    """
    old, new = (re.findall(r"\s+|\S+", text) for text in (before, after))
    pieces = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(old[a:b])))
            continue
        pieces += [Piece("gone", "".join(old[a:b]))] if b > a else []
        pieces += [Piece("new", "".join(new[c:d]))] if d > c else []
    return pieces
