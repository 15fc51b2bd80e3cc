"""Folders as runs leave them, with known figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def written_run(
    folder: Path,
    *,
    metrics: Sequence[Mapping[str, Any]] = (),
    alarms: Sequence[Mapping[str, Any]] = (),
    batches: Sequence[tuple[int, Sequence[Sequence[Any]]]] = (),
    rewards: Any = None,
    completions: Sequence[Mapping[str, Any]] = (),
    result: Mapping[str, Any] | None = None,
) -> Path:
    """A run's folder.

    Args:
        folder: made if it is not there.
        metrics: rows of `metrics.jsonl`.
        alarms: of the guard.
        batches: (step, prompts) of `records.jsonl`.
        rewards: of the recipe in `run.json`.
        completions: rows of TRL's table, all of one step.
        result: of a comparison's run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text(lines(metrics))
    if alarms:
        (folder / "guard.jsonl").write_text(lines(alarms))
    if batches:
        (folder / "records.jsonl").write_text(lines([{"step": s, "prompts": list(prompts)} for s, prompts in batches]))
    if rewards is not None:
        about = {"started": "2026-01-01T00:00:00+00:00", "versions": {"trl": "1.16.0"}, "max_steps": 10}
        (folder / "run.json").write_text(json.dumps({**about, "recipe": {"rewards": rewards, "probe": {"task": "t"}}}))
    if completions:
        (folder / "completions").mkdir(exist_ok=True)
        step = completions[0]["step"]
        pd.DataFrame(list(completions)).to_parquet(folder / "completions" / f"completions_{step:05d}.parquet")
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def completion(step: int, text: str, **columns: Any) -> dict[str, Any]:
    """A row of TRL's table of completions."""
    row = {"step": step, "prompt": "2+2?", "completion": text, "R": 1.0, "key": "4", "label": "4", "advantage": 0.5}
    return {**row, **columns}


def result_of(arm: str, seed: int, shares: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """What a comparison's run leaves, with each question's share of right completions at the start and the end."""
    ends = []
    for place, step in ((0, 0), (1, 10)):
        right = [pair[place] for pair in shares]
        ends.append({"step": step, "avg": sum(right) / len(right), "questions": len(right), "n": 4})
    votes = [[[i, 4, pair[place], 1.0, round(pair[place])] for i, pair in enumerate(shares)] for place in (0, 1)]
    questions = [{"step": step, "votes": rows} for step, rows in zip((0, 10), votes, strict=True)]
    return {"arm": arm, "seed": seed, "curve": ends, "ends": ends, "questions": questions, "labels": [], "seconds": 9.0}
