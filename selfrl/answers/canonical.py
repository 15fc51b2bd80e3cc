"""The canonical key of an answer: equal answers share one, by spelling and exact arithmetic alone."""

from __future__ import annotations

import re
from functools import lru_cache

from selfrl.answers.characters import plain_characters
from selfrl.answers.extract import boxed
from selfrl.answers.kinds import WORDS, split_list
from selfrl.answers.limits import MAX_ANSWER, MAX_NESTING, is_unsafe
from selfrl.answers.names import names_of, without_name
from selfrl.answers.normalize import spelling, squeeze, unwrapped
from selfrl.answers.numbers import exact_number, join_groups, join_thousands, long_power
from selfrl.answers.units import without_unit
from selfrl.answers.worded import worded_number

_CHOICE = re.compile(r"(?i:the )?(?i:option |choice |answer )?(?:\(\s?([A-J])\s?\)|\[\s?([A-J])\s?\]|([A-J])[.):]?)")
_CONJUNCTION = re.compile(r",?\s*\\text\s?\{,?\s*(?:and|or)\s*\}\s*|,?\s(?:and|or)\s")
_SIGNS = re.compile(r"\\(pm|mp)(?![a-zA-Z])\s*")
_FALLING = re.compile(r"(>|\\ge(?![a-zA-Z]))\s?")
_CLOCK = re.compile(r"0?(\d{1,2}:\d{2}(?::\d{2})?|\d{1,2}(?= ?[aApP]))(?: ?([aApP])\.? ?[mM]\.?)?")


