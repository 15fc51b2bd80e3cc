"""Everything that a run wrote, read once."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from selfrl.monitor.guard import EVENTS
from selfrl.monitor.metrics_file import read_metrics
from selfrl.monitor.records_file import RECORDS, SeenPrompt, read_records
from selfrl.monitor.run_file import RUN, read_run, without_secrets
from selfrl.recipe_keys import CONTROLS, arguments_of
from selfrl.report.run_folders import METRICS, RunFolder

_PROBE = re.compile(r"probe/(?P<task>.+?)/(?P<final>final/)?(?P<kind>avg|maj)@(?P<n>\d+)")

Points = list[tuple[int, float]]


@dataclass(frozen=True)
class RunData:
    """A run, as far as it has come.

    Args:
        folder: where it lies, with its name.
        metrics: rows of `metrics.jsonl`.
        alarms: of the guard.
        batches: (step, prompts) of each scored batch.
        about: what `run.json` holds.
        result: of a comparison's finished run; None elsewhere.
    """

    folder: RunFolder
    metrics: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    batches: list[tuple[int, list[SeenPrompt]]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None

    @property
    def recipe(self) -> dict[str, Any]:
        """Its keys; none if it left none."""
        found: dict[str, Any] = self.about.get("recipe") or {}
        return found

    @property
    def rewards(self) -> list[str]:
        """Names of the rewards, as the recipe has them."""
        rewards = self.recipe.get("rewards")
        return list(arguments_of(rewards, "rewards", "RandomReward")) if rewards else []

    @property
    def is_control(self) -> bool:
        """Whether what it is rewarded for says nothing of right and wrong."""
        return bool(self.rewards) and set(self.rewards) <= set(CONTROLS.values())

    @property
    def last_step(self) -> int:
        """The last step that was logged."""
        return max((row["step"] for row in self.metrics), default=0)

    @property
    def tokens(self) -> float | None:
        """Tokens that the trainer saw, prompts included; None if that was not logged."""
        return max((row["num_tokens"] for row in self.metrics if row.get("num_tokens")), default=None)

    @property
    def seconds(self) -> float | None:
        """Seconds of its steps, without probes and start; None if that was not logged."""
        timed = [row for row in self.metrics if row.get("step_time") is not None]
        before = [0, *(row["step"] for row in timed)]
        spent = [row["step_time"] * (row["step"] - last) for row, last in zip(timed, before, strict=False)]
        return sum(spent) if spent else None

    def curve(self, *names: str) -> Points:
        """(step, value) of the first of these figures that was logged.

        >>> run = RunData(RunFolder(Path("a"), "a", None), [{"step": 1, "b": 0.5}, {"step": 2, "b": None}])
        >>> run.curve("a", "b")
        [(1, 0.5)]
        """
        for name in names:
            points = [(row["step"], row[name]) for row in self.metrics if row.get(name) is not None]
            if points:
                return points
        return []

    def probes(self) -> dict[tuple[str, int, bool, str], Points]:
        """(task, n, of the final measure, avg or maj) → its points."""
        found: dict[tuple[str, int, bool, str], Points] = {}
        for row in self.metrics:
            for name, value in row.items():
                if value is not None and (match := _PROBE.fullmatch(name)):
                    key = (match["task"], int(match["n"]), bool(match["final"]), match["kind"])
                    found.setdefault(key, []).append((row["step"], value))
        return found


def read_data(folder: RunFolder) -> RunData:
    """Read a run; what is not there is empty.

    Raises:
        ValueError: for a file that is damaged otherwise than in its last line.
    """
    path = folder.path
    about = _checked(path / RUN, read_run)
    if not about and (path / "recipe.yaml").is_file():
        about = {"recipe": without_secrets(yaml.safe_load((path / "recipe.yaml").read_text()) or {})}
    result = _checked(path / "result.json", _json)
    return RunData(
        folder,
        [row for row in _checked(path / METRICS, read_metrics) if "step" in row],
        [alarm for alarm in _checked(path / EVENTS, read_metrics) if "step" in alarm],
        _checked(path / RECORDS, read_records),
        about,
        result or None,
    )


def watched_files(folders: Sequence[RunFolder]) -> list[Path]:
    """The files that a report is made of."""
    names = (METRICS, EVENTS, RECORDS, RUN, "recipe.yaml", "result.json")
    files = [folder.path / name for folder in folders for name in names]
    return files + [file for folder in folders for file in sorted((folder.path / "completions").glob("*.parquet"))]


def _json(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None


def _checked(path: Path, read: Any) -> Any:
    try:
        return read(path)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): mend it, or move it away.") from error
