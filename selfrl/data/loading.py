"""Load prompts from a file, a hub name or the packaged problems, into the columns that trainers read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from pyarrow.parquet import ParquetFile

from selfrl.conversation import conversation, with_system
from selfrl.data.missing import left_out, missing_rows
from selfrl.data.row_files import read_row_file
from selfrl.data.sum_chains import tiny_chains
from selfrl.data.tiny import tiny_problems

PACKAGED: dict[str, Callable[[Any, int], Dataset]] = {"tiny": tiny_problems, "tiny_chains": tiny_chains}
FILE_FORMATS = (".jsonl", ".json", ".parquet", ".csv")


def load_rows(source: str, split: str = "train", config: str | None = None) -> Dataset:
    """Rows of a data set, columns as they are.

    Args:
        source: a .jsonl, .json, .parquet or .csv file, a folder that `selfrl pretext` wrote, "tiny" or
            "tiny_chains" for packaged problems, or a hub data set's name.
        split: split of a hub data set or a folder; of packaged problems with a count, as in "train[:512]" or
            "heldout[:200]".
        config: configuration name of a hub data set.

    Raises:
        ValueError: for a missing file, one that is malformed or holds no rows, an unknown format, a split that a folder
            does not have, or a malformed one of "tiny".

    Example:
        >>> load_rows("tiny", "heldout[:3]").num_rows
        3
    """
    if source in PACKAGED:
        name, _, count = split.removesuffix("]").partition("[:")
        if name not in ("train", "heldout") or not count.isdigit():
            raise ValueError(f"Split {split!r} of the {source} problems: write train[:N] or heldout[:N].")
        return PACKAGED[source](name, int(count))
    path = Path(source)
    if path.suffix in FILE_FORMATS:
        if not path.is_file():
            raise ValueError(
                f"The data set {source} does not exist: check the path, or write it with `selfrl paraphrase`."
            )
        return _parquet(source) if path.suffix == ".parquet" else read_row_file(path)
    if path.is_dir():
        return _folder(path, split)
    if path.exists():
        raise ValueError(f"{source} is neither of {', '.join(FILE_FORMATS)}: convert it to one of them.")
    return load_dataset(source, config, split=split)


def _folder(path: Path, split: str) -> Dataset:
    """A split of a folder of files SPLIT-*.parquet."""
    name = split.partition("[")[0]
    files = sorted(map(str, path.glob(f"{name}-*.parquet")))
    if not files:
        raise ValueError(
            f"{path} holds no {name}-*.parquet: check dataset_split, or build it with `selfrl pretext build`."
        )
    return load_dataset("parquet", data_files={name: files}, split=split)


def _parquet(source: str) -> Dataset:
    if ParquetFile(source).metadata.num_rows == 0:
        raise ValueError(f"{source} holds no rows: check the file.")
    return load_dataset("parquet", data_files=source, split="train")


def to_prompts(rows: Dataset, prompt_column: str = "prompt", system_prompt: str | None = None) -> Dataset:
    """Rename the question column to `prompt`; with a system prompt, make it (and `paraphrase`) a conversation under it.

    Rows without a prompt are left out, with the other view of their pair, and counted in a warning.

    Raises:
        ValueError: if the column is missing or there are no rows with a prompt.
    """
    if prompt_column not in rows.column_names:
        raise ValueError(
            f"The data set has no column {prompt_column!r} (it has {rows.column_names}): set prompt_column."
        )
    if len(rows) == 0:
        raise ValueError("The data set is empty: check its path, split and filters.")
    if prompt_column != "prompt":
        rows = rows.remove_columns([c for c in rows.column_names if c == "prompt"])
        rows = rows.rename_column(prompt_column, "prompt")
    missing = missing_rows(rows["prompt"])
    if missing and "pair_id" in rows.column_names:
        broken = {rows["pair_id"][i] for i in missing}
        missing = [i for i, pair_id in enumerate(rows["pair_id"]) if pair_id in broken]
    rows = left_out(rows, missing, f"no {prompt_column}")
    if system_prompt is None:
        return rows
    texts = [c for c in ("prompt", "paraphrase") if c in rows.column_names]

    def converse(row: dict[str, Any]) -> dict[str, Any]:
        return {c: None if row[c] is None else _under(system_prompt, row[c]) for c in texts}

    return rows.map(converse)


def _under(system_prompt: str, prompt: Any) -> list[dict[str, Any]]:
    return conversation(system_prompt, prompt) if isinstance(prompt, str) else with_system(prompt, system_prompt)
