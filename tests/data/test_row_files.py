"""Values of rows as they were written in their file."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfrl.data.loading import load_rows
from selfrl.data.row_files import column

HUGE = 123456789012345678901234567890


def load(tmp_path: Path, name: str, text: str) -> list[dict[str, Any]]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_rows(str(path)).to_list()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_whole_number_beyond_64_bits_is_kept(name: str, tmp_path: Path) -> None:
    rows = [{"q": "a", "answer": HUGE}, {"q": "b", "answer": 7}, {"q": "c", "answer": None}]
    text = json.dumps(rows) if name.endswith("json") else "\n".join(map(json.dumps, rows))
    assert [row["answer"] for row in load(tmp_path, name, text)] == [str(HUGE), "7", None]


def test_a_whole_number_beside_an_empty_cell_is_kept(tmp_path: Path) -> None:
    rows = load(tmp_path, "rows.csv", "q,answer\na,9007199254740993\nb,\n")
    assert [row["answer"] for row in rows] == [9007199254740993, None]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2"], [1, 2]),
        (["1.5", "2"], [1.5, 2.0]),
        ([str(HUGE), "2"], [str(HUGE), "2"]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["0.1234567890123456789", "1"], ["0.1234567890123456789", "1"]),
        (["007", "1"], ["007", "1"]),
        (["NA", "null"], ["NA", "null"]),
        (["nan", "1"], ["nan", "1"]),
        (["1e5", "2"], ["1e5", "2"]),
        (["", "x"], [None, "x"]),
        (["True", "False"], ["True", "False"]),
    ],
)
def test_cells_have_the_type_that_keeps_them(cells: list[str], values: list[Any], tmp_path: Path) -> None:
    rows = load(tmp_path, "rows.csv", "q,answer\n" + "".join(f"x,{cell}\n" for cell in cells))
    assert [row["answer"] for row in rows] == values


def test_quoted_cells_keep_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    assert load(tmp_path, "rows.csv", 'q,a\n"x, ""y""\nz",1\n') == [{"q": 'x, "y"\nz', "a": 1}]


def test_columns_that_some_rows_lack_are_null_there(tmp_path: Path) -> None:
    text = '{"q": "a"}\n\n{"q": "b", "hint": "h", "tags": ["x"]}\n'
    assert load(tmp_path, "rows.jsonl", text) == [
        {"q": "a", "hint": None, "tags": None},
        {"q": "b", "hint": "h", "tags": ["x"]},
    ]


def test_mixed_columns_are_texts() -> None:
    assert column([1, "x", None]) == ["1", "x", None]
    assert column([True, "x"]) == ["true", "x"]
    assert column([2**60, 0.5]) == [str(2**60), "0.5"]
    assert column([[1], None]) == [[1], None]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.jsonl", "", "holds no rows"),
        ("rows.jsonl", "\n\n", "holds no rows"),
        ("rows.json", "", "holds no rows"),
        ("rows.json", "[]", "holds no rows"),
        ("rows.csv", "", "holds no rows"),
        ("rows.csv", "a,b\n", "holds no rows"),
        ("rows.csv", "a,b\n1,2,3\n", "has 2 columns, but not in row 1"),
        ("rows.csv", "a,b\n1,2\n1\n", "has 2 columns, but not in row 2"),
        ("rows.jsonl", '{"a": 1}\n{"a"', "cannot be read"),
        ("rows.jsonl", "[1]\n", "must be a list of rows"),
        ("rows.json", '{"a": 1}', "must be a list of rows"),
        ("rows.jsonl", "[" * 100_000, "cannot be read"),
    ],
)
def test_malformed_and_empty_files_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load(tmp_path, name, text)


def test_an_empty_parquet_file_is_refused(tmp_path: Path) -> None:
    from datasets import Dataset

    path = tmp_path / "rows.parquet"
    Dataset.from_dict({"q": []}).to_parquet(str(path))
    with pytest.raises(ValueError, match="no rows"):
        load_rows(str(path))
