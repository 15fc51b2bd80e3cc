"""Which options of a multiple-choice question an answer names."""

from __future__ import annotations

import re

_WRAPPED = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textrm|boxed|fbox|emph)\s*\{([^{}]*)\}")
_MARKS = re.compile(r"^[\s\"'`*$:]+|[\s\"'`*.,;$]+$")
_SAID = r"(?i:the )?(?i:option|choice|answer)?\s?"
# "A dog" and "I think" are words
_LETTER = (
    r"(?:\(([A-Za-z])\)|\[([A-Za-z])\]|([B-HJ])(?![A-Za-z'])|([AI])(?![A-Za-z']|\s[a-z])"
    r"|([A-Za-z])(?=[).:](?:\s|$)|$))"
)
_OPTION = re.compile(_SAID + _LETTER)
_NEXT = re.compile(rf"[).:]?\s*(?:,|/|&|\b(?:or|and)\b)+\s*{_SAID}(?:\(([A-J])\)|\[([A-J])\]|([A-J])(?![A-Za-z']))")


def options_of(answer: str) -> list[str]:
    r"""The letters of the options that an answer names at its beginning; the text of the option may follow.

    >>> options_of("(B) dog"), options_of(r"\boxed{\text{B}}"), options_of("B or C"), options_of("A dog")
    (['B'], ['B'], ['B', 'C'], [])
    """
    text = bare(re.sub(r"[*`]+", "", answer))
    match = _OPTION.match(text)
    found = []
    while match is not None:
        found.append(next(filter(None, match.groups())).upper())
        match = _NEXT.match(text, match.end())
    return found


def bare(text: str) -> str:
    r"""A text without LaTeX's upright wrappers and boxes, and without marks around it.

    >>> bare(r"**\textbf{Yes}**.")
    'Yes'
    """
    count = 1
    while count:
        text, count = _WRAPPED.subn(lambda match: match[1], text)
    return _MARKS.sub("", text)
