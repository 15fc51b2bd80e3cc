"""Exact numbers written in plain text or LaTeX."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from selfrl.answers.kinds import is_outside
from selfrl.answers.limits import MAX_DIGITS

MAX_RESULT_DIGITS = MAX_DIGITS - 1  # decimal exponent of a number that is its own key; a longer one stays a power

_UNSIGNED = r"(?:\d+\.?\d*|\.\d+)"
_DECIMAL = re.compile(rf"([+-]?)({_UNSIGNED})")
_SLASH = re.compile(rf"([+-]?)\(?({_UNSIGNED})\)?/\(?([+-]?)({_UNSIGNED})\)?")
_FRAC = re.compile(rf"([+-]?)(\d*)\\frac\{{([+-]?)({_UNSIGNED})\}}\{{([+-]?)({_UNSIGNED})\}}")
_MIXED = re.compile(r"([+-]?)(\d+) (\d+)/(\d+)")
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)\\(?:overline|bar|dot)\{(\d+)\}")
_SCIENTIFIC = re.compile(rf"([+-]?)({_UNSIGNED})(?:(?:\\times|\\cdot|\*)10\^\{{([+-]?\d+)\}}|[eE]([+-]?\d+))")
_POWER = re.compile(r"(\d+)\^\{(-?\d+)\}")

# a group that leads with 0 separates nothing
_GROUPED = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?"
_GROUPS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_GROUPED_NUMBER = re.compile(rf"[+-]?(?:{_GROUPED}|{_GROUPED}/{_GROUPED}|\\frac\{{{_GROUPED}\}}\{{{_GROUPED}\}})")
_SPACED_NUMBER = re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:\.\d+)?")


def join_thousands(text: str) -> str:
    r"""Remove thousands separators where the whole text is one number or one fraction.

    >>> join_thousands("1,234,567.5"), join_thousands("1 000"), join_thousands("1,000/3"), join_thousands("1,23")
    ('1234567.5', '1000', '1000/3', '1,23')
    """
    if _GROUPED_NUMBER.fullmatch(text):
        return text.replace(",", "")
    return text.replace(" ", "") if _SPACED_NUMBER.fullmatch(text) else text


def join_groups(text: str) -> str:
    r"""Remove thousands separators outside brackets where something follows the number, as in "1,000x".

    >>> join_groups(r"1,234\pi"), join_groups("(60,120)"), join_groups("1,2,300")
    ('1234\\pi', '(60,120)', '1,2,300')
    """

    def joined(match: re.Match[str]) -> str:
        return match[0].replace(",", "") if is_outside(text, match.start()) else match[0]

    return _GROUPS.sub(joined, text)


def exact_number(text: str) -> Fraction | None:
    r"""The rational number that `text` writes, or None if it is no plain number or too long a one.

    Reads decimals, repeating decimals (`0.\overline{3}`), `a/b`, `\frac{a}{b}`, mixed numbers (`1\frac{1}{2}`,
    "1 1/2"), scientific notation and integer powers, signs included. Never a float: 0.1 is 1/10.

    Example:
        >>> exact_number(r"-1\frac{1}{2}"), exact_number("2.50"), exact_number("x")
        (Fraction(-3, 2), Fraction(5, 2), None)
        >>> exact_number(r"3\times10^{-2}"), exact_number(r"0.1\overline{6}")
        (Fraction(3, 100), Fraction(1, 6))
    """
    if len(text) > MAX_DIGITS + 50 or sum(c.isdigit() for c in text) > MAX_DIGITS or not text.isascii():
        return None
    if match := _DECIMAL.fullmatch(text):
        return _signed(match[1], _fraction(match[2]))
    if match := _SLASH.fullmatch(text):
        return _signed(match[1] + match[3], _ratio(_fraction(match[2]), _fraction(match[4])))
    if match := _FRAC.fullmatch(text):
        part = _ratio(_signed(match[3], _fraction(match[4])), _signed(match[5], _fraction(match[6])))
        return None if part is None else _signed(match[1], int(match[2] or 0) + part)
    if match := _MIXED.fullmatch(text):
        part = _ratio(Fraction(match[3]), Fraction(match[4]))
        return None if part is None else _signed(match[1], int(match[2]) + part)
    if match := _REPEATING.fullmatch(text):
        whole, fixed, period = match[2], match[3], match[4]
        nines = (10 ** len(period) - 1) * 10 ** len(fixed)
        return _signed(match[1], Fraction(int(whole + fixed + period) - int(whole + fixed or 0), nines))
    if match := _SCIENTIFIC.fullmatch(text):
        exponent = int(match[3] or match[4])
        if abs(exponent) + len(match[2]) - 1 > MAX_RESULT_DIGITS:
            return None
        return _signed(match[1], _fraction(match[2]) * Fraction(10) ** exponent)
    if match := _POWER.fullmatch(text):
        base, exponent = int(match[1]), int(match[2])
        small = len(match[1]) <= MAX_RESULT_DIGITS and abs(exponent) * math.log10(base or 1) <= MAX_RESULT_DIGITS
        return Fraction(base) ** exponent if small and base else None
    return None


def long_power(text: str) -> str | None:
    r"""A number in scientific notation whose value is too long to write, with its power of ten in LaTeX; else None.

    >>> long_power("6.02e120"), long_power("2e3") is None
    ('301/50\\cdot10^{120}', True)
    """
    match = _SCIENTIFIC.fullmatch(text)
    if match is None or exact_number(text) is not None:
        return None
    mantissa, exponent = _signed(match[1], _fraction(match[2])), int(match[3] or match[4])
    return f"10^{{{exponent}}}" if mantissa == 1 else rf"{mantissa}\cdot10^{{{exponent}}}"


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.rstrip("."))


def _ratio(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or not b else a / b


def _signed(signs: str, value: Fraction | None) -> Fraction | None:
    if value is None:
        return None
    return -value if signs.count("-") % 2 else value
