import json
from pathlib import Path

import pytest
from datasets import Dataset

from selfrl.data.loading import load_rows, to_prompts


def test_files_are_read_by_their_format(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "answer": "2"}, {"question": "2+2?", "answer": "4"}]
    jsonl = tmp_path / "rows.jsonl"
    jsonl.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert load_rows(str(jsonl)).to_list() == rows
    parquet = tmp_path / "rows.parquet"
    Dataset.from_list(rows).to_parquet(str(parquet))
    assert load_rows(str(parquet)).to_list() == rows


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ("nowhere.jsonl", "train", "does not exist"),
        (str(Path(__file__)), "train", "convert it"),
        ("tiny", "train", r"write train\[:N\]"),
        ("tiny", "test[:5]", r"write train\[:N\]"),
    ],
)
def test_bad_sources_are_refused(source: str, split: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_rows(source, split)


def test_questions_become_prompts() -> None:
    rows = Dataset.from_list([{"question": "1+1?", "paraphrase": "Add 1 to 1.", "prompt": "old"}])
    assert to_prompts(rows, "question")["prompt"][:] == ["1+1?"]
    row = to_prompts(rows, "question", system_prompt="Think.")[0]
    assert row["prompt"] == [{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1?"}]
    assert row["paraphrase"][1] == {"role": "user", "content": "Add 1 to 1."}
    with pytest.raises(ValueError, match="no column 'problem'"):
        to_prompts(rows, "problem")
    with pytest.raises(ValueError, match="is empty"):
        to_prompts(rows.select([]), "question")


def test_rows_without_a_prompt_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = Dataset.from_list([{"question": text} for text in ("1+1?", None, "  ", "2+2?")])
    assert to_prompts(rows, "question", "Think.").num_rows == 2
    assert "2 of 4 rows have no question and are left out." in caplog.text
    with pytest.raises(ValueError, match="All 1 rows of the data set have no question"):
        to_prompts(rows.select([1]), "question")


def test_a_view_without_a_prompt_takes_its_pair_with_it() -> None:
    rows = Dataset.from_dict({"prompt": ["a", None, "c", "d"], "pair_id": [1, 1, 2, 2], "view": [0, 1, 0, 1]})
    assert to_prompts(rows)["pair_id"][:] == [2, 2]
