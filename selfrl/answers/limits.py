"""What is too dangerous to hand to a symbolic parser, decided by form alone: nothing is evaluated here."""

from __future__ import annotations

import re

MAX_ANSWER = 1000  # characters; a longer "answer" is none
MAX_DIGITS = 100  # in a row
MAX_NESTING = 12  # brackets inside brackets
MAX_GROWTH = 100_000  # the product of chained exponents, as in (9^{300})^{300}
CLOCK_FACTOR = 2.5  # on the clock, an operation of the grading child may take so many times its processor time
MAX_ARITHMETIC_DIGITS = 6  # all digits of an exponent that is a sum or product of numbers, as in 9^{99\cdot99}

_OPEN, _CLOSE = "([{", ")]}"
_DIGIT_RUN = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_TOWER = re.compile(r"\^-?\d+\^")
_BIG_EXPONENT = re.compile(r"\^[{(]?[+-]?0*[1-9]\d{4,}")
_BIG_FACTORIAL = re.compile(r"\d{5,}!|!!")
_BIG_FUNCTION = re.compile(r"\\binom\{[^{}]*(?:\d{5}|\^)|\\Gamma[({]?[^(){}]*(?:\d{5}|\^)")
_EXPONENT = re.compile(r"\^[{(]?[+-]?(\d{1,9})")
_COMMAND = re.compile(r"\\[a-zA-Z]+")


def is_unsafe(text: str) -> bool:
    r"""Whether evaluating `text` could take very long or much memory.

    Refuses more than 100 digits in a row, nesting over 12, exponents and factorials of five digits or more, towers
    of numbers, chained exponents that multiply to more than 100,000, and factorials of computed numbers. Towers and
    factorials of symbols are harmless and pass.

    Example:
        >>> [is_unsafe(t) for t in (r"9^{9^{9}}", "(10^9)!", "9^9^9", "((9^{99})^{99})^{99}", "2^{10^9}")]
        [True, True, True, True, True]
        >>> [is_unsafe(t) for t in (r"2^{2023}", "(n+1)!", "2^{2^n}", r"e^{-(x-1)^2/2}", "100!")]
        [False, False, False, False, False]
    """
    squeezed = re.sub(r"\s|\{,\}", "", text).replace("**", "^")
    forms = (_DIGIT_RUN, _TOWER, _BIG_EXPONENT, _BIG_FACTORIAL, _BIG_FUNCTION)
    return any(form.search(squeezed) for form in forms) or _is_unsafe_structure(squeezed)


class _Group:
    """An open bracket: where its content starts, whether it is an exponent, how fast its content grows."""

    def __init__(self, start: int, is_exponent: bool) -> None:
        self.start = start
        self.is_exponent = is_exponent
        self.growth = 1


def _is_unsafe_structure(text: str) -> bool:
    outer = _Group(0, False)
    groups = [outer]
    base_growth, base_is_number = 1, True  # of the group that closed last
    for i, c in enumerate(text):
        before = text[i - 1] if i else ""
        if c in _OPEN:
            if len(groups) > MAX_NESTING:
                return True
            groups.append(_Group(i + 1, before == "^"))
        elif c in _CLOSE and len(groups) > 1:
            group = groups.pop()
            content = text[group.start : i]
            base_growth, base_is_number = group.growth, _is_number(content)
            groups[-1].growth = max(groups[-1].growth, group.growth)
            digits = sum(d.isdigit() for d in content)
            if group.is_exponent and base_is_number and digits > MAX_ARITHMETIC_DIGITS:
                return True
        elif c == "^":
            on_number = base_is_number if before in _CLOSE else not before.isalpha()
            inside_exponent = any(group.is_exponent for group in groups)
            if inside_exponent and on_number and not text[i + 1 :].lstrip("{(")[:1].isalpha():
                return True
            if match := _EXPONENT.match(text, i):
                growth = int(match[1]) * (base_growth if before in _CLOSE else 1)
                groups[-1].growth = max(groups[-1].growth, growth)
        elif c == "!":
            if before in _CLOSE and before and base_is_number:
                return True
            number = re.search(r"\d{1,9}$", text[max(i - 9, 0) : i])
            groups[-1].growth = max(groups[-1].growth, int(number[0]) if number else 1)
        if groups[-1].growth > MAX_GROWTH:
            return True
    return False


def _is_number(content: str) -> bool:
    """Whether a bracket's content has no symbols, so that a parser computes it at once."""
    return not any(c.isalpha() for c in _COMMAND.sub("", content))
