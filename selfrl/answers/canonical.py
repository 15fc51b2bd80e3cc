"""The canonical key of an answer: equal answers share one, by spelling and exact arithmetic alone."""

from __future__ import annotations

import re
from functools import lru_cache

from selfrl.answers.extract import MAX_ANSWER
from selfrl.answers.normalize import plain_characters, spelling, squeeze
from selfrl.answers.numbers import MAX_DIGITS, exact_number, join_thousands

MAX_NESTING = 12

_CHOICE = re.compile(r"\(([A-J])\)|([A-J])[.):]")
# A hyphen joins words of two letters or more; beside a single letter it is a minus.
_WORDS = re.compile(r"(?i:no)|(?=.*[a-zA-Z]{3})[a-zA-Z]+(?:(?:[ ']|(?<=[a-zA-Z]{2})-(?=[a-zA-Z]{2}))[a-zA-Z]+)*")
_OPEN, _CLOSE = "([{", ")]}"
_DIGIT_RUN = re.compile(rf"\d{{{MAX_DIGITS},}}")
_BARE_TOWER = re.compile(r"\^-?\d+\^")
_BIG_EXPONENT = re.compile(r"\^\{?\(?[+-]?(?:\d{4,}|[4-9]\d\d)")
_BIG_FACTORIAL = re.compile(r"(?:\d{3,}|[)}\]!])\s*!")


@lru_cache(maxsize=65536)
def canonical_key(answer: str) -> str | None:
    r"""Key of an answer text; None if there is none, or if it is unsafe to handle.

    Numbers become exact fractions: `1/2`, `\frac12`, `0.5`, `50/100` share the key "1/2"; a percent sign is dropped,
    as graders in this field do, so `50\%` is "50". Sets and comma lists are ordered and de-duplicated, tuples and
    intervals keep their order and brackets. Choice letters lose brackets and dots. Words are case-folded, single
    letters are not (x and X differ). Units after a number and a leading "x =" go. What remains is squeezed LaTeX.

    Abstains (None) on empty text, over 1000 characters, control or right-to-left characters, more than 100 digits in
    a row, nesting over 12, towers of powers of numbers, exponents from 400 on, factorials of three digits
    or of brackets.

    Example:
        >>> [canonical_key(a) for a in (r"\frac12", "0.50", "$1/2$", r"\dfrac{2}{4}")]
        ['1/2', '1/2', '1/2', '1/2']
        >>> canonical_key(r"\{3, 1, 1\}"), canonical_key("(3, 1]"), canonical_key("(B)"), canonical_key("9^{9^9}")
        ('\\{1,3\\}', '(3,1]', 'B', None)
    """
    if len(answer) > MAX_ANSWER:
        return None
    text = plain_characters(answer)
    if text is None or is_unsafe(text):
        return None
    return _key(spelling(text), MAX_NESTING) or None


def is_number_key(key: str) -> bool:
    """Whether a canonical key is an exact number.

    >>> is_number_key("-7/2"), is_number_key("x")
    (True, False)
    """
    return re.fullmatch(r"-?\d+(?:/\d+)?", key) is not None


def is_word_key(key: str) -> bool:
    """Whether a canonical key is plain words or a single letter, with no mathematics to compare.

    >>> is_word_key("monday"), is_word_key("B"), is_word_key("x+1")
    (True, True, False)
    """
    return (len(key) == 1 and key.isalpha()) or (key.islower() and _WORDS.fullmatch(key) is not None)


def brackets(key: str) -> str | None:
    """The outer brackets of a tuple or interval key, whose kind matters: (1,2] is not [1,2); None for other keys.

    >>> brackets("(1,2]"), brackets("(x+1)(x-1)")
    ('(]', None)
    """
    if key[0] in "([" and key[-1] in ")]" and len(_split(key[1:-1]) or ()) > 1:
        return key[0] + key[-1]
    return None


def is_unsafe(text: str) -> bool:
    r"""Whether evaluating `text` could explode: decided by its form, with nothing evaluated.

    >>> is_unsafe("(10^9)!"), is_unsafe("9^{9^{9}}"), is_unsafe("5! + 2^{10}")
    (True, True, False)
    """
    squeezed = re.sub(r"\s", "", text).replace("**", "^")
    depth = 0
    exponents: list[int] = []  # depths at which an exponent's bracket was opened
    for before, c in zip(" " + squeezed, squeezed, strict=False):
        if c in _OPEN:
            depth += 1
            if before == "^":
                exponents.append(depth)
        elif c in _CLOSE:
            if exponents and exponents[-1] == depth:
                exponents.pop()
            depth -= 1
        elif c == "^" and exponents and not before.isalpha():
            return True
        if depth > MAX_NESTING:
            return True
    return any(pattern.search(squeezed) for pattern in (_DIGIT_RUN, _BARE_TOWER, _BIG_EXPONENT, _BIG_FACTORIAL))


def _key(text: str, levels: int) -> str:
    if match := _CHOICE.fullmatch(text):
        return match[1] or match[2]
    squeezed = squeeze(text).rstrip("%")
    number = exact_number(text.rstrip("% "))  # a mixed number, "1 1/2", needs its space
    if number is None:
        number = exact_number(join_thousands(squeezed))
    if number is not None:
        return str(number)
    if _WORDS.fullmatch(text):
        return _list_key(text, levels) or text.casefold()
    return _union_key(squeezed, levels) or _bracket_key(squeezed, levels) or _list_key(text, levels) or squeezed


def _union_key(text: str, levels: int) -> str | None:
    parts = text.split(r"\cup")
    if len(parts) == 1 or levels == 0:
        return None
    return r"\cup".join(sorted(_key(part.strip(), levels - 1) for part in parts))


def _bracket_key(text: str, levels: int) -> str | None:
    if levels == 0 or len(text) < 3:
        return None
    if text.startswith(r"\{") and text.endswith(r"\}"):
        parts = _split(text[2:-2])
        return None if parts is None else _set_key(parts, levels)
    if text[0] in "([" and text[-1] in ")]" and (parts := _split(text[1:-1])) is not None:
        if len(parts) == 1:
            whole = text[0] == "(" and text[-1] == ")"
            return _key(parts[0], levels - 1) if whole else None
        return text[0] + ",".join(_key(part, levels - 1) for part in parts) + text[-1]
    return None


def _list_key(text: str, levels: int) -> str | None:
    """A top-level list without brackets, "1, 2" or "1 and 2", is a set."""
    if levels == 0:
        return None
    parts = _split(re.sub(r",?\s+(?:and|or)\s+", ",", text))
    if parts is None or len(parts) == 1 or not all(part.strip() for part in parts):
        return None
    if _WORDS.fullmatch(text) and any(len(part.split()) > 1 for part in parts):
        return None  # a sentence, not a list
    return _set_key(parts, levels)


def _set_key(parts: list[str], levels: int) -> str:
    return r"\{" + ",".join(sorted({_key(part.strip(), levels - 1) for part in parts})) + r"\}"


def _split(text: str) -> list[str] | None:
    """Parts between top-level commas; None if the brackets of `text` do not match up on their own."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in _OPEN:
            depth += 1
        elif c in _CLOSE:
            depth -= 1
            if depth < 0:
                return None
        elif c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]] if depth == 0 else None
