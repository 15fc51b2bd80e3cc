"""Spelling of an answer: LaTeX spacing and variants. Text in, text out; nothing is evaluated."""

from __future__ import annotations

import re

from selfrl.answers.characters import SPECIAL_END
from selfrl.answers.functions import in_latex

_START = re.compile(r"\A(?:\s{0,9}(?:<s>|<bos>|<\|[^|<>]{1,40}\|>))+\s*")
_QUOTED = re.compile(r"(\*{1,2}|_{2}|`{1,2}|\"|')\s*(.+?)\s*(?:\1|'')", re.DOTALL)
_STRONG = re.compile(r"(?<![\w*)}])\*\*(?=[^\s*])(.+?)(?<=[^\s*])\*\*(?![\w*(])", re.DOTALL)
_DOLLARS = re.compile(r"(?<![a-zA-Z])(?:US|AU|CA|NZ|HK|[AC])\s?\\?\$(?=\s?\d)")
_LIST_BLANK = re.compile(r",\s*(?:\\[,;:\s]|~|\\q?quad(?![a-zA-Z]))")
_NARROWED = re.compile(r",\s*\\!\s*")  # a thousands separator
_BLANKS = re.compile(r"\\q?quad(?![a-zA-Z])|(?<!\\)\\ |~")
_THIN = re.compile(r"(?<!\\)\\[,;:](?=\s*[A-Za-z\\])")  # parts two units, but not the digits of a number
_DROPPED = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![a-zA-Z])"
    r"|(?<!\\)\\[,;:!$()\[\]]|\$|\{,\}(?=\d{3})|\\phantom\{[^{}]*\}"
)
_RENAMED = (
    (re.compile(r"\\(?:[dtc]|nice|s)frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![a-zA-Z])"), r"\\binom"),
    (
        re.compile(r"\{\s*(?:\{([^{}]*)\}|([^{}]*?))\s*\\choose(?![a-zA-Z])\s*(?:\{([^{}]*)\}|([^{}]*?))\s*\}"),
        lambda m: rf"\binom{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}",
    ),
    (re.compile(r"\A\s*(\w+)\s*\\choose(?![a-zA-Z])\s*\{?(\w+)\}?\s*\Z"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?:\{\})?[_^]\s*\{?(\d+|n)\}?\s*C_\s*\{?(\d+|[kr])\}?"), r"\\binom{\1}{\2}"),
    (re.compile(r"\{\s*:\s*\}|\\colon(?![a-zA-Z])\s*"), ":"),
    (re.compile(r"\{\s*\\(?:rm|mathrm)\s+([^{}]*)\}"), r"\\mathrm{\1}"),
    (re.compile(r"\\(mathrm|text|mathbf|textrm|mathit)\s+([a-zA-Z]|\\[a-zA-Z]+)"), r"\\\1{\2}"),
    (re.compile(r"\\rm\s*\{"), r"\\mathrm{"),
    (re.compile(r"\\textdegree(?![a-zA-Z])"), r"^\\circ "),
    (re.compile(r"\\(?:bf|it|rm|large|Large|LARGE|huge|Huge|small)(?![a-zA-Z])\s*"), ""),
    (re.compile(r"(?:\+\s?/\s?-|(?:(?<=[=(,])|\A)\s*\+-)(?=\s*[\d\\a-zA-Z])"), r"\\pm "),
    (re.compile(r"(?<=10)\s*\^\s*\+"), "^"),
    (re.compile(r"(\\(?:sin|cos|tan|sec|csc|cot))\s*\^\s*(\d)"), r"\1^{\2}"),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])|<="), r"\\le "),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])|>="), r"\\ge "),
    (re.compile(r"\\neq(?![a-zA-Z])|(?<![\d)])!="), r"\\ne "),
    (re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset "),
    (re.compile(r"\\infin(?![a-zA-Z])"), r"\\infty "),
    (re.compile(r"\\degree(?![a-zA-Z])|\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))"), r"^\\circ "),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\langle(?![a-zA-Z])"), "("),
    (re.compile(r"\\rangle(?![a-zA-Z])"), ")"),
    (re.compile(r"\\[lr]?vert(?![a-zA-Z])"), "|"),
    (re.compile(r"\{\\%\}|\\%"), "%"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![a-zA-Z\\])[pP]i(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)"), r"\\times "),
    (re.compile(r"\\(overline|bar|dot)\s*(\d)"), r"\\overline{\2}"),
)
_MATH_WRAPPER = re.compile(
    r"\\(?:mathrm|mathbf|operatorname|mathit|mathsf|mathbb|boldsymbol|underline)\s*\{([^{}]*)\}"
    r"|\\(?:color|textcolor)\s*\{[a-z]*\}\s*\{([^{}]*)\}"
)
_TEXT_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mbox|textrm|emph)\s*\{([^{}]*)\}")
_TEXT_SCRIPT = re.compile(r"([\^_])\s*\\(?:text|textrm|mathrm|mbox)\s*(\{[^{}]*\})")
_BARE_FRAC = re.compile(r"\\(frac|binom)\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
# A run of digits stands together, as models mean it in plain text; TeX would take the first alone.
_BARE_SQRT = re.compile(r"\\sqrt\s*(\[\d\])?\s*(\d+(?:\.\d+)?|[A-Za-z]|\\[a-zA-Z]+)")
_BARE_POWER = re.compile(r"\^\s*(-?(?:\\sqrt\{[^{}]*\}|\\frac\{[^{}]*\}\{[^{}]*\}|\d+(?:\.\d+)?|[A-Za-z]|\\[a-zA-Z]+))")
_BARE_INDEX = re.compile(r"(?<=\\log)_\s*(10|\d)|_\s*(\d+|[A-Za-z]|\\[a-z]+)")
_KEPT_SPACE = re.compile(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])|(?<=\d)\s+(?=[\d.])|(?<=\d)\s+(?=[ap]m$)")


