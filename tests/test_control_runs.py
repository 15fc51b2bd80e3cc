"""The controls of a run: the same training with rewards that know nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console
from support.runs import RECIPE

from selfrl.cli import main
from selfrl.control_runs import check_launch, control_keys, run_controls
from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe

KEYS: dict[str, Any] = {
    **RECIPE,
    "preset": "co_rewarding_ii",
    "dataset_split": "train[:32]",
    "controls": "random, format",
    "prompts_per_step": 4,
    "per_device_train_batch_size": 16,
    "max_steps": 2,
    "save_strategy": "no",
}


def recipe(folder: Path, **keys: Any) -> list[str]:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**KEYS, "output_dir": str(folder / "out"), **keys}))
    return [str(path)]


def test_a_control_differs_in_the_reward_and_in_what_goes_with_it(tmp_path: Path) -> None:
    plan = parse_recipe(recipe(tmp_path, paired=True))
    control = parse_recipe(recipe(tmp_path, **{**control_keys(plan, "random"), "preset": None, "controls": None}))
    assert plan.teacher is not None
    assert control.teacher is None
    assert [type(reward).__name__ for reward in control.rewards] == ["RandomReward"]
    assert control.paired is plan.paired is True
    same = ("beta", "learning_rate", "epsilon", "seed", "generation_batch_size", "max_steps", "lr_scheduler_type")
    assert all(getattr(control.config, name) == getattr(plan.config, name) for name in same)
    assert control.config.output_dir == str(tmp_path / "out/controls/random")


@pytest.mark.slow
def test_they_run_beside_and_are_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = recipe(tmp_path)
    assert main(["train", *argv]) == 0
    for name in ("random", "format"):
        rows = read_metrics(tmp_path / f"out/controls/{name}/metrics.jsonl")
        assert [row["step"] for row in rows if "reward" in row] == [1, 2]
    page = (tmp_path / "out/REPORT.html").read_text()
    assert "controls/random" in page
    assert "controls/format" in page
    # resumed: what has ended stays, what has not is trained
    (tmp_path / "out/controls/format/training_args.bin").unlink()
    before = (tmp_path / "out/controls/random/metrics.jsonl").stat().st_mtime_ns
    plan = parse_recipe([*argv, "--resume_from_checkpoint", "latest"])
    assert len(run_controls(plan, Console(quiet=True))) == 2
    assert (tmp_path / "out/controls/random/metrics.jsonl").stat().st_mtime_ns == before
    assert (tmp_path / "out/controls/format/training_args.bin").exists()


def test_a_control_that_fails_is_told_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = parse_recipe(recipe(tmp_path, controls="random"))
    plan.keys["dataset"] = str(tmp_path / "nowhere.jsonl")  # type: ignore[index]
    assert run_controls(plan, Console(markup=False, highlight=False)) == []
    assert "Control random failed" in capsys.readouterr().out
    assert "nowhere.jsonl" in (tmp_path / "out/controls/random/log.txt").read_text()


def test_unknown_controls_and_several_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown control `randon`"):
        parse_recipe(recipe(tmp_path, controls="randon"))
    several = SimpleNamespace(recipe=parse_recipe(recipe(tmp_path)).recipe, config=SimpleNamespace(world_size=2))
    with pytest.raises(ValueError, match="Controls are processes of their own"):
        check_launch(several)  # type: ignore[arg-type]
