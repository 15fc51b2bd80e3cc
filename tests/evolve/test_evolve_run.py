"""`selfrl evolve` for real: rounds of GRPO and of DPO on the tiny model, and a kill in the middle of a training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from safetensors.torch import load_file

from selfrl.data.sum_chains import tiny_chains
from selfrl.evolve.command import evolve, main
from selfrl.evolve.evolve_recipe import EvolveRecipe
from selfrl.models import model_path
from selfrl.selfplay.stage_files import read_lines

ROUNDS: dict[str, Any] = {
    "creator": {"ProceduralCreator": {"space": "chains", "children": 2}},
    "samples": 2,
    "max_tokens": 4,
    "temperature": 1.0,
    "top_p": 1.0,
    "subset": 0.5,
    "gate": {"mode": "syntax", "near": 1.0},
    "evaluation": ["tiny_chains"],
}
RECIPE: dict[str, Any] = {
    "model_name_or_path": "tiny",
    "dataset": "tiny_chains",
    "dataset_split": "train[:12]",
    "rewards": {"RandomReward": {"p": 0.5}},
    "evolve": ROUNDS,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "save_steps": 1,
    "logging_steps": 1,
    "per_device_train_batch_size": 8,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}
GRPO: dict[str, Any] = {**RECIPE, "num_generations": 4, "max_completion_length": 4}
DPO: dict[str, Any] = {**RECIPE, "trainer": "dpo", "loss_type": ["ipo"], "max_length": 64}


def written(folder: Path, keys: dict[str, Any], **rounds: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**keys, "evolve": {**ROUNDS, **rounds}}))
    return path


def quiet() -> Console:
    return Console(file=open(os.devnull, "w"), width=120)


@pytest.mark.slow
def test_a_training_killed_with_its_parent_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    recipe = written(tmp_path, GRPO)
    evolve(str(recipe), tmp_path / "whole", quiet())
    cut = tmp_path / "cut"
    run = subprocess.Popen([sys.executable, "-m", "selfrl.cli", "evolve", str(recipe), "--out", str(cut)])
    train = cut / "rounds/001/train"
    _wait(lambda: (train / "checkpoint-1/trainer_state.json").exists())
    with pytest.raises(ValueError, match="Another process works on"):
        evolve(str(recipe), cut, quiet())
    (trainer,) = _children(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    _wait(lambda: not Path(f"/proc/{trainer}").exists() or _zombie(trainer))
    assert not (train / "trained.json").exists()
    evolve(str(recipe), cut, quiet())
    assert "resume" in (train / "log.txt").read_text().casefold() or (train / "checkpoint-3").exists()
    weights = [load_file(folder / "rounds/001/train/model.safetensors") for folder in (tmp_path / "whole", cut)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert (cut / "curriculum.html").exists()
    with pytest.raises(ValueError, match="another recipe"):
        evolve(str(written(tmp_path, GRPO, samples=3)), cut, quiet())


@pytest.mark.slow
def test_dpo_trains_on_the_solvers_own_answers_in_two_phases(tmp_path: Path) -> None:
    evolve(str(written(tmp_path, DPO, fresh=8)), tmp_path / "run", quiet())
    folder = tmp_path / "run/rounds/001"
    for phase in (folder / "fresh", folder):
        pairs = read_lines(phase / "training.jsonl")
        assert pairs
        assert {pair["margin"] for pair in pairs} == {1}
        assert (phase / "train/model.safetensors").exists()
    held = yaml.safe_load((folder / "train/recipe.yaml").read_text())
    assert held["model_name_or_path"] == str(folder / "fresh/train")
    assert held["loss_type"] == ["ipo"]
    rows = [json.loads(line) for line in (folder / "train/metrics.jsonl").read_text().splitlines()]
    assert any("rewards/margins" in row for row in rows)


@pytest.mark.slow
def test_a_proposer_is_trained_against_the_solver_before_it_writes(tmp_path: Path) -> None:
    """The packaged model proposes nothing that keeps the form: the gate counts it, and seeds are trained on."""
    keys = {**GRPO, "max_steps": 1, "num_generations": 2}
    proposer = {"rewards": {"ProposerReward": {"samples": 2, "max_tokens": 4}}, "max_steps": 2}
    creator = {"ProposerCreator": {"children": 2, "max_tokens": 4}}
    recipe = written(tmp_path, keys, creator=creator, proposer=proposer, gate={"low": 0.0, "high": 1.0})
    evolve(str(recipe), tmp_path / "run", quiet())
    folder = tmp_path / "run/rounds/001"
    trained, solved = (
        yaml.safe_load((folder / name / "recipe.yaml").read_text()) for name in ("proposer/train", "train")
    )
    start = str(model_path("tiny"))
    assert trained["rewards"]["ProposerReward"]["solver"] == trained["model_name_or_path"] == start
    assert solved["model_name_or_path"] == start  # each is trained on its own
    assert (trained["max_steps"], solved["max_steps"]) == (2, 1)
    requests = read_lines(folder / "proposer/requests.jsonl")
    assert len(requests) == 6
    assert "<example>" in requests[0]["prompt"][0]["content"]
    assert all(row["text"] == "" for row in read_lines(folder / "children/part-00000.jsonl"))
    assert {row["why"] for row in read_lines(folder / "gate-texts.jsonl")} == {"empty"}
    assert {row["prompt"] for row in read_lines(folder / "training.jsonl")} <= set(tiny_chains("train", 12)["prompt"])


def _wait(done: Any, limit_s: float = 300) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    return [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    ("keys", "rounds", "word"),
    [
        ({"pool": {}}, {}, "`pool`"),
        ({"learning_rat": 1}, {}, "learning_rate"),
        ({}, {"round": 2}, "rounds"),
        ({}, {"creator": "Nobody"}, "Nobody"),
        ({}, {"creator": {"EvolCreator": {"writer": "other"}}, "proposer": {}}, "proposer"),
        ({}, {"backend": "endpoint"}, "backend"),
        ({"rewards": {"FormatReward": {}}}, {"creator": "ProposerCreator", "proposer": {"max_steps": 1}}, "rewards"),
        (
            {"rewards": {"FormatReward": {}}},
            {"creator": "ProposerCreator", "proposer": {"rewards": {"No": {}}}},
            "'No'",
        ),
        ({"rewards": {"AccuracyReward": {}}}, {"creator": {"EvolCreator": {}}}, "answer"),
        ({"rewards": {"PretextReward": {}}}, {}, "PretextReward"),
        ({"rewards": {"SelfCertaintyReward": {}}}, {"backend": "vllm"}, "SelfCertaintyReward needs token signals"),
        ({"rewards": {"MajorityVoteReward": {"voters": "teacher"}}}, {}, "teacher"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    keys: dict[str, Any], rounds: dict[str, Any], word: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=word):
        EvolveRecipe.read(written(tmp_path, {**GRPO, **keys}, **rounds))


def test_a_dry_run_prints_the_plan_of_both_kinds_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for keys in (GRPO, DPO):
        assert main([str(written(tmp_path, keys)), "--out", str(tmp_path / "run"), "--rounds", "17", "--dry_run"]) == 0
        said = capsys.readouterr().out
        assert "17" in said
        assert "ProceduralCreator" in said
        assert "syntax" in said
    assert "ipo" in said
    assert not (tmp_path / "run").exists()
