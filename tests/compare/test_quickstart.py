"""The quickstart is a comparison, whose arms have the settings of the tiny recipe."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import selfrl.quickstart
from selfrl.cli import main
from selfrl.compare.comparison import Comparison
from selfrl.compare.comparison_report import write_report
from selfrl.recipe import find_recipe, parse_recipe, read_recipe_file


def scores(step: int, avg: float, questions: int = 250, n: int = 8) -> dict[str, Any]:
    figures = {"avg": avg, "low": avg - 0.02, "high": avg + 0.02, "maj": 0.9, "no_answer": 0.02}
    return {"step": step, **figures, "questions": questions, "n": n}


def test_the_report_holds_the_table_the_plot_and_the_figures(tmp_path: Path) -> None:
    runs = [
        {
            "arm": name,
            "seed": 0,
            "curve": [scores(0, 0.6, 100, 4), scores(10, after, 100, 4)],
            "ends": [scores(0, 0.65), scores(10, after)],
            "labels": [(5, 0.5), (10, 0.7)],
            "seconds": 12.0,
        }
        for name, after in (("co_rewarding_i", 0.775), ("random", 0.62))
    ]
    write_report(tmp_path, "selfrl quickstart --seed 0", runs, Console(quiet=True))
    report = (tmp_path / "report.md").read_text()
    assert "| co_rewarding_i | 65.0 | 77.5 (10) | 77.5 | +12.5 |" in report
    assert "| random | 65.0 | 62.0 (10) | 62.0 | -3.0 |" in report
    assert "250 questions x 8 samples, seed 0" in report
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [run["ends"][-1]["avg"] for run in results["runs"]] == [0.775, 0.62]


def test_its_arms_are_trained_as_the_tiny_recipe_says() -> None:
    tiny = read_recipe_file(find_recipe("recipes/co_rewarding/tiny.yaml"))
    comparison = Comparison.read(find_recipe(selfrl.quickstart.RECIPE))
    own = {"paired": True, "max_steps": 70}
    assert comparison.shared == {**{k: v for k, v in tiny.items() if k != "output_dir"}, **own}
    assert {name: list(arm["rewards"]) for name, arm in comparison.arms.items()} == {
        "co_rewarding_i": ["ContrastiveAgreementReward"],
        "ground_truth": ["AccuracyReward"],
        "random": ["RandomReward"],
    }
    probe = comparison.probe
    assert (probe["every"], probe["questions"], probe["n"]) == (20, 100, 4)
    assert probe["final"] == {"questions": 250, "n": 8}
    assert comparison.jobs == "auto"


@pytest.mark.slow
def test_a_shortened_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = read_recipe_file(find_recipe(selfrl.quickstart.RECIPE))
    values |= {"max_steps": 2, "prompts_per_step": 2, "num_generations": 4, "per_device_train_batch_size": 16}
    values["probe"] |= {"questions": 4, "n": 2, "every": 1, "final": {"questions": 6, "n": 3}}
    values |= {"save_steps": 2, "logging_steps": 1, "dataset_split": "train[:16]"}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setattr(selfrl.quickstart, "RECIPE", str(tmp_path / "short.yaml"))
    out = tmp_path / "out"
    assert main(["quickstart", "--out", str(out), "--seed", "5"]) == 0
    for arm in ("co_rewarding_i", "ground_truth", "random"):
        folder = out / arm / "seed5"
        assert len(json.loads((folder / "result.json").read_text())["ends"]) == 2
        assert parse_recipe([str(folder / "recipe.yaml")]).config.seed == 5
        assert (folder / "checkpoint-2").is_dir()
        assert (folder / "model.safetensors").is_file()
        assert list((folder / "completions").glob("*.parquet"))
    assert "Printed by `selfrl quickstart --seed 5`" in (out / "report.md").read_text()
    assert {"results.json", "comparison.png"} <= {path.name for path in out.iterdir()}


def test_what_it_cannot_write_to_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["quickstart", "--out", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("selfrl quickstart: ")
    assert said.count("\n") == 1
