"""Load prompts from a file, a hub name or the packaged problems, into the columns that trainers read."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset, load_dataset

from selfrl.conversation import conversation
from selfrl.data.tiny import tiny_problems

FILE_FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


def load_rows(source: str, split: str = "train", config: str | None = None) -> Dataset:
    """Rows of a data set, columns as they are.

    Args:
        source: a .jsonl, .json, .parquet or .csv file, "tiny" for the packaged problems, or a hub data set's name.
        split: split of a hub data set; of "tiny" with a count, as in "train[:512]" or "heldout[:200]".
        config: configuration name of a hub data set.

    Raises:
        ValueError: for a missing file, an unknown format or a malformed split of "tiny".

    Example:
        >>> load_rows("tiny", "heldout[:3]").num_rows
        3
    """
    if source == "tiny":
        name, _, count = split.removesuffix("]").partition("[:")
        if name not in ("train", "heldout") or not count.isdigit():
            raise ValueError(f"Split {split!r} of the tiny problems: write train[:N] or heldout[:N].")
        return tiny_problems(name, int(count))  # type: ignore[arg-type]
    path = Path(source)
    if path.suffix in FILE_FORMATS:
        if not path.is_file():
            raise ValueError(
                f"The data set {source} does not exist: check the path, or write it with `selfrl paraphrase`."
            )
        return load_dataset(FILE_FORMATS[path.suffix], data_files=source, split="train")
    if path.exists():
        raise ValueError(f"{source} is neither of {', '.join(FILE_FORMATS)}: convert it to one of them.")
    return load_dataset(source, config, split=split)


def to_prompts(rows: Dataset, prompt_column: str = "prompt", system_prompt: str | None = None) -> Dataset:
    """Rename the question column to `prompt`; with a system prompt, make it (and `paraphrase`) a conversation.

    Raises:
        ValueError: if the column is missing or there are no rows.
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
    if system_prompt is None:
        return rows
    texts = [c for c in ("prompt", "paraphrase") if c in rows.column_names]

    def converse(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
        return {c: conversation(system_prompt, row[c]) for c in texts}

    return rows.map(converse)