def spelling(text: str) -> str:
    r"""One spelling for LaTeX variants and plain notation, without spacing commands and Markdown marks.

    >>> spelling(r"\dfrac12\,x"), spelling(r"\left( 1,\; 2 \right)"), spelling("**sqrt(3)/2**"), spelling("√15;")
    ('\\frac{1}{2} x', '( 1,  2 )', '\\sqrt{3}/2', '√15')
    """
    text = _START.sub("", SPECIAL_END.sub("", text.strip()))
    while match := _QUOTED.fullmatch(text):
        text = match[2]
    text = _STRONG.sub(r"\1", text)
    text = _NARROWED.sub(",", text)
    text = _LIST_BLANK.sub(", ", _DOLLARS.sub("", text))
    text = _DROPPED.sub("", _THIN.sub(" ", _BLANKS.sub(" ", text)))
    for pattern, replacement in _RENAMED:
        text = pattern.sub(replacement, text)
    text = in_latex(text)
    text = _BARE_FRAC.sub(lambda m: rf"\{m[1]}{{{m[2] or m[3]}}}{{{m[4] or m[5]}}}", text)
    text = _BARE_SQRT.sub(lambda m: rf"\sqrt{m[1] or ''}{{{m[2]}}}", text).strip()
    while text.endswith(r"\\"):
        text = text[:-2].rstrip()
    return text if text.endswith("...") else text.rstrip(".,;: ")


def unwrapped(text: str) -> str:
    r"""Remove `\text{}` and the like, brace the scripts, and make every blank one space.

    >>> unwrapped(r"1\text{ or }x^2"), unwrapped(r"\mathbf{v}_\text{max}"), unwrapped("2^10x")
    ('1 or x^{2}', 'v_{max}', '2^{10}x')
    """
    text = _TEXT_SCRIPT.sub(r"\1\2", text)
    while True:  # innermost first; each round removes at least one wrapper
        text, in_math = _MATH_WRAPPER.subn(_content, text)
        text, in_text = _TEXT_WRAPPER.subn(r" \1 ", text)
        if not in_math + in_text:
            break
    text = _BARE_POWER.sub(r"^{\1}", text)
    text = _BARE_INDEX.sub(lambda m: f"_{{{m[1] or m[2]}}}", text)
    return re.sub(r"\s+", " ", text).strip()


def _content(match: re.Match[str]) -> str:
    """What a wrapper holds, parted from the letters of a command before it."""
    before = match.string[match.start() - 1 : match.start()]
    return " " * before.isalpha() + (match[1] or match[2] or "")


def squeeze(text: str) -> str:
    r"""Remove spaces, but for those that end a command before a letter, part two numbers or stand before am and pm.

    >>> squeeze(r"2 \pi r + 1"), squeeze("3 5")
    ('2\\pi r+1', '3 5')
    """
    return _KEPT_SPACE.sub("\\1\0", text).replace(" ", "").replace("\0", " ")
