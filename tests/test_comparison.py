"""`selfrl compare`: real runs in processes of their own, and what it refuses."""

import json
from pathlib import Path

import pytest
import yaml

from selfrl.cli import main
from selfrl.compare.arms import Comparison
from selfrl.compare.comparison_report import mean_curve, table_rows
from selfrl.recipe import find_recipe, parse_recipe

SHARED = {
    "preset": "co_rewarding_i",
    "model_name_or_path": "tiny",
    "dataset": "tiny",
    "dataset_split": "train[:16]",
    "paired": True,
    "prompts_per_step": 2,
    "num_generations": 4,
    "per_device_train_batch_size": 16,
    "max_steps": 2,
    "max_completion_length": 40,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_strategy": "no",
}


def recipe(folder: Path, **changes: object) -> str:
    values = {
        **SHARED,
        "arms": {
            "teacher": {"rewards": {"ContrastiveAgreementReward": {"voters": "teacher"}}},
            "certainty": {"rewards": {"SelfCertaintyReward": {}}},
        },
        "seeds": [3],
        "probe": {"questions": 8, "n": 2, "every": 1},
        **changes,
    }
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.mark.slow
def test_a_comparison_runs_its_arms_writes_its_report_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = recipe(tmp_path)
    assert main(["compare", path, "--out", str(out), "--arms", "certainty"]) == 0
    first = (out / "certainty" / "seed3" / "result.json").read_bytes()
    assert main(["compare", path, "--out", str(out), "--jobs", "2"]) == 0
    assert (out / "certainty" / "seed3" / "result.json").read_bytes() == first  # it was not run again
    for arm in ("teacher", "certainty"):
        result = json.loads((out / arm / "seed3" / "result.json").read_text())
        assert [point["step"] for point in result["curve"]] == [0, 1, 2]
        assert [step for step, _ in result["labels"]] == [1, 2]
        assert all(0 <= value <= 1 for _, value in result["labels"])
    report = (out / "report.md").read_text()
    assert "| teacher |" in report
    assert "| certainty |" in report
    assert (out / "comparison.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {}}, "needs `arms`"),
        ({"seeds": "0"}, "must be a list of whole numbers"),
        ({"probe": {"question": 3}}, "takes questions, n and every"),
    ],
)
def test_a_bad_recipe_ends_in_one_sentence(changes: dict, message: str, tmp_path: Path, capsys: object) -> None:
    assert main(["compare", recipe(tmp_path, **changes), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err  # type: ignore[attr-defined]


def test_an_unknown_arm_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", recipe(tmp_path), "--arms", "nobody"]) == 2
    assert "choose among certainty, teacher" in capsys.readouterr().err


def test_every_arm_of_the_packaged_comparison_is_a_valid_recipe(tmp_path: Path) -> None:
    comparison = Comparison.read(find_recipe("recipes/compare/tiny.yaml"))
    assert len(comparison.arms) == 10
    assert comparison.seeds == [0, 1, 2]
    batches = set()
    for name, arm in comparison.arms.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**comparison.shared, **arm}))
        plan = parse_recipe([str(path)])
        assert plan.paired
        assert (plan.teacher is not None) == (name in ("co_rewarding_ii", "co_rewarding_iii"))
        batches.add((plan.config.generation_batch_size, plan.config.max_steps, plan.config.learning_rate))
    assert len(batches) == 1  # one budget


def test_the_table_takes_means_over_seeds_and_puts_the_best_end_first() -> None:
    def run(arm: str, seed: int, accuracies: list[float]) -> dict:
        curve = [{"step": 10 * i, "avg": a, "maj": a, "no_answer": 0.5} for i, a in enumerate(accuracies)]
        return {"arm": arm, "seed": seed, "curve": curve, "labels": [(5, 0.5), (10, 1.0)] if arm == "up" else []}

    rows = table_rows([run("down", 0, [0.5, 0.4]), run("up", 0, [0.5, 0.9, 0.7]), run("up", 1, [0.7, 0.7, 0.6])])
    assert rows == [
        ["up", "60.0", "80.0 (10)", "65.0", "+5.0", "-10.0", "65.0", "50.0", "50 → 100"],
        ["down", "50.0", "50.0 (0)", "40.0", "-10.0", "-10.0", "40.0", "50.0", ""],
    ]
    assert mean_curve([[(0, 0.0), (5, 1.0)], [(5, 0.5)]]) == [(5, 0.75)]
