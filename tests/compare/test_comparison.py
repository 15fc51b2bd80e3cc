"""`selfrl compare`: real runs in processes of their own, and what it refuses."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from selfrl.cli import main
from selfrl.compare.comparison import Comparison
from selfrl.compare.comparison_report import HEAD, mean_curve, table_rows, write_report
from selfrl.recipe import find_recipe, parse_recipe
from selfrl.tables import wrapping_table

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
PROBE = {"task": "tiny_problems", "every": 1, "questions": 8, "n": 2, "temperature": 1.0, "top_p": 1.0}


def recipe(folder: Path, **changes: object) -> str:
    values = {
        **SHARED,
        "arms": {
            "teacher": {"rewards": {"ContrastiveAgreementReward": {"voters": "teacher"}}},
            "certainty": {"rewards": {"SelfCertaintyReward": {}}},
        },
        "seeds": [3],
        "probe": PROBE,
        **changes,
    }
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def result_of(out: Path, arm: str, seed: int = 3) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / arm / f"seed{seed}" / "result.json").read_text())
    return found


@pytest.mark.slow
def test_a_comparison_runs_its_arms_writes_its_report_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = recipe(tmp_path)
    assert main(["compare", path, "--out", str(out), "--arms", "certainty"]) == 0
    first = (out / "certainty" / "seed3" / "result.json").read_bytes()
    assert main(["compare", path, "--out", str(out), "--jobs", "2"]) == 0
    assert (out / "certainty" / "seed3" / "result.json").read_bytes() == first  # it was not run again
    for arm in ("teacher", "certainty"):
        result = result_of(out, arm)
        assert [point["step"] for point in result["curve"]] == [0, 1, 2]
        assert all((point["questions"], point["n"]) == (8, 2) for point in result["curve"])
        assert all({"avg", "maj", "no_answer", "truncated", "pass_at"} <= set(point) for point in result["curve"])
        assert [step for step, _ in result["labels"]] == [1, 2]
        assert all(0 <= value <= 1 for _, value in result["labels"])
        assert result["questions"] == []  # kept of a final measure only
    report = (out / "report.md").read_text()
    assert "tercile" not in report
    assert "| teacher |" in report
    assert "| certainty |" in report
    assert (out / "comparison.png").stat().st_size > 10_000
    runs = json.loads((out / "results.json").read_text())["runs"]
    assert sorted(run["arm"] for run in runs) == ["certainty", "teacher"]


@pytest.mark.slow
def test_any_task_and_any_model_can_be_compared(
    tmp_path: Path, random_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task file over rows of one's own, another model, two measures, and one start for all arms."""
    rows = [{"sum": f"{a} + {a + 1}", "total": 2 * a + 1} for a in range(12)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts = [{"prompt": f"Find the sum of {a} and 7.\n", "answer": str(a + 7)} for a in range(16)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    asked = {"prompt": "Find the sum: {{ question }}.\n", "strict": ["boxed", "last_number"]}
    task = {
        "version": 1,
        "about": "Sums.",
        "data": {"path": str(tmp_path / "sums.jsonl")},
        "grading": "math",
        "question": "{{ sum }}",
        "gold": "{{ total }}",
        "flexible": "last_number",
        "chat": asked,
        "base": asked,
    }
    (tmp_path / "sums.yaml").write_text(yaml.safe_dump(task))
    path = recipe(
        tmp_path,
        preset=None,
        paired=False,
        model_name_or_path=str(random_model),
        dataset=str(tmp_path / "prompts.jsonl"),
        arms={"format": {"rewards": {"FormatReward": {}}}, "chance": {"rewards": {"RandomReward": {}}}},
        probe={
            "task": str(tmp_path / "sums.yaml"),
            "every": 2,
            "questions": 5,
            "max_tokens": 6,
            "n": 2,
            "final": {"questions": 12, "n": 3},
        },
        num_generations=8,
        max_completion_length=6,
        jobs="auto",
    )
    out = tmp_path / "out"
    assert main(["compare", path, "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "chance seed 3 step 0: sums/avg@2" in said
    assert "12 questions x 3 samples, seed 3" in said
    for arm in ("format", "chance"):
        result = result_of(out, arm)
        assert [(point["step"], point["questions"], point["n"]) for point in result["curve"]] == [(0, 5, 2), (2, 5, 2)]
        assert [(point["step"], point["questions"], point["n"]) for point in result["ends"]] == [(0, 12, 3), (2, 12, 3)]
        votes = {point["step"]: point["votes"] for point in result["questions"]}
        assert list(votes) == [0, 2]
        assert all([(row[0], row[1]) for row in rows] == [(i, 3) for i in range(12)] for rows in votes.values())
    assert len(list((out / "starts").glob("*.json"))) == 1
    assert result_of(out, "format")["ends"][0] == result_of(out, "chance")["ends"][0]
    assert result_of(out, "format")["questions"][0] == result_of(out, "chance")["questions"][0]
    assert "| chance | all |" in (out / "report.md").read_text()


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unlabelled.jsonl").write_text('{"prompt": "Find the sum of 1 and 2."}\n' * 16)
    unlabelled = {"rewards": {"AccuracyReward": {}}, "dataset": str(tmp_path / "unlabelled.jsonl"), "paired": False}
    # ends its own process, as a system that runs out of memory does
    killed = {"rewards": {f"{__name__}.Killer": {}}}
    arms = {"unlabelled": unlabelled, "killed": killed, "certainty": {"rewards": {"SelfCertaintyReward": {}}}}
    out = tmp_path / "out"
    path = recipe(tmp_path, arms=arms, prompts_per_step=None, generation_batch_size=16, max_steps=1)
    assert main(["compare", path, "--out", str(out), "--jobs", "2"]) == 1
    said = capsys.readouterr().out
    for arm, reason in (("unlabelled", "answer"), ("killed", "ended by signal 9")):
        (line,) = [line for line in said.splitlines() if line.startswith(f"{arm} seed 3 failed")]
        assert reason in line
        assert line.endswith(f"its log is {out / arm / 'seed3' / 'log.txt'}.")
        assert line in (out / "report.md").read_text()
    assert "Traceback" in (out / "unlabelled" / "seed3" / "log.txt").read_text()
    assert "| certainty |" in (out / "report.md").read_text()


class Killer:
    __name__ = "Killer"

    def __call__(self, **columns: Any) -> list[float]:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        return []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {}}, "needs `arms`"),
        ({"arms": {False: {"rewards": {"AccuracyReward": {}}}}}, "an arm False"),
        ({"seeds": "0"}, "must be a list of whole numbers"),
        ({"probe": {**PROBE, "question": 3}}, "`probe` takes task, every, questions"),
        ({"probe": None}, "needs `probe`"),
        ({"probe": {"task": "tiny_problem", "every": 1}}, "did you mean `tiny_problems`"),
        ({"jobs": 0}, "must be auto, or a number from 1"),
        ({"arms": {"a": {"rewards": {"AccuracyReward": {}}, "seed": 3}}}, "The arm a in .* sets seed"),
        ({"arms": {"a": {"rewards": {"AccuracyReward": {}}, "max_step": 3}}}, "The arm a: .* did you mean `max_steps`"),
        ({"model_name_or_path": "/no/such/model"}, "/no/such/model"),
    ],
)
def test_a_bad_recipe_ends_in_one_sentence(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert main(["compare", recipe(tmp_path, **changes), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("selfrl compare: ")
    assert said.count("\n") == 1
    assert re.search(message, said)


def test_an_unknown_arm_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", recipe(tmp_path), "--arms", "nobody"]) == 2
    assert "(the arms are certainty, teacher)" in capsys.readouterr().err


def test_a_finished_run_of_another_recipe_is_not_taken_for_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    comparison = Comparison.read(Path(recipe(tmp_path)))
    (run,) = comparison.runs(out, ["certainty"], [3])
    comparison.prepare([run])
    run.result.write_text("{}")
    comparison.prepare([run])
    path = recipe(tmp_path, learning_rate=1e-5)
    assert main(["compare", path, "--out", str(out), "--arms", "certainty"]) == 2
    assert f"{run.folder} holds a run of another recipe: name another folder" in capsys.readouterr().err


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


@pytest.mark.parametrize("name", ["tiny", "nft", "quickstart"])
def test_packaged_comparisons_can_be_run(name: str, tmp_path: Path) -> None:
    comparison = Comparison.read(find_recipe(f"recipes/compare/{name}.yaml"))
    plans = comparison.prepare(comparison.runs(tmp_path, list(comparison.arms), [0]))
    assert all(plan.recipe.probe_keys == {"seed": 0, **comparison.probe} for plan in plans)
    assert (comparison.probe["temperature"], comparison.probe["top_p"]) == (1.0, 1.0)


def run(arm: str, seed: int, accuracies: list[float], ends: tuple[float, ...] = ()) -> dict[str, Any]:
    more = {"maj": 0.9, "no_answer": 0.5, "low": 0.6, "high": 0.7}
    curve = [{**more, "step": 10 * i, "avg": a, "maj": a, "questions": 100, "n": 4} for i, a in enumerate(accuracies)]
    wide = [{**more, "step": i, "avg": a, "questions": 250, "n": 8} for i, a in enumerate(ends)]
    labels = [(5, 0.5), (10, 1.0)] if arm == "up" else []
    return {"arm": arm, "seed": seed, "curve": curve, "ends": wide, "labels": labels}


def test_the_table_takes_means_over_seeds_and_puts_the_best_end_first() -> None:
    rows = table_rows([run("down", 0, [0.5, 0.4]), run("up", 0, [0.5, 0.9, 0.7]), run("up", 1, [0.7, 0.7, 0.6])])
    assert rows == [
        ["up", "60.0", "80.0 (10)", "65.0", "+5.0", "-10.0", "60.0 → 65.0", "50.0", "50 → 100"],
        ["down", "50.0", "50.0 (0)", "40.0", "-10.0", "-10.0", "50.0 → 40.0", "50.0", ""],
    ]
    assert mean_curve([[(0, 0.0), (5, 1.0)], [(5, 0.5)]]) == [(5, 0.75)]


def test_start_and_end_are_those_of_the_final_measure() -> None:
    (row,) = table_rows([run("up", 0, [0.5, 0.9, 0.8], ends=(0.6, 0.75))])
    assert row == ["up", "60.0", "90.0 (10)", "75.0", "+15.0", "+15.0", "90.0 → 90.0", "50.0", "50 → 100"]


def test_the_report_names_what_was_measured_and_what_failed(tmp_path: Path) -> None:
    results = [run("up", seed, [0.5, 0.9], ends=(0.6, 0.75)) for seed in (0, 1)]
    out = io.StringIO()
    write_report(tmp_path, "selfrl compare x.yaml", results, Console(file=out, width=80), ["up seed 2 failed."])
    report = (tmp_path / "report.md").read_text()
    for text in (report, " ".join(out.getvalue().split())):
        assert "avg@8 in percent, 250 questions x 8 samples, means over seeds 0, 1; 95 % of one start 60.0–70.0" in text
        assert "the best of a curve of 100 x 4. The majority of the start's answers (maj) is what sharpening" in text
        assert "Printed by `selfrl compare x.yaml`." in text
    assert "\nup seed 2 failed.\n" in report


def test_a_comparison_goes_on_from_results_that_kept_no_votes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = recipe(tmp_path, probe={**PROBE, "final": {"questions": 12, "n": 3}})
    comparison = Comparison.read(Path(path))
    runs = comparison.runs(out, ["teacher", "certainty"], [3])
    comparison.prepare(runs)
    for one in runs:
        old = {**run(one.arm, one.seed, [0.5, 0.9], ends=(0.6, 0.75)), "seconds": 1.0}
        one.result.write_text(json.dumps(old, indent=1) + "\n")
    assert main(["compare", path, "--out", str(out)]) == 0
    assert "tercile" not in (out / "report.md").read_text()
    votes = [{"step": step, "votes": [[0, 3, 0.3333, 0.6667, maj], [1, 3, 1, 1, 1]]} for step, maj in ((0, 0), (2, 1))]
    runs[1].result.write_text(json.dumps({**json.loads(runs[1].result.read_text()), "questions": votes}))
    assert main(["compare", path, "--out", str(out)]) == 0
    report = (out / "report.md").read_text()
    assert "2 questions by the majority of 3 completions" in report
    assert "1 of 2 runs kept the votes." in report
    assert "| certainty | all | 50.0 → 100.0 | 50.0 | 50.0 | 0.0 | 0.0 |" in report
    assert "| teacher | all |" not in report
    written = json.loads((out / "results.json").read_text())["runs"]
    assert {one["arm"]: one.get("questions") for one in written} == {"certainty": votes, "teacher": None}


def test_the_table_fits_eighty_columns() -> None:
    rows = table_rows([run("co_rewarding_iii", 0, [0.5] * 30 + [1.0]), run("up", 0, [0.5, 0.9], ends=(0.6, 0.75))])
    out = io.StringIO()
    Console(file=out, width=80).print(wrapping_table(HEAD, rows))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    words = out.getvalue().split()
    assert all(word in words for cell in (*HEAD, *rows[0], *rows[1]) for word in cell.split())
