"""Spelling of an answer: Unicode, LaTeX spacing and variants. Text in, text out; nothing is evaluated."""

from __future__ import annotations

import re
import unicodedata

_CHARACTERS = {
    **{ord(c): "-" for c in "−–—‒‐―"},
    **{ord(c): r"\cdot " for c in "·⋅"},
    ord("×"): r"\times ",
    ord("÷"): "/",
    ord("⁄"): "/",
    ord("π"): r"\pi ",
    ord("√"): r"\sqrt ",
    ord("∞"): r"\infty ",
    ord("≤"): r"\le ",
    ord("≥"): r"\ge ",
    ord("≠"): r"\ne ",
    ord("≈"): r"\approx ",
    ord("∪"): r"\cup ",
    ord("∩"): r"\cap ",
    ord("∈"): r"\in ",
    ord("±"): r"\pm ",
    ord("∅"): r"\emptyset ",
    ord("θ"): r"\theta ",
    ord("°"): r"^\circ ",
    **{ord(c): "'" for c in "’′‘"},
    **{ord(c): '"' for c in "“”"},
}
# NFKC would glue these to a digit before them: 3½ is not 31/2, and x₁ is not x1.
_VULGAR = re.compile(r"[¼-¾⅐-⅞]")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT_RUN = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")

_QUOTED = re.compile(r"(\*{1,2}|`{1,2}|\"|')\s*(.+?)\s*(?:\1|'')", re.DOTALL)
_BLANKS = re.compile(r"\\q?quad(?![a-zA-Z])|(?<!\\)\\ |~")
_DROPPED = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![a-zA-Z])"
    r"|(?<!\\)\\[,;:!$()\[\]]|\$|\{,\}(?=\d{3})|\\phantom\{[^{}]*\}"
)
_RENAMED = (
    (re.compile(r"\\(?:[dtc]|nice|s)frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![a-zA-Z])"), r"\\binom"),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])|<="), r"\\le "),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])|>="), r"\\ge "),
    (re.compile(r"\\neq(?![a-zA-Z])|!="), r"\\ne "),
    (re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset "),
    (re.compile(r"\\infin(?![a-zA-Z])"), r"\\infty "),
    (re.compile(r"\\degree(?![a-zA-Z])|\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))"), r"^\\circ "),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\langle(?![a-zA-Z])"), "("),
    (re.compile(r"\\rangle(?![a-zA-Z])"), ")"),
    (re.compile(r"\{?\\%\}?"), "%"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![a-zA-Z\\])pi(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"\\?(?<![a-zA-Z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\^\s*\(([^()]*)\)"), r"^{\1}"),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)"), r"\\times "),
)
_MATH_WRAPPER = re.compile(
    r"\\(?:mathrm|mathbf|operatorname|mathit|mathsf|boldsymbol|underline)\s*\{([^{}]*)\}"
    r"|\\(?:color|textcolor)\s*\{[a-z]*\}\s*\{([^{}]*)\}"
)
_TEXT_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mbox|textrm|emph)\s*\{([^{}]*)\}")
_TEXT_SCRIPT = re.compile(r"([\^_])\s*\\(?:text|textrm|mathrm|mbox)\s*(\{[^{}]*\})")
_BARE_FRAC = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_BARE_SQRT = re.compile(r"\\sqrt\s*([A-Za-z0-9])")
_BARE_SCRIPT = re.compile(r"([\^_])\s*([A-Za-z0-9]|\\[a-z]+)")
_KEPT_SPACE = re.compile(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])|(?<=\d)\s+(?=[\d.])")


def plain_characters(text: str) -> str | None:
    """ASCII spellings of the usual mathematical characters; None for text with control or bidi characters.

    >>> plain_characters("x² ≤ −3½")
    'x^{2} \\\\le  -3\\\\frac{1}{2}'
    """
    text = _INVISIBLE.sub("", text)
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda m: "_{" + m.group().translate(_SUBSCRIPTS) + "}", text)
    text = _VULGAR.sub(_fraction, text)
    text = unicodedata.normalize("NFKC", text).translate(_CHARACTERS)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\n\t\r" for c in text):
        return None
    return text


def spelling(text: str) -> str:
    r"""One spelling for LaTeX variants and plain notation, without spacing commands and Markdown marks.

    >>> spelling(r"\dfrac12\,x"), spelling(r"\left( 1,\; 2 \right)"), spelling("**sqrt(3)/2**")
    ('\\frac{1}{2}x', '( 1, 2 )', '\\sqrt{3}/2')
    """
    text = text.strip()
    while match := _QUOTED.fullmatch(text):
        text = match[2]
    text = _DROPPED.sub("", _BLANKS.sub(" ", text))
    for pattern, replacement in _RENAMED:
        text = pattern.sub(replacement, text)
    text = _BARE_FRAC.sub(lambda m: rf"\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    text = _BARE_SQRT.sub(r"\\sqrt{\1}", text).strip()
    while text.endswith(r"\\"):
        text = text[:-2].rstrip()
    return text if text.endswith("...") else text.rstrip(". ")


def unwrapped(text: str) -> str:
    r"""Remove `\text{}` and the like, brace the scripts, and make every blank one space.

    >>> unwrapped(r"1\text{ or }x^2"), unwrapped(r"\mathbf{v}_\text{max}")
    ('1 or x^{2}', 'v_{max}')
    """
    text = _TEXT_SCRIPT.sub(r"\1\2", text)
    while True:  # innermost first; each round removes at least one wrapper
        text, in_math = _MATH_WRAPPER.subn(lambda m: m[1] or m[2] or "", text)
        text, in_text = _TEXT_WRAPPER.subn(r" \1 ", text)
        if not in_math + in_text:
            break
    text = _BARE_SCRIPT.sub(r"\1{\2}", text)
    return re.sub(r"\s+", " ", text).strip()


def squeeze(text: str) -> str:
    r"""Remove spaces, but for those that end a command before a letter or part two numbers.

    >>> squeeze(r"2 \pi r + 1"), squeeze("3 5")
    ('2\\pi r+1', '3 5')
    """
    return _KEPT_SPACE.sub("\\1\0", text).replace(" ", "").replace("\0", " ")


def _fraction(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match.group()).split("⁄")
    return rf"\frac{{{numerator}}}{{{denominator}}}"
