"""Units and currencies around an answer."""

from __future__ import annotations

import re

_NUMBER = r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+|\d*\s*\\frac\{\d+\}\{\d+\}|\d+/\d+|\d+ \d+/\d+)"
_POWER = r"(?:\s?\^\s?\{?-?\d\}?)?"
_TEXT = r"\\(?:text|mathrm|textrm|mbox|hbox|rm|textbf|operatorname)\s*\{\s*([^{}]*)\}"
_TEXT_UNIT = re.compile(rf"({_NUMBER})\s*{_TEXT}{_POWER}\.?")
_WORD_UNIT = re.compile(rf"({_NUMBER})\s+([a-zA-Z]+(?:[ /][a-zA-Z]+){{0,3}}){_POWER}\.?")
_GLUED_UNIT = re.compile(rf"({_NUMBER})(?:cm|mm|km|kg|ml|ft|hrs?|mins?|secs?|mph|%){_POWER}")
_DEGREES = re.compile(rf"({_NUMBER})\s*\^\\circ\s*(?:[CF]|\\(?:text|mathrm)\s*\{{\s*[CF]\s*\}})?")
_TAIL_UNIT = re.compile(rf"(.*[\w)}}])\s*{_TEXT}{_POWER}\.?", re.DOTALL)
_CURRENCY = re.compile(
    r"([+-]?)\s*(?:[€£¥₹]|\\(?:pounds|euro)|(?:USD|EUR|GBP)\b|Rs\.?)\s*(?=[\d.])|\s*(?:[€£¥₹]|\\(?:pounds|euro))$"
)

# Bare words of four letters or more after a number are units; shorter ones could be a product of variables.
_SHORT_UNITS = frozenset(
    "cm mm km kg mg ml ft in hr hrs sq lb lbs oz mi yd min sec mph kph day cup men boys pen ton gal of per the "
    "usd eur gbp yen deg rad bit bits m s".split()
)
_TAIL_UNITS = frozenset(
    "cm mm km m kg g mg ml l ft in inch inches foot feet yard yards mile miles meter meters metre metres centimeter "
    "centimeters centimetre centimetres kilometers unit units square cubic sq cu degree degrees radian radians dollar "
    "dollars cent cents second seconds sec minute minutes min hour hours hr day days s per".split()
)
_NOT_UNITS = frozenset(
    "pi sin cos tan log ln exp sqrt and or to mod modulo if is than hundred thousand million billion trillion dozen "
    "am pm a.m p.m remainder base percentage where when for".split()
)


def without_unit(text: str) -> str:
    r"""Remove the unit or currency of an answer; words that scale a number ("million", "dozen") stay.

    After a number anything in `\text{}` is a unit, and so are bare words of four letters or more and the usual
    short ones; after another expression only the usual units in `\text{}` are.

    Example:
        >>> without_unit(r"15\mbox{ cm}^2"), without_unit("5 apples"), without_unit(r"12\pi \text{ cm}^2")
        ('15', '5', '12\\pi')
        >>> without_unit("5 million"), without_unit("2 n"), without_unit(r"x \text{ or } y")
        ('5 million', '2 n', 'x \\text{ or } y')
    """
    text = _CURRENCY.sub(lambda m: m[1] or "", text).strip()
    for pattern in (_DEGREES, _GLUED_UNIT):
        if match := pattern.fullmatch(text):
            return match[1]
    if (match := _TEXT_UNIT.fullmatch(text)) and not _is_scale(match[2]):
        return match[1]
    if (match := _WORD_UNIT.fullmatch(text)) and not _is_scale(match[2]):
        words = re.split(r"[ /]", match[2].casefold())
        if all(len(word) >= 4 or word in _SHORT_UNITS for word in words) and words[0] not in ("m", "s"):
            return match[1]
    if (match := _TAIL_UNIT.fullmatch(text)) and _words(match[2]) and _words(match[2]) <= _TAIL_UNITS:
        return match[1]
    return text


def _is_scale(text: str) -> bool:
    return bool(_words(text) & _NOT_UNITS)


def _words(text: str) -> set[str]:
    return {word.strip(".,") for word in re.split(r"[\s/]+", text.casefold()) if word.strip(".,")}
