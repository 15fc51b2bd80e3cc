"""How a task reads the answer out of a completion: by the convention it asks for, or by any."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

from selfrl.answers.boxes import last_boxes
from selfrl.answers.extract import CONVENTIONS, Convention, answering_part, extract_by
from selfrl.answers.statement import statements
from selfrl.eval.options import options_of
from selfrl.rewards.pretext_answers import tagged

MAX_LITERAL = 4000
_LETTERED = re.compile(r"\(([A-J])\)")
# "A dog" and "I think" are words
_LETTER = re.compile(r"(?<![A-Za-z'])([B-HJ](?![A-Za-z'])|[AI](?![A-Za-z']|\s[a-z]))")


def _choice_is(text: str) -> str | None:
    """What the last statement that names an option says: its letter, or the whole of it where it names several."""
    for span in statements(text, choice=True):
        said = text[slice(*span)]
        if boxes := last_boxes(said):
            said = said[boxes[0].start : boxes[-1].end]
        if options := options_of(said):
            return said if len(options) > 1 else options[0]
    return None


def _last_choice(text: str) -> str | None:
    found = _LETTERED.findall(text) or _LETTER.findall(text)
    return found[-1] if found else None


def _brackets(text: str) -> str | None:
    start = text.rfind("[ANSWER]")
    inside = text[start + len("[ANSWER]") :] if start >= 0 else text
    inside, closed, _ = inside.partition("[/ANSWER]")
    return _short(inside) if start >= 0 or closed else None


def _last_line(text: str) -> str | None:
    lines = text.strip().splitlines()
    return _short(lines[-1]) if lines else None


def _first_line(text: str) -> str | None:
    lines = text.strip().splitlines()
    return _short(lines[0]) if lines else None


def _short(text: str) -> str | None:
    text = text.strip()
    return text if 0 < len(text) <= MAX_LITERAL else None


WHOLE: dict[str, Callable[[str], str | None]] = {"tag": tagged}  # which read thoughts, too, as their reward does
FINDERS: dict[str, Callable[[str], str | None]] = {
    "choice_is": _choice_is,
    "last_choice": _last_choice,
    "brackets": _brackets,
    "first_line": _first_line,
    "last_line": _last_line,
}
RULES = (*CONVENTIONS, *FINDERS, *WHOLE)


def find(text: str, rules: Sequence[str]) -> str | None:
    r"""The answer by the first rule that finds one.

    The rules are the conventions of [`selfrl.answers.extract`] (`boxed`, `answer_tag`, `hashes`, `answer_is`,
    `last_number`) and `choice_is` ("the answer is (B)"), `last_choice`, `brackets` ([ANSWER]…[/ANSWER]),
    `first_line` and `last_line`, and `tag`, the last complete pair of answer tags wherever it stands, as
    [`selfrl.rewards.PretextReward`] reads it. For the others, as in [`selfrl.answers.extract`], what follows a thought
    is searched, and a thought or a last box that is not over states nothing.

    Example:
        >>> find(r"So \boxed{7}.", ["hashes", "boxed"]), find("It is 7.", ["boxed"])
        ('7', None)
        >>> find("(A) is wrong, so (B).", ["choice_is", "last_choice"])
        'B'
    """
    after = answering_part(text)
    part = None if after is None else text[slice(*after)]
    for rule in rules:
        if rule in WHOLE:
            found = WHOLE[rule](text)
        elif part is None:
            continue
        else:
            found = FINDERS[rule](part) if rule in FINDERS else extract_by(part, cast(Convention, rule))
        if found is not None:
            return found
    return None
