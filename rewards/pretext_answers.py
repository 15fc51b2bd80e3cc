"""Reading what a completion answers to a pretext task, strictly: hostile text earns nothing and costs no time."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE | re.ASCII)
_DEGREES = re.compile(r"([+-]?\d{1,4})\s{0,4}(?:°|degrees?|deg)?")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_LIMIT = 500  # characters of an answer


def tagged(text: str) -> str | None:
    """What stands between the last complete pair of answer tags, whatever their case; None without a pair.

    >>> tagged("<answer>90</answer>? No: <Answer> 180 </Answer>"), tagged("<answer>90</answer> or <answer>180")
    ('180', '90')
    >>> tagged("180"), tagged("</answer>90<answer>")
    (None, None)
    """
    tags = list(_TAG.finditer(text))
    for opened, closed in zip(reversed(tags[:-1]), reversed(tags[1:]), strict=True):
        if not opened[1] and closed[1]:
            inside = text[opened.end() : closed.start()].strip()
            return inside if len(inside) <= _LIMIT else ""
    return None


def read_degrees(said: str) -> int | None:
    """Whole degrees, from 0 to 359.

    >>> read_degrees("90°"), read_degrees("-90 degrees"), read_degrees("450"), read_degrees("90 or 180")
    (90, 270, 90, None)
    """
    match = _DEGREES.fullmatch(said.strip().casefold().rstrip("."))
    return int(match[1]) % 360 if match else None


def read_order(said: str, items: Mapping[str, str]) -> str | None:
    """Items in an order, each exactly once, joined by commas; None for anything else.

    Args:
        said: items between commas, semicolons or blanks, in brackets or not.
        items: spelling, casefolded → its name; all spellings that are understood.

    Example:
        >>> read_order("[2, 4, 1, 3]", {str(i): str(i) for i in range(1, 5)})
        '2,4,1,3'
        >>> read_order("1,1,1,1", {str(i): str(i) for i in range(1, 5)}) is None
        True
    """
    said = said.strip().casefold().rstrip(".")
    if said[:1] in _BRACKETS and said.endswith(_BRACKETS[said[:1]]):
        said = said[1:-1]
    names = [items.get(word) for word in re.sub("[,;]", " ", said).split()]
    if None in names or sorted(map(str, names)) != sorted(set(items.values())):
        return None
    return ",".join(map(str, names))


def read_word(said: str, words: Mapping[str, str]) -> str | None:
    """One of some words, whatever their case, hyphens and a final dot.

    >>> read_word("Top-Left.", {"top left": "top-left"})
    'top-left'
    """
    return words.get(" ".join(said.casefold().strip(" .\n\t").replace("-", " ").replace("_", " ").split()))


def numbers(count: int) -> dict[str, str]:
    """The numbers from 1, spelled as they are.

    >>> numbers(2)
    {'1': '1', '2': '2'}
    """
    return {str(i): str(i) for i in range(1, count + 1)}
