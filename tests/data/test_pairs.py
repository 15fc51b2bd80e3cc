import pytest
from datasets import Dataset

from selfrl.data.pairs import expand_pairs, pair_rows


def test_expanded_views_stand_together_and_share_other_columns() -> None:
    rows = [{"prompt": f"p{i}", "paraphrase": f"q{i}", "answer": str(i)} for i in range(3)]
    pairs = expand_pairs(Dataset.from_list(rows))
    assert pairs["prompt"][:] == ["p0", "q0", "p1", "q1", "p2", "q2"]
    assert pairs["answer"][:] == ["0", "0", "1", "1", "2", "2"]
    assert pair_rows(pairs) == [(0, 1), (2, 3), (4, 5)]


def test_a_given_pair_id_is_kept() -> None:
    pairs = expand_pairs(Dataset.from_list([{"prompt": "p", "paraphrase": "q", "pair_id": "gsm-7"}]))
    assert pairs["pair_id"][:] == ["gsm-7", "gsm-7"]


@pytest.mark.parametrize(
    ("ids", "views", "message"),
    [
        (["a", "b", "b"], [0, 0, 1], "Pair 'a' has only view 0"),
        (["a", "a"], [1, 1], "both view 1"),
        (["a", "a"], [0, 2], "must be 0 or 1"),
    ],
)
def test_broken_pairs_are_refused(ids: list[str], views: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_rows(Dataset.from_dict({"pair_id": ids, "view": views}))


def test_missing_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="no `view` column"):
        pair_rows(Dataset.from_dict({"pair_id": [1, 1]}))
    with pytest.raises(ValueError, match="no column 'paraphrase'"):
        expand_pairs(Dataset.from_dict({"prompt": ["x"]}))


def test_rows_without_a_paraphrase_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = Dataset.from_dict({"prompt": ["a", "b", None], "paraphrase": ["A", None, "C"]})
    assert [(row["pair_id"], row["prompt"]) for row in expand_pairs(rows)] == [(0, "a"), (0, "A")]
    assert "2 of 3 rows have no prompt or no paraphrase and are left out." in caplog.text
    with pytest.raises(ValueError, match="All 1 rows"):
        expand_pairs(rows.select([1]))
