"""The canonical key of an answer: equal answers share one, by spelling and exact arithmetic alone."""

from __future__ import annotations

import re
from functools import lru_cache

from selfrl.answers.extract import boxed
from selfrl.answers.kinds import WORDS, split_list
from selfrl.answers.limits import MAX_ANSWER, MAX_NESTING, is_unsafe
from selfrl.answers.normalize import plain_characters, spelling, squeeze, unwrapped
from selfrl.answers.numbers import exact_number, join_thousands
from selfrl.answers.units import without_unit

_CHOICE = re.compile(r"(?i:option |choice |answer )?\(\s?([A-J])\s?\)|(?i:option |choice )?([A-J])[.):]?")
_NAME = re.compile(
    r"(?:([a-zA-Z](?:_\{?\w\}?)?(?:\^\{-1\})?'?(?:\([a-z]\))?|\\theta|[A-Z]{2,3}|m?\\angle\s?[A-Z]{1,3}"
    r"|\([a-zA-Z](?:,\s?[a-zA-Z])+\))\s?(?:=|\\in\b|\\approx\b)|(?:=|\\approx\b))\s?(?!=)"
)
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|approx)(?![a-zA-Z])")
_CONJUNCTION = re.compile(r",?\s(?:and|or)\s")


def canonical_key(answer: str) -> str | None:
    r"""Key of an answer text; None if there is none, or if it is unsafe to handle.

    Numbers become exact fractions: `1/2`, `\frac12`, `0.5`, `50/100` share the key "1/2". A percent sign is
    dropped, as graders in this field do, so `50\%` is "50". Sets and comma lists are ordered and de-duplicated,
    tuples and intervals keep their order and brackets. Choice letters lose brackets and dots. Words are case-folded,
    symbols are not (x and X differ). Units and currencies go, and so does a leading "x =", unless several names are
    given values. What remains is LaTeX without blanks, which [`merge_keys`] can compare.

    Abstains (None) on empty text, over 1000 characters, control or right-to-left characters, and on what
    [`selfrl.answers.limits.is_unsafe`] refuses.

    Example:
        >>> [canonical_key(a) for a in (r"\frac12", "0.50", "$1/2$", r"\dfrac{2}{4}")]
        ['1/2', '1/2', '1/2', '1/2']
        >>> [canonical_key(a) for a in (r"\{3, 1, 1\}", "(3, 1]", "(B)", "x = 5 cm", "9^{9^9}")]
        ['\\{1,3\\}', '(3,1]', 'B', '5', None]
    """
    return None if len(answer) > MAX_ANSWER else _canonical_key(answer)


@lru_cache(maxsize=16384)
def _canonical_key(answer: str) -> str | None:
    if answer.lstrip().startswith((r"\boxed", r"\fbox")):
        answer = boxed(answer) or ""
    text = plain_characters(answer)
    if text is None or is_unsafe(text := spelling(text)):
        return None
    key = _key(text, MAX_NESTING)
    return None if not key or is_unsafe(key) else key  # once more: a wrapper may have hidden what it holds


def _key(text: str, levels: int) -> str:
    text = unwrapped(_without_braces(without_unit(_without_name(text))))
    text = without_unit(_without_name(text))  # what a wrapper held
    if match := _CHOICE.fullmatch(text):
        return match[1] or match[2]
    squeezed = squeeze(text.rstrip("% "))
    number = exact_number(text.rstrip("% "))  # a mixed number, "1 1/2", needs its space
    if number is None:
        number = exact_number(join_thousands(squeezed))
    if number is not None:
        return str(number)
    if levels == 0:
        return squeezed
    if WORDS.fullmatch(text):
        return _list_key(text, levels) or text.casefold()
    return _union_key(text, levels) or _bracket_key(text, levels) or _list_key(text, levels) or squeezed


def _union_key(text: str, levels: int) -> str | None:
    parts = re.split(r"\\cup(?![a-zA-Z])", text)
    if len(parts) == 1:
        return None
    return r"\cup".join(sorted(_key(part.strip(), levels - 1) for part in parts))


def _bracket_key(text: str, levels: int) -> str | None:
    if text.startswith(r"\{") and text.endswith(r"\}"):
        parts = split_list(text[2:-2])
        return None if parts is None else _set_key(parts, levels)
    if text[:1] in ("(", "[") and text[-1] in ")]" and (parts := split_list(text[1:-1])) is not None:
        if len(parts) == 1:
            whole = text[0] == "(" and text[-1] == ")"
            return _key(parts[0].strip(), levels - 1) if whole else None
        return text[0] + ",".join(_key(part.strip(), levels - 1) for part in parts) + text[-1]
    return None


def _list_key(text: str, levels: int) -> str | None:
    """A top-level list without brackets, "1, 2" or "1 and 2", is a set."""
    parts = split_list(_CONJUNCTION.sub(",", text))
    if parts is None or len(parts) == 1 or not all(part.strip() for part in parts):
        return None
    if WORDS.fullmatch(text) and any(len(part.split()) > 1 for part in parts):
        return None  # a sentence, not a list
    return _set_key(parts, levels)


def _set_key(parts: list[str], levels: int) -> str:
    names = [match[1] for part in parts if (match := _NAME.match(part.strip()))]
    if len(set(names)) > 1:  # x=1, y=2 is not y=1, x=2
        return r"\{" + ",".join(sorted({squeeze(unwrapped(part)) for part in parts})) + r"\}"
    return r"\{" + ",".join(sorted({_key(part.strip(), levels - 1) for part in parts})) + r"\}"


def _without_name(text: str) -> str:
    """Remove a leading "x =" if that is the only relation in `text`."""
    match = _NAME.match(text)
    return text[match.end() :] if match and len(_RELATION.findall(text)) == 1 else text


def _without_braces(text: str) -> str:
    while text.startswith("{") and text.endswith("}") and split_list(text[1:-1]) is not None:
        text = text[1:-1].strip()
    return text
