"""Training from a pool that grows: real runs, and a resumed one that equals the one that was never killed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.processes import on_two_processes
from support.runs import OPTIONS as TINY

from selfrl.data.sum_chains import tiny_chains
from selfrl.models import model_path
from selfrl.rewards import RandomReward
from selfrl.selfplay import ProceduralCreator
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.live_pool import LivePool
from selfrl.trainers import GRPOConfig, GRPOTrainer

OPTIONS: dict[str, Any] = {
    **TINY,
    "max_steps": 6,
    "max_completion_length": 6,
    "save_strategy": "steps",
    "save_steps": 1,
    "logging_steps": 1,
    "dynamic_sampling_rounds": 1,
}


def trainer(out: Path, **options: Any) -> Any:
    settings = CurriculumSettings(gate=GateSettings(mode="syntax", near=1.0))
    pool = LivePool(ProceduralCreator("chains"), settings, parents=3)
    config = GRPOConfig(str(out), **{**OPTIONS, **options})
    return GRPOTrainer(model_path("tiny"), RandomReward(p=0.5), config, tiny_chains("train", 16), pool=pool)


@pytest.mark.slow
def test_a_resumed_run_equals_the_one_that_was_never_killed(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.train()
    assert len(whole.pool) > 16
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole" / "checkpoint-3", cut / "checkpoint-3")
    resumed = trainer(cut)
    resumed.train(resume_from_checkpoint=str(cut / "checkpoint-3"))
    assert resumed.pool.pool.entries == whole.pool.pool.entries
    assert resumed.pool.state()["draws"] == whole.pool.state()["draws"]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def pooled(out: str) -> dict[str, Any]:
    run = trainer(Path(out), save_strategy="no", per_device_train_batch_size=4, max_steps=4)
    run.train()
    state = run.pool.state()
    return {**state, "logged": (Path(out) / "gate.jsonl").read_text().splitlines(), "size": len(run.pool)}


@pytest.mark.slow
def test_two_processes_have_one_pool(tmp_path: Path) -> None:
    first, second = on_two_processes(pooled, str(tmp_path))
    gates = [state.pop("gate") for state in (first, second)]
    assert first == second
    assert gates[0]["counts"] == gates[1]["counts"]
    assert first["size"] > 16
    judged = gates[0]["counts"]["in"]
    assert judged <= len(first["logged"]) == len(set(first["logged"])) <= 2 * judged  # the main process alone writes


def test_what_does_not_fit_is_refused_before_a_model_loads(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dataloader_num_workers"):
        trainer(tmp_path, dataloader_num_workers=1)
    with pytest.raises(ValueError, match="16 seeds"):
        trainer(tmp_path, num_generations=2, generation_batch_size=64, per_device_train_batch_size=64)
