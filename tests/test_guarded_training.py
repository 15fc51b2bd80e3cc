"""A run that unlearns is taken back to where it was well, once, and goes on with other settings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from support.runs import RECIPE

from selfrl.checkpoint import latest_checkpoint
from selfrl.cli import main
from selfrl.guarded_training import resumed, train_guarded
from selfrl.monitor.guard import ROLLED_BACK
from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer

KEYS: dict[str, Any] = {
    **RECIPE,
    "dataset_split": "train[:64]",
    "rewards": {"SelfCertaintyReward": {}},
    "guard": "rollback",
    "per_device_train_batch_size": 64,
    "learning_rate": 3e-4,
    "lr_scheduler_type": "constant",
    "beta": 0.0,
    "max_steps": 24,
    "save_steps": 2,
}


def recipe(folder: Path, **keys: Any) -> list[str]:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**KEYS, "output_dir": str(folder / "out"), **keys}))
    return [str(path)]


def trained(argv: list[str]) -> Any:
    plan = resumed(parse_recipe(argv))
    return train_guarded(plan, build_trainer)


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("guarded")
    return folder, trained(recipe(folder))


@pytest.mark.slow
def test_the_run_goes_on_from_the_last_checkpoint_before_the_change(rolled_back: tuple[Path, Any]) -> None:
    folder, run = rolled_back
    out = folder / "out"
    told = json.loads((out / "rollback.json").read_text())
    assert told["alarm"]["figures"] == ["anchors/lost"]
    assert told["step"] <= told["alarm"]["change_point"] < told["alarm"]["step"]
    assert told["then"] == {"learning_rate": pytest.approx(3e-5)}
    events = read_metrics(out / "guard.jsonl")
    assert [row["words"] for row in events if row["rule"] == ROLLED_BACK] == [
        f"{told['alarm']['words']} Back to step {told['step']}, with learning_rate {told['then']['learning_rate']}."
    ]
    rows = [row for row in read_metrics(out / "metrics.jsonl") if "learning_rate" in row]
    assert [row["step"] for row in rows] == list(range(1, run.trainer.state.global_step + 1))
    rates = [row["learning_rate"] for row in rows]
    assert rates[: told["step"]] == pytest.approx([3e-4] * told["step"])
    assert rates[told["step"] :] == pytest.approx([3e-5] * (len(rates) - told["step"]))
    assert any(out.glob("collapsed-*"))


@pytest.mark.slow
def test_a_rolled_back_run_that_is_killed_resumes_on_its_branch(rolled_back: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = rolled_back
    shutil.copytree(folder / "out", tmp_path / "out")
    told = json.loads((tmp_path / "out/rollback.json").read_text())
    last = max(told["step"] + 2, 2)
    for path in (tmp_path / "out").glob("checkpoint-*"):
        if int(path.name[11:]) > last:
            shutil.rmtree(path)
    again = trained(recipe(tmp_path, resume_from_checkpoint="latest"))
    assert again.trainer.args.learning_rate == pytest.approx(3e-5)
    rewards = [
        [row["reward"] for row in read_metrics(where / "out/metrics.jsonl") if "reward" in row]
        for where in (folder, tmp_path)
    ]
    assert rewards[0] == rewards[1]


@pytest.mark.slow
def test_a_second_alarm_ends_the_run_with_the_weights_from_before(tmp_path: Path) -> None:
    run = trained(recipe(tmp_path, guard={"action": "rollback", "then": {"learning_rate": 6e-4}}, max_steps=40))
    assert run.put_back
    assert run.trainer.state.global_step < 40
    alarm = next(c for c in run.trainer.callback_handler.callbacks if hasattr(c, "alarms")).alarms[-1]
    checkpoint = latest_checkpoint(tmp_path / "out", before=alarm.change_point) or tmp_path / "out/start"
    kept = load_file(checkpoint / "model.safetensors")
    mine = run.trainer.model.state_dict()
    assert all((mine[name] == value).all() for name, value in kept.items())


def test_a_guard_that_rolls_back_needs_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *recipe(tmp_path, save_strategy="no")]) == 2
    assert "A guard that rolls back needs whole checkpoints" in capsys.readouterr().err


def test_flags_and_words_of_a_guard(tmp_path: Path) -> None:
    argv = recipe(tmp_path, guard=False)
    assert parse_recipe(argv).guard is None
    assert parse_recipe([*argv, "--guard", "stop"]).guard.action == "stop"  # type: ignore[union-attr]
    changed = parse_recipe([*argv, "--guard", '{"action": "rollback", "then": {"beta": 0.4}}']).guard
    assert changed is not None
    assert changed.then == {"beta": 0.4}
    assert parse_recipe([*argv, "--guard", "off"]).guard is None
