"""What is read of a run, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from support.written_runs import completion, written_run

from selfrl.cli import main
from selfrl.report.chart_curves import charts_of
from selfrl.report.completion_rows import columns_of, read_completions
from selfrl.report.report_data import report_data
from selfrl.report.run_data import RunData, read_data
from selfrl.report.run_folders import find_runs

ROWS = [
    {"step": 0, "probe/t/avg@2": 0.5, "probe/t/maj@2": 0.75, "probe/t/final/maj@4": 0.8, "probe/t/final/avg@4": 0.55},
    {"step": 2, "reward": 0.25, "num_tokens": 100, "step_time": 0.5, "rewards/R/mean": 0.25, "grad_norm": float("nan")},
    {"step": 4, "reward": float("nan"), "num_tokens": 200, "step_time": 1.0},
]


def only(folder: Path) -> RunData:
    (run,) = find_runs([folder])
    return read_data(run)


def test_runs_are_found_in_a_comparison_and_told_apart(tmp_path: Path) -> None:
    for out in ("one", "two"):
        for name in ("seed2", "seed10"):
            written_run(tmp_path / out / "vote" / name)
    (tmp_path / "one" / "starts").mkdir()
    found = find_runs([tmp_path / "one"])
    assert [(run.name, run.arm, run.seed) for run in found] == [("vote seed2", "vote", 2), ("vote seed10", "vote", 10)]
    both = find_runs([tmp_path / "one", tmp_path / "two" / "vote" / "seed2", tmp_path / "one" / "vote" / "seed2"])
    assert [run.name for run in both] == ["one/vote seed2", "one/vote seed10", "two/vote seed2"]


def test_a_runs_own_controls_come_with_it(tmp_path: Path) -> None:
    run = written_run(tmp_path / "run")
    written_run(run / "controls" / "random", rewards={"RandomReward": {}})
    found = list(map(read_data, find_runs([run])))
    assert [(data.folder.name, data.is_control) for data in found] == [("run", False), ("random", True)]


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "else").mkdir()
    assert main(["report", str(tmp_path / "else")]) == 2
    said = capsys.readouterr().err
    assert "is no run and holds none" in said
    assert said.count("\n") == 1
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    written_run(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page.png")]) == 2
    assert "ends in .html" in capsys.readouterr().err


def test_a_line_torn_by_a_kill_is_left_out_and_a_damaged_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written_run(tmp_path / "run", metrics=ROWS, batches=[(0, [["a", "4", True, 1.0, 1.0]])])
    for name in ("metrics.jsonl", "records.jsonl", "guard.jsonl"):
        with (run / name).open("a") as file:
            file.write('{"step": 9, "rew')
    found = only(run)
    assert [row["step"] for row in found.metrics] == [0, 2, 4]
    assert len(found.batches) == 1
    assert found.alarms == []
    (run / "records.jsonl").write_text('{"step": 9, "rew\n{"step": 10}\n')
    assert main(["report", str(run)]) == 2
    assert "records.jsonl is damaged" in capsys.readouterr().err


def test_what_a_run_did_not_write_is_no_error(tmp_path: Path) -> None:
    run = only(written_run(tmp_path / "run"))
    data = report_data([run])
    assert [data[part] for part in ("charts", "alarms", "grids")] == [[], [], []]
    assert data["ends"]["rows"] == data["paired"]["rows"] == []
    assert main(["report", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "REPORT.html").exists()
    assert not (tmp_path / "run" / "REPORT.png").exists()


def test_cost_and_curves_are_those_that_were_logged(tmp_path: Path) -> None:
    run = only(written_run(tmp_path / "run", metrics=ROWS, rewards={"RandomReward": {}}))
    assert (run.tokens, run.seconds, run.last_step) == (200, 0.5 * 2 + 1.0 * 2, 4)
    assert run.is_control
    (first, *_) = charts = charts_of([run])
    assert [(level.value, level.words, level.run) for level in first.levels] == [
        (0.8, "maj@4 of the start: what sharpening alone gives", None)
    ]
    assert first.curves[0].points == [(0, 0.5)]
    assert [chart.key for chart in charts] == ["accuracy t"]
    data = report_data([run])
    assert data["charts"][0]["beside"][0]["y"] == [0.25, None]  # JSON knows no NaN
    assert data["runs"][0]["facts"]["steps"] == "4 of 10"
    assert data["ends"]["rows"][0][:4] == ["run (control)", "t", "avg@4, final measure", "55.0"]


def test_a_start_that_runs_share_is_one_line(tmp_path: Path) -> None:
    starts = {"a": 0.5, "b": 0.75, "c": 0.5}
    for name, value in starts.items():
        written_run(tmp_path / name, metrics=[{"step": 0, "probe/t/avg@2": 0.4, "probe/t/maj@2": value}])
    runs = list(map(read_data, find_runs([tmp_path / name for name in starts])))
    start = "maj@2 of the start: what sharpening alone gives"
    assert charts_of(runs)[0].levels == [(0.5, f"{start} (2 runs)", None), (0.75, start, 1)]
    assert charts_of(runs[:1])[0].levels == charts_of([runs[0], runs[2]])[0].levels == [(0.5, start, None)]


def test_prompts_that_were_seen_once_have_no_history(tmp_path: Path) -> None:
    batch = [["a", "4", None, 0.5, 0.5]]
    once = only(written_run(tmp_path / "once", batches=[(0, batch)]))
    twice = only(written_run(tmp_path / "twice", batches=[(0, batch), (1, batch)]))
    assert [grid["run"] for grid in report_data([once, twice])["grids"]] == [1]


def test_the_recipe_of_a_comparison_is_read_where_a_run_wrote_no_other(tmp_path: Path) -> None:
    run = written_run(tmp_path / "run")
    (run / "recipe.yaml").write_text("rewards: FormatReward\nhub_token: hf_secret\n")
    found = only(run)
    assert found.rewards == ["FormatReward"]
    assert found.is_control
    assert "hf_secret" not in json.dumps(report_data([found]))


def test_the_last_completions_are_shown_and_those_of_an_earlier_run_are_not(tmp_path: Path) -> None:
    run = written_run(tmp_path / "run", metrics=ROWS)
    for step in (2, 4, 6):  # 6 is beyond the last step
        written_run(run, metrics=ROWS, completions=[completion(step, f"{step}/{i}") for i in range(3)])
    (run / "completions" / "completions_00003.parquet").write_bytes(b"torn")
    data = only(run)
    assert [row.completion for row in read_completions(data, 2, 10**6).rows] == ["4/1", "4/2"]
    found = read_completions(data, 10, 10**6)
    assert [row.completion for row in found.rows] == [f"{step}/{i}" for step in (2, 4) for i in range(3)]
    assert (found.total, [file.name for file in found.unread]) == (6, ["completions_00003.parquet"])
    assert [row.completion for row in read_completions(data, 10, 1).rows] == ["4/0", "4/1", "4/2"]
    columns = columns_of([data], 4)
    assert columns["note"].startswith("The last 4 of 6 completions.")
    assert columns["prompts"] == ["2+2?"]


def test_columns_of_completions_may_be_missing_odd_or_long(tmp_path: Path) -> None:
    metrics = [{"step": 1, "rewards/A/mean": 0.5, "rewards/B/mean": 0.5}]
    messages = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "Up?"}]}]
    row = {"step": 1, "prompt": messages, "completion": [{"role": "assistant", "content": "x" * 9000}]}
    run = written_run(tmp_path / "run", metrics=metrics, rewards={"A": {}, "B": {}})
    about = json.loads((run / "run.json").read_text())
    about["recipe"]["reward_weights"] = [1.0, 0.5]
    (run / "run.json").write_text(json.dumps(about))
    png = b"\x89PNG\r\n\x1a\n picture"
    pictures = [{"bytes": png, "path": None}, {"bytes": b"<svg onload=alert(1)>", "path": None}]
    rows = [
        {**row, "A": 1.0, "B": 1.0, "images": pictures},
        {**row, "A": float("nan"), "B": float("nan"), "images": []},
    ]
    (run / "completions").mkdir()
    pd.DataFrame(rows).to_parquet(run / "completions" / "completions_00001.parquet")
    first, second = read_completions(only(run), 10, 10**6).rows
    assert (first.prompt, len(first.completion), first.reward, second.reward) == ("Up?", 2005, 1.5, None)
    assert (first.key, first.label, first.advantage, first.pictures) == (None, None, None, (png,))
    columns = columns_of([only(run)], 10)
    assert len(columns["pictures"]) == 1
    assert columns["shown_pictures"] == {0: [0]}
    assert "begin and end" in columns["note"]
