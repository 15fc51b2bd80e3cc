"""The command from end to end on the packaged model, and the input that it refuses before a model loads."""

import json
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from selfrl.cli import main
from selfrl.eval import compare, evaluate
from selfrl.eval.samples_page import write_page
from selfrl.eval.settings import DATA_SEED
from selfrl.eval.task import FOLDER
from selfrl.installation import mend

TINY = ["eval", "tiny", "--tasks", "tiny_problems", "--max-tokens", "40", "--limit", "30"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two evaluations of the packaged model with different seeds, at a temperature that makes errors."""
    root = tmp_path_factory.mktemp("eval")
    pytest.importorskip("reasoning_gym")
    shared = ["--n", "4", "--temperature", "1.3", "--cache", str(root / "cache.sqlite")]
    extra = ["--control", "5", "--contamination", "--signals", "vote_share,self_certainty,probability"]
    assert main([*TINY, *shared, *extra, "--out", str(root / "a")]) == 0
    assert main([*TINY, *shared, "--control", "0", "--seed", "1", "--out", str(root / "b")]) == 0
    return root / "a", root / "b"


@pytest.mark.slow
def test_everything_that_is_needed_to_repeat_it_is_written(folders: tuple[Path, Path]) -> None:
    results = json.loads((folders[0] / "results.json").read_text())
    assert {"selfrl", "torch", "transformers"} <= set(results["versions"])
    assert (results["backend"], results["seed"], results["data_seed"]) == ("transformers", 0, DATA_SEED)
    entry = results["tasks"]["tiny_problems"]
    assert entry["sampling"] == {"n": 4, "temperature": 1.3, "top_p": 0.95, "max_tokens": 40, "stop": [], "seed": 0}
    assert re.fullmatch("[0-9a-f]{16}", entry["data_hash"])
    assert entry["style"] == "base"
    assert set(results["tasks"]) == {"tiny_problems", "control"} == set(results["contamination"])
    assert {row["signal"] for row in results["calibration"]} == {"vote_share", "self_certainty", "probability"}
    by_signal = {row["signal"]: row for row in results["calibration"] if row["task"] == "tiny_problems"}
    assert by_signal["vote_share"]["auroc"] > 0.7
    assert by_signal["vote_share"]["completions"] == 120


@pytest.mark.slow
def test_samples_add_up_to_the_scores(folders: tuple[Path, Path]) -> None:
    rows = pq.read_table(folders[0] / "samples" / "tiny_problems.parquet").to_pylist()
    entry = json.loads((folders[0] / "results.json").read_text())["tasks"]["tiny_problems"]["scores"]
    assert len(rows) == 120
    assert sum(bool(row["correct"]) for row in rows) / 120 == pytest.approx(entry["avg"])
    assert 0.2 < entry["avg"] < 1
    assert entry["low"] < entry["avg"] < entry["high"]
    report = (folders[0] / "report.md").read_text()
    assert f"| tiny_problems | 30 x 4 | {100 * entry['avg']:.1f} |" in report
    assert "## Contamination" in report
    assert "## Do label-free signals predict correctness?" in report


@pytest.mark.slow
def test_two_evaluations_are_compared_by_question(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = compare(*folders)
    assert found.questions == 30
    assert found.better + found.worse == len(found.flips) > 0
    assert found.low <= found.second - found.first <= found.high
    assert found.p_value > 0.01  # the same model
    (back,) = compare(folders[1], folders[0])
    assert back.p_value == pytest.approx(found.p_value)
    assert (back.better, back.worse) == (found.worse, found.better)
    assert main(["eval", "compare", *map(str, folders)]) == 0
    assert "tiny_problems" in capsys.readouterr().out


@pytest.mark.slow
def test_a_repeated_evaluation_generates_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    cache = folders[0].parent / "cache.sqlite"
    settings = {"n": 4, "temperature": 1.3, "max_tokens": 40, "limit": 30, "cache": cache, "seed": 1}
    before = cache.stat().st_size
    results = evaluate("tiny", ["tiny_problems"], **settings)
    entry = json.loads((folders[1] / "results.json").read_text())["tasks"]["tiny_problems"]
    assert results["tiny_problems"].scores.avg == entry["scores"]["avg"]
    assert cache.stat().st_size == before


def test_different_questions_are_not_compared(tmp_path: Path) -> None:
    for name, limit in (("a", 3), ("b", 4)):
        out, cache = str(tmp_path / name), str(tmp_path / "c.sqlite")
        command = ["eval", "tiny", "--tasks", "tiny_problems", "--limit", str(limit), "--n", "1", "--control", "0"]
        assert main([*command, "--out", out, "--cache", cache]) == 0
    with pytest.raises(ValueError, match="no task with the same questions"):
        compare(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ValueError, match=r"holds no results\.json"):
        compare(tmp_path / "a", tmp_path / "c")


def test_a_task_without_completions_does_not_end_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty prompt fails with transformers."""
    values = yaml.safe_load((FOLDER / "tiny_problems.yaml").read_text())
    values["base"]["prompt"] = values["chat"]["prompt"] = "{# nothing #}"
    (tmp_path / "mute.yaml").write_text(yaml.safe_dump(values))
    tasks = f"{tmp_path / 'mute.yaml'},tiny_problems"
    flags = ["--limit", "3", "--control", "0", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "c.sqlite")]
    assert main(["eval", "tiny", "--tasks", tasks, "--temperature", "0", *flags]) == 1
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["tasks"]) == ["tiny_problems"]
    assert results["tasks"]["tiny_problems"]["sampling"]["n"] == 1
    assert "the task mute no completions" in results["without_completions"]["mute"]
    assert "the task mute no completions" in " ".join(capsys.readouterr().out.split())


