"""Paraphrase pairs: two views of one prompt, as rows joined on `pair_id`."""

from __future__ import annotations

from datasets import Dataset

from selfrl.data.missing import left_out, missing_rows


def expand_pairs(dataset: Dataset, paraphrase_column: str = "paraphrase") -> Dataset:
    """Turn rows of `prompt` and a paraphrase into two rows a pair, views 0 and 1, next to each other.

    A `pair_id` column is kept if there is one, else the row number is the id. Other columns go to both views. Rows that
    lack their prompt or their paraphrase are left out, and counted in a warning.

    Raises:
        ValueError: if either column is missing, or no row has both.

    Example:
        >>> pairs = expand_pairs(Dataset.from_list([{"prompt": "2+2?", "paraphrase": "Add 2 to 2.", "answer": "4"}]))
        >>> [(row["pair_id"], row["view"], row["prompt"]) for row in pairs]
        [(0, 0, '2+2?'), (0, 1, 'Add 2 to 2.')]
    """
    for column in ("prompt", paraphrase_column):
        if column not in dataset.column_names:
            raise ValueError(
                f"The data set has no column {column!r} (it has {dataset.column_names}): name the column that "
                "holds the paraphrases, or write one with `selfrl paraphrase`."
            )
    missing = {*missing_rows(dataset["prompt"]), *missing_rows(dataset[paraphrase_column])}
    kept = left_out(dataset, sorted(missing), f"no prompt or no {paraphrase_column}")
    numbers = [i for i in range(len(dataset)) if i not in missing]
    rows = []
    for index, row in zip(numbers, kept, strict=True):
        paraphrase = row.pop(paraphrase_column)
        pair_id = row.pop("pair_id", index)
        rows.append({**row, "pair_id": pair_id, "view": 0})
        rows.append({**row, "prompt": paraphrase, "pair_id": pair_id, "view": 1})
    return Dataset.from_list(rows)


def pair_rows(dataset: Dataset) -> list[tuple[int, int]]:
    """Row numbers (view 0, view 1) of every pair, in order of first appearance.

    Raises:
        ValueError: if a pair lacks a view, has one twice, or a view is neither 0 nor 1.

    Example:
        >>> pair_rows(Dataset.from_dict({"pair_id": ["a", "b", "b", "a"], "view": [0, 1, 0, 1]}))
        [(0, 3), (2, 1)]
    """
    if "view" not in dataset.column_names:
        raise ValueError("The data set has `pair_id` but no `view` column: add one that is 0 or 1 in every row.")
    found: dict[object, dict[int, int]] = {}
    for row, (pair_id, view) in enumerate(zip(dataset["pair_id"], dataset["view"], strict=True)):
        views = found.setdefault(pair_id, {})
        if view not in (0, 1):
            raise ValueError(f"Row {row} of the data set has view {view!r}: `view` must be 0 or 1.")
        if view in views:
            raise ValueError(f"Rows {views[view]} and {row} are both view {view} of pair {pair_id!r}: remove one.")
        views[view] = row
    for pair_id, views in found.items():
        if len(views) == 1:
            (view,) = views
            raise ValueError(
                f"Pair {pair_id!r} has only view {view}: drop it or add its other view "
                "(`selfrl paraphrase` writes whole pairs)."
            )
    return [(views[0], views[1]) for views in found.values()]
