"""What an answer is called: "x = 5", "Area = 12", "P(X > 2) = 0.3", "Total: 5"."""

from __future__ import annotations

import re

from selfrl.answers.characters import GREEK_NAMES
from selfrl.answers.kinds import is_outside, split_list

_GREEK = rf"\\(?:var)?(?:{'|'.join(GREEK_NAMES)}|Gamma|Delta|Lambda|Sigma|Phi|Omega)(?![a-zA-Z])"
_INDEX = r"(?:\s?_\s?(?:\{[^{}]*\}|\w))"
_LETTER = rf"(?:[a-zA-Z]|{_GREEK})\s?{_INDEX}?(?:\s?\^\{{-1\}}|\s?\^-1)?'{{0,2}}"
_WORD = r"(?:[A-Z]?[a-z']+(?:-[a-z]+)*|[A-Z]{1,4}|\\triangle)"
_FUNCTION = r"(?:[fghpqFGHPQENVT]'{0,2}|[a-zA-Z]{2,12})"
_SETS = r"[A-Z](?:\s?(?:\\cup|\\cap|\\setminus|,|\|)\s?[A-Z]'?)*"
_TRIGONOMETRIC = rf"\\(?:sin|cos|tan|cot|sec|csc)\s?\(?\s?(?:[a-zA-Z]|{_GREEK})\s?\)?"
_NAME = re.compile(
    rf"(?:{_LETTER}(?:\s?\([a-z]\))?"
    rf"|m?\\angle\s?[A-Z]{{1,3}}|\\triangle\s?[A-Z]{{3}}|[A-Z]{{2,3}}|\|[A-Z]{{2}}\||\\(?:overline|vec|hat|bar)\{{\w+\}}"
    rf"|\((?:[a-zA-Z](?:,\s?[a-zA-Z])+)\)"
    rf"|\[[A-Z]{{3,4}}\]|\|{_SETS}\||n\s?\({_SETS}\)"
    rf"|\\(?:Pr|det|dim|deg|min|max|gcd|lcm|sup|inf|measuredangle|lim)(?![a-zA-Z]).*"
    rf"|(?=[^=]*[a-zA-Z][a-z]{{2}}){_WORD}(?:\s{_WORD}){{0,7}}{_INDEX}?)"
)
_APPLIED = re.compile(rf"{_FUNCTION}{_INDEX}?\s?[(\[].*[)\]]|[a-zA-Z]\s?\(\d+(?:,\s?\d+)*\)")
_SEGMENT = re.compile(r"[A-Z]{2,3}")
_SINGLE = re.compile(_LETTER)
_LABEL = re.compile(rf"(?=[^:]*[a-zA-Z][a-z]{{2}}){_WORD}(?:\s{_WORD}){{0,7}}\s?:\s*(?=\S)")
_PROSE = re.compile(
    rf"(?:{_WORD}\s){{1,7}}(?:is|are|equals)\s+(?=[-+\d\\.])|(?i:approx(?:\.|imately)?|about|roughly|around|ans\.?:?)\s+"
)
_COMMAND = re.compile(r"\\(?:text|mathrm)\{[^{}]*\}|\\[a-zA-Z]+|(?<=\d)\s[a-z]{4,}$")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|approx|equiv)(?![a-zA-Z])")
_STRIPPED = ("=", r"\in", r"\approx")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:[\d.,]+|\\frac\{\d+\}\{\d+\})(?:\s?/\s?\d+)?")


def without_name(text: str) -> str:
    r"""The value of an answer with a name: one that stands left, or alone right, of the only relation outside brackets.

    Nothing goes where several values have names, or where the left side is no name: 2x = 3 stays.

    >>> [without_name(a) for a in ("x = 5", "Area = 12", "P(X>2)=0.3", "5 = x", "Total: 5", r"x \in [0,1)")]
    ['5', '12', '0.3', '5', '5', '[0,1)']
    >>> [without_name(a) for a in ("2x = 3", "x=1, y=2", "x+y=5", "x<3", "a:b")]
    ['2x = 3', 'x=1, y=2', 'x+y=5', 'x<3', 'a:b']
    """
    labels = list(_LABEL.finditer(text))
    if len(labels) == 1 and labels[0].start() == 0:
        text = text[labels[0].end() :]
    text = _PROSE.sub("", text, count=1) if _PROSE.match(text) else text
    text = re.sub(r"^\s*(?:=(?!=)|\\approx\b)\s*", "", text)
    relations = [match for match in _RELATION.finditer(text) if is_outside(text, match.start())]
    if len(relations) > 1:
        return _last_of_chain(text, relations)
    if not relations or relations[0][0] not in _STRIPPED:
        return text
    left, right = text[: relations[0].start()].strip(), text[relations[0].end() :].strip()
    if not left or not right:
        return text
    segments = _SEGMENT.fullmatch(left) and _SEGMENT.fullmatch(right)
    if (is_name(left) and not segments) or (re.fullmatch(_TRIGONOMETRIC, left) and _PLAIN_NUMBER.fullmatch(right)):
        return right
    if relations[0][0] != "=":
        return text
    if _is_value(left) and _is_value(right):  # 2 + 3 = 5
        return right
    alone = _SINGLE.fullmatch(right) or _APPLIED.fullmatch(right)
    return left if alone and right not in left and "," not in left else text


def _last_of_chain(text: str, relations: list[re.Match[str]]) -> str:
    """The last value of "P = 6/36 = 1/6"; the text itself if it is no such chain."""
    if any(relation[0] != "=" for relation in relations):
        return text
    ends = [*(relation.start() for relation in relations), len(text)]
    first, *values = (
        text[start:end].strip() for start, end in zip([0, *(r.end() for r in relations)], ends, strict=True)
    )
    return values[-1] if (is_name(first) or _is_value(first)) and all(map(_is_value, values)) else text


def _is_value(text: str) -> bool:
    r"""Whether a text is a number or made of numbers: no letters but those of commands, pi and units aside."""
    return any(c.isdigit() for c in text) and not re.search(r"[a-zA-Z,<>]", _COMMAND.sub("", text))


def is_name(text: str) -> bool:
    r"""Whether a text can name a value.

    >>> [is_name(name) for name in ("x", "a_{n+1}", "P(X>2)", "number of ways", r"\lambda", "2x", "x(x+1)", "x+y")]
    [True, True, True, True, True, False, False, False]
    """
    return _NAME.fullmatch(text) is not None or (
        _APPLIED.fullmatch(text) is not None and split_list(text) is not None and not text.startswith("\\")
    )


def names_of(parts: list[str]) -> set[str]:
    """The names that stand before an equals sign in the parts of a list.

    >>> sorted(names_of(["x=1", "y = 2", "3"]))
    ['x', 'y']
    """
    halves = [part.partition("=" if "=" in part else ":") for part in parts]
    return {left.strip() for left, sign, _ in halves if sign and is_name(left.strip())}