def test_without_reasoning_gym_the_control_is_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)  # as after an installation without extras
    flags = ["--limit", "3", "--n", "1", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "c.sqlite")]
    command = ["eval", "tiny", "--tasks", "tiny_problems", *flags]
    assert main(command) == 0
    sentence = f"No control with fresh numbers: it needs reasoning-gym, {mend('eval')}."
    assert sentence in capsys.readouterr().out.splitlines()
    assert f"- {sentence}" in (tmp_path / "out" / "report.md").read_text()
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())["tasks"]) == ["tiny_problems"]
    assert main([*command, "--control", "5"]) == 2
    assert capsys.readouterr().err == f"selfrl eval: Procedural problems need reasoning-gym: {mend('eval')}.\n"
    assert main([*command, "--control", "0"]) == 0
    assert "reasoning-gym" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--tasks gsm8", "did you mean `gsm8k`"),
        ("--tasks gsm8k --data gsm8k=none.jsonl", "none.jsonl for the task gsm8k does not exist"),
        ("--tasks gsm8k --data math500=x.jsonl", "'math500', which is not asked for"),
        ("--tasks gsm8k --data x.jsonl", "takes TASK=FILE"),
        ("--tasks tiny_problems,tiny_problems", "named twice"),
        ("--tasks tiny_problems --n 0", "n is 0"),
        ("--tasks tiny_problems --n 2 --temperature 0", "the same at temperature 0"),
        ("--tasks tiny_problems --signals certainty", "did you mean `self_certainty`"),
        ("--tasks tiny_problems --n 1 --signals vote_share", "needs several completions"),
        ("--tasks tiny_problems --backend endpoint --contamination", "An endpoint answers"),
        ("--tasks tiny_problems --backend endpoint --signals entropy", "only vote_share"),
        ("--tasks tiny_problems --shots -1", "shots is -1"),
        ("--tasks tiny_problems --control 0 --cache /", "The cache / cannot be used"),
        ("--tasks tiny_problems --control -1", "0 .none. or more"),
        ("--tasks tiny_problems --shots 2", "no data for examples"),
        ("--tasks ,", "No task is named"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(flags: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "tiny", *flags.split()]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert re.search(message, error[0])


def test_a_model_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "/no/such/model", "--tasks", "tiny_problems", "--control", "0"]) == 2
    assert "/no/such/model" in capsys.readouterr().err


def test_the_page_holds_hostile_text_as_data(tmp_path: Path) -> None:
    attack = "</script><script>alert(1)</script><!-- \ud800"
    row = {"question": 0, "text": attack, "completion": attack, "correct": None}
    write_page(tmp_path / "p.html", "<b>model</b>", {attack: [row] * 2001})
    page = (tmp_path / "p.html").read_text()
    assert "<script>alert" not in page
    assert "<b>model" not in page
    assert page.count("<script") == page.count("</script>") == 2
    data = re.search(r'type="application/json">(.*)</script>', page)
    assert data is not None
    assert len(json.loads(data[1])[attack]) == 2000
    assert "1 further completions are in the Parquet files only" in page
