"""From the keys of a recipe to the parts of a curriculum."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import selfrl.selfplay
from selfrl.selfplay.creator import Creator
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.live_pool import LivePool
from selfrl.suggest import refuse_unknown

Made = TypeVar("Made")
_CURRICULUM = tuple(field.name for field in dataclasses.fields(CurriculumSettings))


def made(cls: Callable[..., Made], values: Any, where: str) -> Made:
    """An object from a mapping of its arguments.

    Raises:
        ValueError: for no mapping, an unknown key (with the nearest), a missing one, or a value of a wrong kind.

    Example:
        >>> made(GateSettings, {"low": 0.2}, "the gate").low
        0.2
        >>> made(GateSettings, {"lo": 0.2}, "the gate")
        Traceback (most recent call last):
        ...
        ValueError: Unknown key `lo` of the gate: did you mean `low`?
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} must be a mapping of keys to values.")
    for key in values:
        refuse_unknown("key", str(key), inspect.signature(cls).parameters, f"of {where}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{where} cannot be made: {error}.") from error


def creator_of(value: Any) -> Creator:
    """A creator from its name, or a mapping of its name to its arguments.

    Raises:
        ValueError: for an unknown name, or arguments that it does not take.

    Example:
        >>> creator_of({"ProceduralCreator": {"space": "chains"}}).space.name
        'chains'
    """
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, Mapping) or len(named) != 1:
        raise ValueError("`creator` must name one creator, as in {ProceduralCreator: {space: chains}}.")
    ((name, options),) = named.items()
    refuse_unknown("creator", name, selfrl.selfplay.__all__)
    created: Creator = made(getattr(selfrl.selfplay, name), options or {}, name)
    return created


def curriculum_of(keys: Mapping[str, Any], where: str) -> tuple[CurriculumSettings, dict[str, Any]]:
    """The settings among some keys, and the other keys."""
    own = {name: keys[name] for name in _CURRICULUM if name in keys}
    if "gate" in own:
        gate = own["gate"]
        if isinstance(gate, Mapping) and gate.get("mode") is False:
            gate = {**gate, "mode": "off"}  # YAML reads an unquoted off as False
        own["gate"] = made(GateSettings, gate, f"`gate` of {where}")
    settings = made(CurriculumSettings, own, where)
    return settings, {name: value for name, value in keys.items() if name not in _CURRICULUM}


def live_pool_of(keys: Any, where: str = "`pool`") -> LivePool:
    """A pool from the keys of a training recipe: those of [`CurriculumSettings`] and of [`LivePool`] in one mapping.

    Raises:
        ValueError: for a mapping without a creator, or as [`made`].

    Example:
        >>> live_pool_of({"creator": "ProceduralCreator", "measure": "variance", "every": 2}).every
        2
    """
    if not isinstance(keys, Mapping) or "creator" not in keys:
        raise ValueError(f"{where} must name its creator, as in {{creator: {{ProceduralCreator: {{space: chains}}}}}}.")
    known = {*_CURRICULUM, *inspect.signature(LivePool).parameters} - {"settings"}
    for key in keys:
        refuse_unknown("key", str(key), known, f"of {where}")
    settings, rest = curriculum_of(keys, where)
    return made(LivePool, {**rest, "creator": creator_of(keys["creator"]), "settings": settings}, where)
