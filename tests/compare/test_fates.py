"""What became of each question, by hand and by counting."""

import io
import random
from typing import Any

import pytest
from rich.console import Console

from selfrl.compare.fates import FATES_HEAD, fate_rows, fates, fates_note, followed, run_fates
from selfrl.tables import wrapping_table
from selfrl.terciles import terciles


def result(arm: str, seed: int, start: list[list[float]], end: list[list[float]]) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "questions": [{"step": 0, "votes": start}, {"step": 9, "votes": end}]}


# question, n, right, majority_ratio, maj; by ratio 4 | 1, 0 | 3, 2 (of the equal ones, the lower question first)
START = [
    [0, 8, 0.5, 0.5, 1.0],
    [1, 8, 0.1, 0.5, 0.0],
    [2, 8, 1.0, 1.0, 1.0],
    [3, 8, 0.0, 0.75, 0.0],
    [4, 8, 0.2, 0.25, 0],
]
END = [
    [4, 8, 0.9, 0.9, 1.0],
    [3, 8, 0.0, 1.0, 0.0],
    [2, 8, 1.0, 1.0, 1.0],
    [1, 8, 0.9, 0.9, 1.0],
    [0, 8, 0.1, 0.5, 0.0],
]


def test_a_run_by_hand() -> None:
    """Questions 4 and 1 are learned, 2 is kept, 0 is lost, 3 stays wrong."""
    assert fate_rows([result("vote", 0, START, END)], ["vote"]) == [
        ["vote", "low", "0.0 → 100.0", "100.0", "0.0", "0.0", "0.0"],
        ["vote", "middle", "50.0 → 50.0", "50.0", "0.0", "50.0", "0.0"],
        ["vote", "high", "50.0 → 50.0", "0.0", "50.0", "0.0", "50.0"],
        ["vote", "all", "40.0 → 60.0", "40.0", "20.0", "20.0", "20.0"],
    ]


def test_rows_are_means_over_seeds_in_the_order_asked_for() -> None:
    runs = [result("vote", 0, START, END), result("vote", 1, START, START), result("random", 0, START, START)]
    rows = fate_rows(
        [*runs, {"arm": "old", "seed": 0}, {"arm": "old", "seed": 1, "questions": []}], [*"ab", "random", "old", "vote"]
    )
    assert [(row[0], row[1]) for row in rows] == [
        (arm, part) for arm in ("random", "vote") for part in ("low", "middle", "high", "all")
    ]
    assert rows[-1] == ["vote", "all", "40.0 → 50.0", "20.0", "30.0", "10.0", "40.0"]
    assert rows[3] == ["random", "all", "40.0 → 40.0", "0.0", "40.0", "0.0", "60.0"]


def test_terciles_are_those_of_each_runs_own_start() -> None:
    """The same question is in the low part of one run, and in the high part of another."""
    sure = [[q, 4, 1.0, ratio, maj] for q, ratio, maj in ((0, 0.25, 0.0), (1, 0.5, 1.0), (2, 1.0, 1.0))]
    other = [[q, 4, 1.0, ratio, maj] for q, ratio, maj in ((0, 1.0, 0.0), (1, 0.5, 1.0), (2, 0.25, 1.0))]
    rows = fate_rows([result("vote", 0, sure, sure), result("vote", 1, other, other)], ["vote"])
    assert [row[2] for row in rows] == ["50.0 → 50.0", "100.0 → 100.0", "50.0 → 50.0", "66.7 → 66.7"]


@pytest.mark.parametrize("count", [3, 4, 5, 100, 250])
def test_terciles_are_as_equal_as_they_come_and_ordered(count: int) -> None:
    rng = random.Random(count)
    ratios = {question: rng.randint(1, 8) / 8 for question in rng.sample(range(1000), count)}
    parts = terciles(ratios)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    ranks = [(ratios[question], question) for part in parts for question in part]
    assert ranks == sorted(ranks)
    assert len(ranks) == count


def test_shares_sum_to_all_and_to_the_accuracies() -> None:
    rng = random.Random(0)
    pairs = [(rng.choice([0.0, 0.5, 1 / 3, 1.0]), rng.choice([0.0, 0.5, 2 / 3, 1.0])) for _ in range(200)]
    found = fates(pairs)
    assert found.learned + found.kept + found.lost + found.still_wrong == pytest.approx(1)
    assert found.kept + found.lost == pytest.approx(found.start)
    assert found.kept + found.learned == pytest.approx(found.end)
    ratios = [rng.random() for _ in pairs]
    start, end = ([[q, 8, 0.5, ratios[q], pair[i]] for q, pair in enumerate(pairs)] for i in (0, 1))
    for row in fate_rows([result("vote", 0, start, end)], ["vote"]):
        assert sum(map(float, row[3:])) == pytest.approx(100, abs=0.2)  # each is rounded


def test_a_tie_that_falls_either_way_is_shared_out() -> None:
    assert fates([(0.5, 1.0)]) == (0.5, 1.0, 0.5, 0.5, 0.0, 0.0)
    assert fates([(0.25, 0.5)]) == (0.25, 0.5, 0.375, 0.125, 0.125, 0.375)


def test_empty_parts_have_no_rows() -> None:
    assert list(run_fates(START[:2], END[3:])) == ["middle", "high", "all"]


def test_other_questions_at_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="other questions at the end"):
        run_fates(START, END[1:])
    with pytest.raises(ValueError, match="Nothing became of no questions"):
        run_fates([], [])


def test_runs_without_both_ends_are_not_followed() -> None:
    whole = result("vote", 0, START, END)
    assert followed([whole, {**whole, "questions": whole["questions"][1:]}, {"arm": "vote"}]) == [whole]
    assert fates_note([whole]).startswith("What became of 5 questions by the majority of 8 completions, in percent")
    assert fates_note([whole, {"arm": "vote"}]).endswith("; 1 of 2 runs kept the votes.")


def test_the_table_fits_eighty_columns() -> None:
    rows = fate_rows([result("co_rewarding_iii", 0, START, END)], ["co_rewarding_iii"])
    out = io.StringIO()
    Console(file=out, width=80).print(wrapping_table(FATES_HEAD, rows))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    words = out.getvalue().split()
    assert all(word in words for row in (FATES_HEAD, *rows) for cell in row for word in cell.split())
