"""Label histories, and accuracies of runs beside each other."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest
from support.written_runs import result_of, written_run

from selfrl.compare.comparison_report import differences
from selfrl.eval.statistics import difference_interval
from selfrl.monitor.records_file import SeenPrompt
from selfrl.report.end_tables import end_rows, paired_rows
from selfrl.report.prompt_grid import FLIPPED, MOST_PROMPTS, MOST_VISITS, NEW, NONE, SAME, prompt_grid
from selfrl.report.run_data import RunData, read_data
from selfrl.report.run_folders import find_runs


def prompt(name: str, label: str | None) -> SeenPrompt:
    return SeenPrompt(name, label, None, 0.5, 0.5)


def test_a_grid_counts_visits_and_says_what_became_of_each_label() -> None:
    batches = [
        (0, [prompt("a", "4"), prompt("b", "1")]),
        (1, [prompt("b", None)]),
        (2, [prompt("b", "2"), prompt("c", "7")]),
        (3, [prompt("b", "2"), prompt("a", "5")]),
    ]
    grid = prompt_grid(batches)
    assert (grid.prompts, grid.visits, grid.note) == (3, 4, "")
    assert [[visit[0] for visit in row] for row in grid.rows] == [[NEW, NONE, NEW, SAME], [NEW, FLIPPED], [NEW]]
    assert [visit[1] for visit in grid.rows[0]] == [0, 1, 2, 3]


def test_a_grid_that_is_cut_says_so() -> None:
    many = [
        (step, [prompt(str(i), "x" * 500) for i in range(MOST_PROMPTS + 5 if step == 0 else 3)])
        for step in range(MOST_VISITS + 9)
    ]
    grid = prompt_grid(many)
    assert len(grid.rows) == MOST_PROMPTS
    assert [len(row) for row in grid.rows[:4]] == [MOST_VISITS] * 3 + [1]
    assert grid.rows[0][0][1] == 9  # the last ones
    assert len(grid.rows[0][0][2]) < 100
    assert grid.note == "Shown: the 200 prompts visited most of 205 and the last 100 visits to each."


SHARES = {
    ("vote", 0): [(0.5, 1.0), (0.25, 0.5), (0.0, 0.25)],
    ("vote", 1): [(0.5, 0.75), (0.25, 0.75), (0.0, 0.25)],
    ("random", 0): [(0.5, 0.5), (0.25, 0.0), (0.0, 0.25)],
    ("random", 1): [(0.5, 0.25), (0.25, 0.5), (0.0, 0.0)],
}


def compared(folder: Path, shares: dict[tuple[str, int], list[tuple[float, float]]]) -> list[RunData]:
    for (arm, seed), pairs in shares.items():
        metrics = [{"step": 0, "probe/t/final/avg@4": 0.25, "probe/t/final/maj@4": 0.5}]
        metrics += [{"step": 10, "probe/t/final/avg@4": 0.5, "probe/t/final/maj@4": 0.75}]
        rewards = {"RandomReward" if arm == "random" else "MajorityVoteReward": {}}
        written_run(folder / arm / f"seed{seed}", metrics=metrics, rewards=rewards, result=result_of(arm, seed, pairs))
    return list(map(read_data, find_runs([folder])))


def test_paired_differences_are_those_of_a_comparison_and_of_its_votes(tmp_path: Path) -> None:
    runs = compared(tmp_path, SHARES)
    ((pair, seeds, points, over_seeds, over_questions),) = paired_rows(runs)
    assert (pair, seeds) == ("vote − random", "2")
    (expected,) = differences([run.result for run in runs if run.result is not None])
    assert [pair, points, over_seeds] == expected
    ends = {arm: [fmean(SHARES[arm, s][q][1] for s in (0, 1)) for q in range(3)] for arm in ("vote", "random")}
    low, high = difference_interval(ends["random"], ends["vote"])
    assert over_questions == f"{100 * low:+.1f} to {100 * high:+.1f}"
    rows = end_rows(runs)
    assert rows[0][0] == "random seed0 (control)"
    assert rows[2][:6] == ["vote seed0", "t", "avg@4, final measure", "25.0", "50.0 (step 10)", "+25.0"]
    low, high = difference_interval(*([pair[place] for pair in SHARES["vote", 0]] for place in (0, 1)))
    assert rows[2][6:] == [f"{100 * low:+.1f} to {100 * high:+.1f}", "50.0 → 75.0"]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({("vote", 0), ("random", 0)}, ["vote − random", "1", "+33.3", ""]),  # one seed: over questions alone
        ({("vote", 0), ("random", 1)}, None),
        ({("vote", 0), ("vote", 1)}, None),
    ],
)
def test_only_runs_of_one_seed_are_paired(
    kept: set[tuple[str, int]], expected: list[str] | None, tmp_path: Path
) -> None:
    rows = paired_rows(compared(tmp_path, {key: SHARES[key] for key in kept}))
    assert [row[:4] for row in rows] == ([expected] if expected else [])


def test_runs_of_other_questions_are_not_paired(tmp_path: Path) -> None:
    shares = {("vote", 0): SHARES["vote", 0], ("random", 0): SHARES["random", 0][:2]}
    assert paired_rows(compared(tmp_path, shares)) == []
