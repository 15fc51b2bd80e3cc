"""Functions and names in plain text, as LaTeX: `sqrt((x+1)/2)`, `ln 2`, `infinity`, `theta`."""

from __future__ import annotations

import re

from selfrl.answers.characters import GREEK_NAMES

_CALL = re.compile(r"(?:\\|(?<![a-zA-Z\\]))(sqrt|cbrt|abs|exp|floor|ceil)\s*\{?\s*\(|\\sqrt\[([34])\]\s*\(|\^\s*\(")
_UPRIGHT = re.compile(
    r"(?<![_^{])\\(?:mathrm|text|textrm|operatorname|mathop)\s*\{\s*\\?"
    r"((?:arc)?(?:sin|cos|tan)h?|sec|csc|cot|ln|log|exp|max|min|gcd|lcm)\s*\}"
)
_LOG_BASE = re.compile(r"(?<![a-zA-Z\\])log(2|10)(?=\s*\()")
_SHORT = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_FUNCTION = re.compile(
    r"(?<![a-zA-Z\\])(arc(?:sin|cos|tan)|a(?:sin|cos|tan)|(?:sin|cos|tan)h?|sec|csc|cot|ln|log)"
    rf"(?=\s*[(\d\\{{_^|]|\s+[a-zA-Z](?![a-zA-Z])|\s+(?:{'|'.join(GREEK_NAMES)})\b)"
    r"|(?<![a-zA-Z\\])(?:(min|max|gcd|lcm)(?=\s*\()|(sqrt)(?=\s*[\d{]|\s+[a-zA-Z](?![a-zA-Z])))"
)
_AFTER_LETTER = re.compile(r"(?<![a-zA-Z\\])([b-zA-Z])(ln|log|sin|cos|tan|exp|sqrt)(?=\()")
_INVERSE = re.compile(r"\\(sin|cos|tan)\s*\^\s*(?:\{\s*-\s*1\s*\}|-\s*1(?!\d))")
_INFINITY = re.compile(r"(?i:(?<![a-zA-Z\\])(negative\s+|positive\s+)?(?:infinity|infty|inf)(?![a-zA-Z]))")
_NAMES = re.compile(rf"(?<![a-zA-Z\\])({'|'.join(GREEK_NAMES)})(?![a-zA-Z])")
_LONG_WORD = re.compile(r"(?<![a-zA-Z\\{])[a-zA-Z]{3,}")


def in_latex(text: str) -> str:
    r"""LaTeX for plain functions, infinities and Greek names; calls lose their brackets where braces take their place.

    >>> in_latex("sqrt((x+1)/2)"), in_latex("2exp(2x)"), in_latex("e^(n+1)"), in_latex("x ln(x)")
    ('\\sqrt{(x+1)/2}', '2e^{2x}', 'e^{n+1}', 'x \\ln(x)')
    >>> in_latex("-infinity"), in_latex("alpha + 1"), in_latex("the alpha male")
    ('-\\infty ', '\\alpha  + 1', 'the alpha male')
    """
    text = _AFTER_LETTER.sub(r"\1 \2", text)
    text = _LOG_BASE.sub(r"\\log_{\1}", _UPRIGHT.sub(r"\\\1 ", text))
    text = _FUNCTION.sub(lambda m: "\\" + _SHORT.get(m[0], m[0]), _braced(text))
    text = _INVERSE.sub(r"\\arc\1 ", text)
    text = _INFINITY.sub(lambda m: ("-" if (m[1] or "").lower().startswith("neg") else "") + r"\infty ", text)
    if not _LONG_WORD.search(_NAMES.sub("", text)):
        text = _NAMES.sub(r"\\\1 ", text)
    return text


def _braced(text: str) -> str:
    """Calls and exponents in round brackets with braces."""
    start = 0
    while match := _CALL.search(text, start):
        end = closing(text, match.end() - 1)
        start = match.end()
        if end is None:
            continue
        content, after = text[match.end() : end], end + 1
        if "{" in match[0]:  # \exp{(2x)}
            if not text[after:].lstrip().startswith("}"):
                continue
            after = text.index("}", after) + 1
        opening, closer = {
            "sqrt": (r"\sqrt{", "}"),
            "cbrt": (r"\sqrt[3]{", "}"),
            "abs": ("|", "|"),
            "exp": ("e^{", "}"),
            "floor": (r"\lfloor ", r"\rfloor "),
            "ceil": (r"\lceil ", r"\rceil "),
            None: (rf"\sqrt[{match[2]}]{{" if match[2] else "^{", "}"),
        }[match[1]]
        text = text[: match.start()] + opening + content + closer + text[after:]
        start = match.start() + len(opening)
    return text


def closing(text: str, opened: int) -> int | None:
    """Where the bracket that opens at `opened` closes; None if it does not.

    >>> closing("f((x)+1)2", 1)
    7
    """
    depth = 0
    for i in range(opened, len(text)):
        depth += (text[i] in "({[") - (text[i] in ")}]")
        if depth == 0:
            return i
    return None
