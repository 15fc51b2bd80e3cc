"""What a recipe says of its guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from selfrl.monitor.detector import Limits
from selfrl.monitor.guard import LIMITS, Action

_NUMBERS = ("single", "joint", "slack", "window")


@dataclass(frozen=True)
class GuardSettings:
    """A guard of a recipe.

    Args:
        action: see [`selfrl.monitor.guard.CollapseGuard`].
        then: keys of the recipe that are other ones after a rollback; none is a tenth of the learning rate.
        limits: when the guard alarms.
    """

    action: Action = "warn"
    then: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = LIMITS


def guard_of(value: Any) -> GuardSettings | None:
    """The recipe's key `guard`: an action, "off", or a mapping.

    Args:
        value: "warn", "stop", "rollback", "off" (which YAML reads as False), or a mapping with `action`, `then`, and
            numbers of [`selfrl.monitor.detector.Limits`].

    Raises:
        ValueError: for anything else.

    Example:
        >>> guard_of("off"), guard_of({"action": "rollback", "then": {"beta": 0.4}, "window": 30}).limits.window
        (None, 30)
    """
    if value is False or value == "off":
        return None
    keys: Any = {"action": value} if isinstance(value, str) else value
    if not isinstance(keys, Mapping):
        raise ValueError("`guard` must be warn, stop, rollback, off, or a mapping such as {action: rollback}.")
    unknown = set(keys) - {"action", "then", *_NUMBERS}
    if unknown:
        known = ", ".join(("action", "then", *_NUMBERS))
        raise ValueError(f"`guard` takes {known}, not {', '.join(sorted(map(str, unknown)))}.")
    action, then = keys.get("action", "warn"), keys.get("then") or {}
    if action not in get_args(Action):
        raise ValueError(f"`guard` is {action!r}: choose one of {', '.join(get_args(Action))}, off.")
    if not isinstance(then, Mapping) or (then and action != "rollback"):
        raise ValueError("`then` of the guard must map recipe keys to values, and goes with `action: rollback`.")
    numbers = {name: keys[name] for name in _NUMBERS if name in keys}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
            raise ValueError(f"`{name}` of the guard is {number!r}: it must be a number above 0.")
    return GuardSettings(action, dict(then), LIMITS._replace(**numbers))
