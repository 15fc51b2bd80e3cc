"""The numbers a text states, spelled-out ones counted."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_UNITS = {word: i for i, word in enumerate(_SMALL.split())}
_TENS = {word: 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
# Multiples and parts are numbers too: "twice as many" may become "2 times as many".
_OTHERS = {
    "dozen": Fraction(12),
    "once": Fraction(1),
    "twice": Fraction(2),
    "double": Fraction(2),
    "doubled": Fraction(2),
    "thrice": Fraction(3),
    "triple": Fraction(3),
    "tripled": Fraction(3),
    "half": Fraction(1, 2),
    "third": Fraction(1, 3),
    "thirds": Fraction(1, 3),
    "quarter": Fraction(1, 4),
    "quarters": Fraction(1, 4),
}
_TOKEN = re.compile(
    r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}"
    r"|\d{1,3}(?:(?:,|\{,\})\d{3})+(?:\.\d+)?|\d+\s*/\s*\d+|\d+(?:\.\d+)?|\.\d+|[a-z]+",
    re.IGNORECASE,
)


def numbers_in(text: str) -> Counter[Fraction]:
    r"""Multiset of the numbers in a text.

    Digits, decimals, thousands separators, `a/b`, `\frac{a}{b}`, and words: "twenty-one", "two hundred and five",
    "dozen", "half", "twice". The word "one" is left out, as it mostly is a pronoun ("the other one"), and so are
    "a" and ordinals but thirds and quarters.

    Example:
        >>> sorted(numbers_in("Two hundred and five men ate 1,500 eggs, half of them boiled."))
        [Fraction(1, 2), Fraction(205, 1), Fraction(1500, 1)]
    """
    found: Counter[Fraction] = Counter()
    words: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        token, gap = match.group().casefold(), text[end : match.start()]
        end = match.end()
        if words and not re.fullmatch(r"[\s-]*", gap):
            _flush(words, found)
        if token.isalpha():
            if token in _UNITS or token in _TENS or token in _SCALES or (token == "and" and words):
                words.append(token)
                continue
            _flush(words, found)
            if token in _OTHERS:
                found[_OTHERS[token]] += 1
            continue
        _flush(words, found)
        found[_digits(match)] += 1
    _flush(words, found)
    return +found


def _digits(match: re.Match[str]) -> Fraction:
    numerator, denominator = match.group(1), match.group(2)
    if numerator is None and "/" in match.group():
        numerator, denominator = match.group().split("/")
    if numerator is not None:
        bottom = int(denominator)
        return Fraction(int(numerator), bottom) if bottom else Fraction(int(numerator))
    return Fraction(match.group().replace("{,}", "").replace(",", ""))


def _flush(words: list[str], found: Counter[Fraction]) -> None:
    """Turn a run of number words into numbers and empty it; "two three" is two numbers, "twenty three" one."""
    total = current = 0
    open_number = False

    def close() -> None:
        nonlocal total, current, open_number
        if open_number and total + current != 1:
            found[Fraction(total + current)] += 1
        total = current = 0
        open_number = False

    for word in words:
        if word == "and":
            if current % 100 or not (current or total):
                close()
        elif word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
            open_number = True
        else:
            value = _UNITS.get(word, _TENS.get(word, 0))
            room = current % 100
            fits = room == 0 or (room >= 20 and room % 10 == 0 and 0 < value < 10)
            if open_number and (not fits or (current == 0 and total == 0)):
                close()
            current += value
            open_number = True
    close()
    words.clear()