def canonical_key(answer: str) -> str | None:
    r"""Key of an answer text; None if there is none, or if it is unsafe to handle.

    Numbers become exact fractions: `1/2`, `\frac12`, `0.5`, `50/100` share the key "1/2". A percent sign is
    dropped, as graders in this field do, so `50\%` is "50". Sets and comma lists are ordered and de-duplicated,
    tuples and intervals keep their order and brackets. `\pm` makes a set of both. Choice letters lose brackets and
    dots. Words are case-folded, symbols are not (x and X differ). Units and currencies go, and so does a name ("x =",
    "Area =", "Total:"), unless several names are given values. What remains is LaTeX without blanks, which
    [`merge_keys`] can compare.

    Abstains (None) on empty text, over 1000 characters, control characters and such as turn the direction of writing,
    and on what [`selfrl.answers.limits.is_unsafe`] refuses.

    Example:
        >>> [canonical_key(a) for a in (r"\frac12", "0.50", "$1/2$", r"\dfrac{2}{4}")]
        ['1/2', '1/2', '1/2', '1/2']
        >>> [canonical_key(a) for a in (r"\{3, 1, 1\}", "(3, 1]", "(B)", "x = 5 cm", "9^{9^9}")]
        ['\\{1,3\\}', '(3,1]', 'B', '5', None]
        >>> [canonical_key(a) for a in ("60, 120", "60,120", r"\pm 3", "Area = 2 thirds", "4:30 p.m.")]
        ['\\{120,60\\}', '60120', '\\{-3,3\\}', '2/3', '4:30 pm']
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
    raw = _without_braces(_value(join_groups(text)))
    text = unwrapped(raw)  # once more, as a wrapper may have held a name or a unit
    text = _value(text if text.endswith("...") else text.rstrip(".,;: "))
    if match := _CHOICE.fullmatch(text):
        return match[1] or match[2] or match[3]
    if match := _CLOCK.fullmatch(text):
        return f"{match[1]} {match[2].lower()}m" if match[2] else match[1]
    squeezed = squeeze(text.rstrip("% "))
    number = exact_number(text.rstrip("% "))  # a mixed number, "1 1/2", needs its space
    if number is None:
        number = exact_number(join_thousands(text.rstrip("% "))) or exact_number(squeezed)
    if number is not None:
        return str(number)
    if levels == 0:
        return squeezed
    if WORDS.fullmatch(text):
        return _list_key(text, levels) or text.casefold()
    return (
        _union_key(text, levels)
        or _bracket_key(raw, levels)  # its members may have units of their own
        or _list_key(raw, levels)
        or _bracket_key(text, levels)
        or _list_key(text, levels)
        or _both_signs(text, levels)
        or _rising_chain(squeezed)
        or long_power(squeezed)
        or squeezed
    )


def _value(text: str) -> str:
    """A text without its name and unit, and with its words for numbers as numbers."""
    text = without_name(text)
    return without_unit(worded_number(text) or text)


def _union_key(text: str, levels: int) -> str | None:
    parts = re.split(r"\\cup(?![a-zA-Z])", text)
    if len(parts) == 1:
        return None
    return r"\cup".join(sorted(_key(part.strip(), levels - 1) for part in parts))


def _bracket_key(text: str, levels: int) -> str | None:
    if text.startswith(r"\{") and text.endswith(r"\}"):
        parts = _parts(text[2:-2])
        return None if parts is None else _set_key(parts, levels)
    if text[:1] in ("(", "[") and text[-1] in ")]" and (parts := _parts(text[1:-1])) is not None:
        if len(parts) == 1:
            whole = text[0] == "(" and text[-1] == ")"
            return _key(parts[0].strip(), levels - 1) if whole else None
        if r"\pm" in text or r"\mp" in text:
            return _both_signs(text, levels)
        return text[0] + ",".join(_key(part.strip(), levels - 1) for part in parts) + text[-1]
    return None


def _list_key(text: str, levels: int) -> str | None:
    """A top-level list without brackets, "1, 2" or "1 and 2", is a set; one thing said twice is that thing."""
    parts = _parts(_CONJUNCTION.sub(", ", text))
    if parts is None or len(parts) == 1 or not all(part.strip() for part in parts):
        return None
    if WORDS.fullmatch(text) and any(len(part.split()) > 1 for part in parts):
        return None  # a sentence, not a list
    return _set_key(parts, levels, alone=True)


def _parts(text: str) -> list[str] | None:
    """Members of a list: where a blank follows some commas, the others belong to numbers, as in "1,234, 5,678"."""
    parts = split_list(text)
    if parts is None or not any(part.startswith(" ") for part in parts[1:]):
        return parts
    whole = [parts[0]]
    for part in parts[1:]:
        joined = f"{whole[-1]},{part}"
        if join_thousands(joined.strip()) != joined.strip():
            whole[-1] = joined
        else:
            whole.append(part)
    return whole


def _both_signs(text: str, levels: int) -> str | None:
    r"""The set of both readings of `\pm` and `\mp`, which go together."""
    if not _SIGNS.search(text):
        return None
    return _set_key([_with_sign(text, minus) for minus in ("mp", "pm")], levels)


def _with_sign(text: str, minus: str) -> str:
    signed = _SIGNS.sub(lambda m: "-" if m[1] == minus else "+", text)
    return re.sub(r"(^|[({,=])\s*\+", r"\1", signed)


def _set_key(parts: list[str], levels: int, alone: bool = False) -> str:
    if len(names_of([unwrapped(part) for part in parts])) > 1:  # x=1, y=2 is not y=1, x=2
        return r"\{" + ",".join(sorted({squeeze(unwrapped(part)) for part in parts})) + r"\}"
    members = [_with_sign(part, minus) for part in parts for minus in (("mp", "pm") if _SIGNS.search(part) else ("",))]
    keys = sorted({_key(part.strip(), levels - 1) for part in members})
    return keys[0] if alone and len(keys) == 1 else r"\{" + ",".join(keys) + r"\}"


def _rising_chain(text: str) -> str | None:
    """A falling chain, as in 3>x>1, read from its end."""
    parts = _FALLING.split(text)
    if len(parts) != 5 or "<" in text or r"\le" in text:
        return None
    rising = {">": "<", r"\ge": r"\le"}
    return "".join(rising.get(part, part) if i % 2 else part for i, part in reversed(list(enumerate(parts))))


def _without_braces(text: str) -> str:
    while text.startswith("{") and text.endswith("}") and split_list(text[1:-1]) is not None:
        text = text[1:-1].strip()
    return text
