"""What every scored batch told of each prompt, as one line of `records.jsonl` in the output folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from selfrl.group_record import GroupRecord
from selfrl.monitor.metrics_file import keep_rows, read_metrics
from selfrl.monitor.watch import RecordCallback

RECORDS = "records.jsonl"


class SeenPrompt(NamedTuple):
    """What a line keeps of one prompt's group.

    Args:
        prompt_id: digest of the prompt.
        label: what elected right and wrong; None without one.
        label_is_right: None if that is not known.
        majority_ratio: share of the most common answer; None if nobody voted.
        reward: mean of the known rewards; None without any.
    """

    prompt_id: str
    label: str | None
    label_is_right: bool | None
    majority_ratio: float | None
    reward: float | None


class RecordsFile(RecordCallback):
    """Appends `{"step": …, "prompts": [[…], …]}` for each scored batch, a [`SeenPrompt`] a prompt.

    The main process writes. A resumed run first drops the batches that it will score again, a fresh one all.
    """

    part = "records_file"

    def __init__(self) -> None:
        self._path: Path | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop what is to be written again."""
        if not state.is_world_process_zero:
            return
        self._path = Path(args.output_dir) / RECORDS
        # a batch is scored before the steps that it is for: one of a step that was made is not scored again
        keep_rows(self._path, lambda row: row["step"] < state.global_step)

    def hear(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """Write a batch; logs nothing."""
        if self._path is not None and records:
            with self._path.open("a") as file:
                file.write(json.dumps({"step": records[0].step, "prompts": list(map(seen, records))}) + "\n")
        return {}


def seen(record: GroupRecord) -> SeenPrompt:
    """What is kept of a record.

    >>> seen(GroupRecord("a", 3, ("4", "5", "4"), "4", None, (1.0, None, 0.0), (3,) * 3, (False,) * 3))
    SeenPrompt(prompt_id='a', label='4', label_is_right=None, majority_ratio=0.6667, reward=0.5)
    """
    rewards = [reward for reward in record.rewards if reward is not None]
    ratio = record.majority_ratio
    return SeenPrompt(
        record.prompt_id,
        record.label,
        record.label_is_right,
        None if ratio is None else round(ratio, 4),
        round(fmean(rewards), 4) if rewards else None,
    )


def read_records(path: Path) -> list[tuple[int, list[SeenPrompt]]]:
    """(step, prompts) of each batch that was written whole."""
    return [(line["step"], [SeenPrompt(*prompt) for prompt in line["prompts"]]) for line in read_metrics(path)]
