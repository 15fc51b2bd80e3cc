"""What an evaluation leaves on disk, and how it is read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfrl.eval.evaluation import TaskResult
from selfrl.eval.generating import shown
from selfrl.files import whole_file, write_whole

SCHEMA = pa.schema(
    [
        ("question", pa.int64()),
        ("sample", pa.int64()),
        ("text", pa.string()),
        ("prompt", pa.string()),
        ("gold", pa.string()),
        ("completion", pa.string()),
        ("finish_reason", pa.string()),
        ("completion_tokens", pa.int64()),
        ("answer", pa.string()),
        ("answer_flexible", pa.string()),
        ("key", pa.string()),
        ("correct", pa.bool_()),
        ("correct_flexible", pa.bool_()),
        ("images", pa.list_(pa.string())),
    ]
)


def sample_rows(result: TaskResult) -> list[dict[str, Any]]:
    """One row a completion; a conversation's prompt is JSON, and its pictures are small ones, as data URLs."""
    rows = []
    for question, group in zip(result.job.questions.questions, result.samples, strict=True):
        about = {
            "text": question.text,
            "prompt": shown(question.prompt),
            "gold": question.gold,
            "images": question.thumbnails,
        }
        rows += [{**asdict(sample), **about} for sample in group]
    return rows


def samples_file(out: Path, task: str) -> Path:
    """Where a task's samples are.

    >>> samples_file(Path("out"), "bbh:navigate").name
    'bbh_navigate.parquet'
    """
    return out / "samples" / (task.replace(":", "_").replace("/", "_") + ".parquet")


def write_samples(out: Path, result: TaskResult) -> None:
    """Write a task's samples as Parquet."""
    path = samples_file(out, result.job.task.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        pq.write_table(pa.Table.from_pylist(sample_rows(result), SCHEMA), part)


def result_entry(result: TaskResult) -> dict[str, Any]:
    """A task's part of `results.json`."""
    return {**result.job.facts(), "scores": asdict(result.scores), "seconds": round(result.seconds, 1)}


def write_results(out: Path, results: dict[str, Any]) -> None:
    """Write `results.json`, whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "results.json", json.dumps(results, indent=1) + "\n")


def read_results(out: Path) -> dict[str, Any]:
    """Read `results.json`.

    Raises:
        ValueError: if the folder holds none.
    """
    path = out / "results.json"
    if not path.is_file():
        raise ValueError(f"{out} holds no results.json: give a folder that `selfrl eval` wrote.")
    found = json.loads(path.read_text())
    if not isinstance(found, dict) or not isinstance(found.get("tasks"), dict):
        raise ValueError(f"{path} was not written by `selfrl eval`: give another folder.")
    return found


def question_scores(out: Path, task: str) -> dict[int, list[bool]]:
    """Verdicts of each question's completions, by its id; undecided counts as not right."""
    table = pq.read_table(samples_file(out, task), columns=["question", "sample", "correct"])
    groups: dict[int, list[bool]] = {}
    for row in sorted(table.to_pylist(), key=lambda row: (row["question"], row["sample"])):
        groups.setdefault(row["question"], []).append(bool(row["correct"]))
    return groups


def question_texts(out: Path, task: str, questions: Sequence[int]) -> dict[int, str]:
    """Texts of some questions."""
    wanted = set(questions)
    table = pq.read_table(samples_file(out, task), columns=["question", "text"])
    return {row["question"]: row["text"] for row in table.to_pylist() if row["question"] in wanted}
