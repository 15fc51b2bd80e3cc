"""Words that change a number: "2 thirds", "5 squared", "3 million", "5 degrees below zero"."""

from __future__ import annotations

import re
from fractions import Fraction

from selfrl.answers.numbers import exact_number, join_thousands

_UNITS_PLACE = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
_UNITS_PLACE += "seventeen eighteen nineteen"
_SMALL = {word: value for value, word in enumerate(_UNITS_PLACE.split())}
_TENS = {
    word: 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = {
    **dict(
        zip("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(), range(3, 13), strict=True)
    ),
    **{f"{word}th": value for word, value in _SMALL.items() if value > 12},
    **{f"{word[:-1]}ieth": value for word, value in _TENS.items()},
    **{f"{word}th": value for word, value in _SCALES.items() if value != 12},
}
_DENOMINATORS = {"half": 2, "halve": 2, "quarter": 4, **_ORDINALS}
_PARTS = {"half", *_ORDINALS}
NUMBER_WORDS = frozenset([*_SMALL, *_TENS, *_SCALES, *_PARTS, *(f"{word}s" for word in _PARTS), "halves", "dozens"])
_NUMBER = r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\d+ \d+/\d+|\d+/\d+)"
_SYMBOL = rf"(?:{_NUMBER}|[a-zA-Z])"
_WORDS = "|".join(sorted([*_SMALL, *_TENS], key=len, reverse=True))
_COUNT = rf"(?:{_NUMBER}|{_WORDS})"
_PART = re.compile(
    rf"(?:({_COUNT}),? and )?({_COUNT}|an?)[ -]"
    rf"({'|'.join(sorted(_DENOMINATORS, key=len, reverse=True))})(s?)(?: of [a-z '-]+)?"
)
_SCALED = re.compile(rf"({_NUMBER}) ({'|'.join(_SCALES)})s?(?: (?!and\b|or\b)([a-z].*))?")
_SPELLED = re.compile(rf"(?:{_WORDS}|{'|'.join(_SCALES)})(?:(?:[ -]|,? and )(?:{_WORDS}|{'|'.join(_SCALES)}))*")
_SPELLED_FIRST = re.compile(rf"({_SPELLED.pattern}) (?=squared|cubed|factorial|to the|over|divided|choose)")
_HALF_SCALE = re.compile(rf"(half )?an? ({'|'.join(_SCALES)})")
_SQUARED = re.compile(rf"({_SYMBOL}) (squared|cubed|factorial)")
_POWER = re.compile(
    rf"({_SYMBOL}) to the (?:power (?:of )?(-?\d+)|(\d+)(?:st|nd|rd|th)(?: power)?|({'|'.join(_ORDINALS)})(?: power)?)"
)
_OPERATED = (
    (re.compile(rf"({_NUMBER}) (?:over|divided by) ({_NUMBER})"), r"\1/\2"),
    (re.compile(r"(\w+) choose (\w+)"), r"\\binom{\1}{\2}"),
    (re.compile(rf"(?:({_NUMBER}) (?:times )?)?(?:the )?square root of ({_SYMBOL})"), r"\1\\sqrt{\2}"),
    (
        re.compile(rf"({_NUMBER})(?: degrees?| ?\^\{{?\\circ\s?\}}?)?(?: ?(?:celsius|fahrenheit|[cf]))? below zero"),
        r"-\1",
    ),
    (
        re.compile(rf"(?:positive ({_NUMBER})|({_NUMBER})(?: degrees?)?(?: (?:celsius|fahrenheit))? above zero)"),
        r"\1\2",
    ),
)
_NEGATIVE = re.compile(r"(?:negative|minus) (?=[\d.\\(a-z])")


def worded_number(text: str) -> str | None:
    """What a number in words, or with words that change it, is worth, in plain notation; None for any other text.

    One quarter or three are parts; any other number of quarters counts coins. "Half" alone stays a word.

    >>> [worded_number(a) for a in ("2 thirds", "two-thirds", "5 squared", "2.5 million people", "3 below zero")]
    ['2/3', '2/3', '5^{2}', '2500000', '-3']
    >>> [worded_number(a) for a in ("forty-two", "1 and a half", "x squared", "2 to the tenth", "negative five")]
    ['42', '3/2', 'x^{2}', '2^{10}', '-5']
    >>> worded_number("5 apples") is None, worded_number("2 seconds") is None, worded_number("5 quarters") is None
    (True, True, True)
    """
    folded = text.casefold()
    if match := _PART.fullmatch(folded):
        whole, top, word, plural = _plain(match[1] or "0"), _plain(match[2]), match[3], bool(match[4])
        is_part = plural != (top == "1") and (word != "quarter" or top in ("1", "3"))
        value = _scaled(top, 1, _DENOMINATORS[word]) if is_part else None
        return None if value is None else str(Fraction(value) + Fraction(whole))
    if match := _SCALED.fullmatch(folded):
        value = _scaled(match[1], _SCALES[match[2]], 1)
        return value if value is None or match[3] is None else worded_number(f"{value} {match[3]}") or value
    if match := _HALF_SCALE.fullmatch(folded):
        return str(Fraction(_SCALES[match[2]], 2 if match[1] else 1))
    if match := _SPELLED_FIRST.match(folded):
        return worded_number(_spelled(re.split(r"[ -]", match[1])) + folded[match.end(1) :])
    if _SPELLED.fullmatch(folded):
        return _spelled(re.split(r"[ -]", folded.replace(",", "")))
    if match := _SQUARED.fullmatch(text):
        return match[1] + {"squared": "^{2}", "cubed": "^{3}", "factorial": "!"}[match[2]]
    if match := _POWER.fullmatch(text):
        return f"{match[1]}^{{{match[2] or match[3] or _ORDINALS[match[4]]}}}"
    for pattern, plain in _OPERATED:
        if pattern.fullmatch(folded):
            return pattern.sub(plain, folded)
    if _NEGATIVE.match(folded):
        rest = text.split(" ", 1)[1]
        plain = worded_number(rest) or rest
        return f"-{plain}" if not re.match(r"[a-zA-Z]{2}", plain) else None
    return None


def _plain(count: str) -> str:
    """A count in digits; "a" is one.

    >>> _plain("twelve"), _plain("1,000"), _plain("a")
    ('12', '1000', '1')
    """
    if count in ("a", "an"):
        return "1"
    known = {**_SMALL, **_TENS}
    return str(known[count]) if count in known else join_thousands(count)


def _spelled(words: list[str]) -> str:
    """The value of number words, as in "two million three hundred twenty five"; "and" adds nothing."""
    total, current = 0, 0
    for word in words:
        if word in _SCALES:
            scale = _SCALES[word]
            if scale < 1000:
                current = (current or 1) * scale
            else:
                total, current = total + (current or 1) * scale, 0
        else:
            current += _SMALL.get(word, 0) + _TENS.get(word, 0)
    return str(total + current)


def _scaled(text: str, times: int, by: int) -> str | None:
    value = exact_number(join_thousands(text))
    return None if value is None else str(value * times / by)
