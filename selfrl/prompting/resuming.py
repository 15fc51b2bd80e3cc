"""How a run begins, or goes on from where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfrl.prompting.roles import RoleName
from selfrl.prompting.run_record import FILE, Run, read_run, summed


def begin(out: Path, begun: dict[str, Any], samples: list[int]) -> Run:
    """The run in `out`, or a new one.

    Raises:
        ValueError: if the one there began with anything else; only `rounds` may have grown.
    """
    begun = json.loads(json.dumps(begun))
    if not (out / FILE).exists():
        return Run(begun, samples)
    state = read_run(out)
    old, new = flat(state.begun), flat(begun)
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if changed == ["settings.rounds"] and new["settings.rounds"] > old["settings.rounds"]:
        # what was decided at the end is decided anew after the further rounds, but its calls were made
        spent = [state.finals_usage, *([state.heldout.usage] if state.heldout else [])]
        return Run(begun, state.samples, state.rounds, finals_usage=summed(spent))
    if changed:
        raise ValueError(
            f"{out / FILE} is of a run that began with another {', '.join(changed)}: use the same, or another --out."
        )
    return state


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, under dotted names.

    >>> flat({"settings": {"rounds": 3}, "task": "t"})
    {'settings.rounds': 3, 'task': 't'}
    """
    found: dict[str, Any] = {}
    for name, part in value.items():
        found |= flat(part, f"{prefix}{name}.") if isinstance(part, Mapping) else {f"{prefix}{name}": part}
    return found


def no_reply(role: RoleName, what: object) -> ValueError:
    """An error for a role that could not be reached; what was done before it is kept."""
    where = what if isinstance(what, str) else f"round {what}"
    return ValueError(
        f"The {role} gave no reply ({where}): is its endpoint down, or the request too long? The same command goes on "
        "from here."
    )
