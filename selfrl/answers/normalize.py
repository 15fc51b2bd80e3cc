"""Spelling of an answer: Unicode, LaTeX spacing and variants, units. Text in, text out; nothing is evaluated."""

from __future__ import annotations

import re
import unicodedata

_CHARACTERS = {
    **{ord(c): "-" for c in "−–—‒"},
    **{ord(c): r"\cdot " for c in "·⋅"},
    ord("×"): r"\times ",
    ord("÷"): "/",
    ord("⁄"): "/",
    ord("π"): r"\pi ",
    ord("√"): r"\sqrt ",
    ord("∞"): r"\infty ",
    ord("≤"): r"\le ",
    ord("≥"): r"\ge ",
    ord("∪"): r"\cup ",
    ord("∩"): r"\cap ",
    ord("∈"): r"\in ",
    ord("±"): r"\pm ",
    ord("∅"): r"\emptyset ",
    ord("θ"): r"\theta ",
    ord("°"): r"^\circ ",
    **{ord(c): "'" for c in "’′"},
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")

_DROPPED = re.compile(
    r"\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|\\[bB]igg?[lr]?(?![a-zA-Z])|\\displaystyle(?![a-zA-Z])|\\textstyle(?![a-zA-Z])|\\limits(?![a-zA-Z])|\\quad(?![a-zA-Z])|\\qquad(?![a-zA-Z])"
    r"|(?<!\\)\\[,;:!$]|\\\(|\\\)|\\\[|\\\]|\$|\{,\}(?=\d{3})"
)
_RENAMED = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\dbinom(?![a-zA-Z])|\\tbinom(?![a-zA-Z])"), r"\\binom"),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])"), r"\\ge"),
    (re.compile(r"\\neq(?![a-zA-Z])"), r"\\ne"),
    (re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\(?:infin)(?![a-zA-Z])"), r"\\infty"),
    (re.compile(r"\\degree(?![a-zA-Z])|\^\s*\{\s*\\circ\s*\}"), r"^\\circ"),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"(?<!\\)\\ |~"), " "),
)
_NUMBER = r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+|\d*\\frac\{\d+\}\{\d+\}|\d+/\d+)"
_TEXT_UNIT = re.compile(
    rf"({_NUMBER})\s*\\(?:text|mathrm|textrm|mbox|hbox|rm)\s*\{{\s*([^{{}}]*)\}}(?:\s*\^\s*\{{?\d\}}?)?\.?"
)
_WORD_UNIT = re.compile(
    rf"({_NUMBER})\s+([a-zA-Z]+(?:[ /][a-zA-Z]+){{0,3}}|[a-zA-Z]{{1,4}}\s?(?:\^|\*\*)\s?\{{?[23]\}}?)\.?"
)
_GLUED_UNIT = re.compile(rf"({_NUMBER})(?:cm|mm|km|kg|ml|ft|hrs?|mins?|secs?|mph|%)(?:\^\{{?[23]\}}?)?")
_DEGREES = re.compile(rf"({_NUMBER})\s*\^\s*\\circ\s*(?:[CF]|\\(?:text|mathrm)\{{[CF]\}})?")
_NOT_UNITS = {
    *(
        "pi",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "sqrt",
        "and",
        "or",
        "to",
        "mod",
        "if",
        "is",
        "than",
        "x",
        "y",
    ),
    *(
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
        "am",
        "pm",
        "remainder",
        "r",
        "i",
        "e",
        "base",
    ),
}
_WRAPPED_TEXT = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|textrm|operatorname|mathit|mathsf|emph)\s*\{([^{}]*)\}"
)
_NAMED = re.compile(r"(?:[a-zA-Z](?:_\{?\w\}?)?(?:\([a-z]\))?|\\theta)\s*(?:=|\\in\b|:)\s*(?![=])")
_BARE_FRAC = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_BARE_SQRT = re.compile(r"\\sqrt\s*([A-Za-z0-9])")
_BARE_SCRIPT = re.compile(r"([\^_])\s*([A-Za-z0-9]|\\[a-z]+)")
_LETTER_AFTER_COMMAND = re.compile(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])")


def plain_characters(text: str) -> str | None:
    """ASCII spellings of the usual mathematical characters; None for text with control or bidi characters.

    >>> plain_characters("x² ≤ −½")
    'x^{2} \\\\le  -1/2'
    """
    text = _INVISIBLE.sub("", text)
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", text)
    text = unicodedata.normalize("NFKC", text).translate(_CHARACTERS)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\n\t\r" for c in text):
        return None
    return text


def spelling(text: str) -> str:
    r"""One spelling for LaTeX variants, without spacing commands, units, wrappers and a leading "x =".

    >>> spelling(r"x = \dfrac12\,\text{ cm}"), spelling(r"\left( 1,\; 2 \right)")
    ('\\frac{1}{2}', '( 1, 2 )')
    """
    text = _DROPPED.sub("", text)
    for pattern, replacement in _RENAMED:
        text = pattern.sub(replacement, text)
    text = _BARE_FRAC.sub(lambda m: rf"\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    text = _BARE_SQRT.sub(r"\\sqrt{\1}", text)
    text = text.strip().rstrip(".").strip() if not text.strip().endswith("...") else text.strip()
    if match := _NAMED.match(text):
        text = text[match.end() :]
    text = _without_unit(text)
    while True:  # innermost first; each round removes at least one wrapper
        text, count = _WRAPPED_TEXT.subn(r"\1", text)
        if not count:
            break
    text = _BARE_SCRIPT.sub(r"\1{\2}", text)
    return re.sub(r"\s+", " ", text).strip()


def squeeze(text: str) -> str:
    r"""Remove spaces, but for the one that ends a command before a letter.

    >>> squeeze(r"2 \pi r + 1")
    '2\\pi r+1'
    """
    return _LETTER_AFTER_COMMAND.sub("\\1\0", text).replace(" ", "").replace("\0", " ")


def _without_unit(text: str) -> str:
    for pattern in (_TEXT_UNIT, _DEGREES, _GLUED_UNIT):
        if (match := pattern.fullmatch(text)) and not (pattern is _TEXT_UNIT and _is_scale(match[2])):
            return match[1]
    match = _WORD_UNIT.fullmatch(text)
    if match and not _is_scale(match[2]):
        return match[1]
    return text


def _is_scale(words: str) -> bool:
    first = words.split()[0].casefold().strip(".,") if words.split() else ""
    return first in _NOT_UNITS
