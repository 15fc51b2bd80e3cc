"""A shopper's reply, read from model text without trusting it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

TYPES = ("terminate", "click", "type_and_submit")
MAX_TEXT = 20_000
_FENCED = re.compile(r"```[a-zA-Z]{0,10}\n(.*)```", re.DOTALL)
_RATIONALE = re.compile(r'"rationale"[ \t\r\n]{0,9}:[ \t\r\n]{0,9}("(?:[^"\\]|\\.)*")', re.DOTALL)


class Action(NamedTuple):
    """What a shopper does: `type` is one of TYPES, `name` the element acted on, `text` what is typed."""

    type: str
    name: str | None = None
    text: str | None = None


class Reply(NamedTuple):
    """A reply: its action, None if of no known form, and where its rationale stands in the text, None if empty."""

    action: Action | None
    rationale_span: tuple[int, int] | None


def read_reply(text: str) -> Reply | None:
    """A reply with both keys; None for anything else: no JSON, a key missing or doubled, NaN, over 20,000 characters.

    >>> reply = read_reply('{"rationale": "cheap", "action": {"type": "terminate"}}')
    >>> reply.action.type, reply.rationale_span
    ('terminate', (15, 20))
    """
    if len(text) > MAX_TEXT:
        return None
    fenced = _FENCED.fullmatch(text.strip())
    value = _strict_json(fenced[1] if fenced else text)
    if not isinstance(value, dict) or not isinstance(value.get("rationale"), str) or "action" not in value:
        return None
    span = None
    for match in _RATIONALE.finditer(text):
        # Inside the action there may be another one: the key at the top counts.
        if value["rationale"].strip() and _strict_json(match[1]) == value["rationale"]:
            span = (match.start(1) + 1, match.end(1) - 1)
            break
    return Reply(read_action(value["action"]), span)


def read_action(value: Any) -> Action | None:
    """An action from a mapping or its JSON text; None if its type is unknown or an attribute is no text.

    >>> read_action('{"type": "click", "name": " Buy "}')
    Action(type='click', name='Buy', text=None)
    """
    if isinstance(value, str):
        value = _strict_json(value[: MAX_TEXT + 1]) if len(value) <= MAX_TEXT else None
    if not isinstance(value, Mapping) or value.get("type") not in TYPES:
        return None
    attributes = [value.get(key) for key in ("name", "text")]
    if not all(attribute is None or isinstance(attribute, str) for attribute in attributes):
        return None
    name, text = (None if attribute is None else attribute.strip() or None for attribute in attributes)
    return Action(value["type"], name, text)


def _strict_json(text: str) -> Any:
    """The value of a JSON text without doubled keys and without NaN; None for anything else."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
