"""What a canonical key is, and which comparisons its spelling decides."""

from __future__ import annotations

import re

# A hyphen joins words of two letters or more; beside a single letter it is a minus.
WORDS = re.compile(r"(?i:no)|(?=.*[a-zA-Z]{3})[a-zA-Z]+(?:(?:[ ']|(?<=[a-zA-Z]{2})-(?=[a-zA-Z]{2}))[a-zA-Z]+)*")
_NUMBER = re.compile(r"-?\d+(?:/\d+)?")
# A time of day, or a ratio of whole numbers.
_CLOCK = re.compile(r"\d+(?::\d+)+(?: [ap]m)?|\d{1,2} [ap]m")
# What the parser would misread: it multiplies the letters of a word, and ignores a numeral's base.
_UNREADABLE = re.compile(r"(?:(?<![\\{a-zA-Z])|(?<=\\\{))[a-zA-Z]{4,}|\d_")
_OPEN, _CLOSE = "([{", ")]}"


def is_number_key(key: str) -> bool:
    """Whether a canonical key is an exact number.

    >>> is_number_key("-7/2"), is_number_key("x")
    (True, False)
    """
    return _NUMBER.fullmatch(key) is not None


def is_word_key(key: str) -> bool:
    """Whether a canonical key is plain words or a single letter but i and e, with no mathematics to compare.

    >>> is_word_key("monday"), is_word_key("B"), is_word_key("x+1")
    (True, True, False)
    """
    return (len(key) == 1 and key.isalpha() and key not in "ei") or (key.islower() and WORDS.fullmatch(key) is not None)


def is_opaque_key(key: str) -> bool:
    """Whether a key equals nothing but itself.

    Such are words, choice letters, times of day, ratios, numerals in a stated base and what no parser reads.

    >>> is_opaque_key("monday"), is_opaque_key("52_{8}"), is_opaque_key("4:30 pm"), is_opaque_key("52")
    (True, True, True, False)
    """
    return is_word_key(key) or _CLOCK.fullmatch(key) is not None or _UNREADABLE.search(key) is not None


def is_exact_key(key: str) -> bool:
    r"""Whether two different keys of this kind are certainly unequal: numbers, words, and lists of them.

    >>> is_exact_key("1/2"), is_exact_key(r"\{1,(2,3]\}"), is_exact_key(r"\{1,\sqrt{4}\}")
    (True, True, False)
    """
    if is_number_key(key) or is_opaque_key(key):
        return True
    kind = brackets(key)
    if kind is None:
        return False
    width = len(kind) // 2
    return all(is_exact_key(part) for part in split_list(key[width:-width]) or ())


def brackets(key: str) -> str | None:
    r"""The outer brackets of a set, tuple or interval key, whose kind matters; None for other keys.

    >>> brackets("(1,2]"), brackets(r"\{1,2\}"), brackets("(x+1)(x-1)")
    ('(]', '\\{\\}', None)
    """
    if key.startswith(r"\{") and key.endswith(r"\}") and split_list(key[2:-2]) is not None:
        return r"\{\}"
    if key[:1] in ("(", "[") and key[-1] in ")]" and len(split_list(key[1:-1]) or ()) > 1:
        return key[0] + key[-1]
    return None


def split_list(text: str) -> list[str] | None:
    """Parts between top-level commas; None if the brackets of `text` do not match up on their own.

    >>> split_list("1,(2,3]"), split_list("1)(2")
    (['1', '(2,3]'], None)
    """
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


def could_be_equal(a: str, b: str) -> bool:
    r"""Whether the spelling of two different keys leaves open that they are equal.

    >>> could_be_equal("2", r"\sqrt{4}"), could_be_equal("2", "3"), could_be_equal("(1,x)", "[1,x]")
    (True, False, False)
    """
    if is_opaque_key(a) or is_opaque_key(b) or (is_exact_key(a) and is_exact_key(b)):
        return False
    kinds = brackets(a), brackets(b)
    return None in kinds or kinds[0] == kinds[1]


def is_outside(text: str, at: int) -> bool:
    """Whether a place is outside all brackets.

    >>> is_outside("(a)b", 1), is_outside("(a)b", 3)
    (False, True)
    """
    before = text[:at]
    return sum(map(before.count, _OPEN)) <= sum(map(before.count, _CLOSE))
