"""A resumed run equals the one that was never killed: in any epoch, within a generation batch."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from support.runs import OPTIONS as TINY
from transformers import set_seed

from selfrl.checkpoint import latest_checkpoint
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward, RandomReward
from selfrl.trainers import (
    GRPOConfig,
    GRPOTrainer,
    NFTConfig,
    NFTTrainer,
    RLOOConfig,
    RLOOTrainer,
    TeacherConfig,
)

OPTIONS: dict[str, Any] = {
    **TINY,
    "steps_per_generation": 4,  # updates a batch of 8 prompts
    "num_train_epochs": 3,
    "max_steps": -1,
    "max_completion_length": 6,
    "save_strategy": "steps",
    "save_steps": 1,
    "logging_steps": 5,
}
STEPS = 24  # 16 prompts: 2 batches and 8 updates an epoch


def prompts() -> Dataset:
    return tiny_problems("train", 16).select_columns(["prompt", "answer"])


def pairs() -> Dataset:
    return expand_pairs(tiny_problems("train", 8))


def stream() -> Any:
    return prompts().to_iterable_dataset()


def unpaired(model: Path, out: Path) -> Any:
    return GRPOTrainer(str(model), RandomReward(), GRPOConfig(str(out), **OPTIONS), prompts())


def paired(model: Path, out: Path) -> Any:
    rewards = [ContrastiveAgreementReward(), RandomReward()]
    return GRPOTrainer(str(model), rewards, GRPOConfig(str(out), **OPTIONS, beta=0.1), pairs())


def iterable(model: Path, out: Path) -> Any:
    args = GRPOConfig(str(out), **{**OPTIONS, "num_train_epochs": 1, "max_steps": STEPS})
    return GRPOTrainer(str(model), RandomReward(), args, stream())


def nft(model: Path, out: Path) -> Any:
    args = NFTConfig(str(out), **OPTIONS, dynamic_sampling_rounds=1, loss_normalizer=100.0)
    return NFTTrainer(str(model), RandomReward(p=0.3), args, prompts())


def teacher(model: Path, out: Path) -> Any:
    rewards = [MajorityVoteReward(voters="teacher"), RandomReward()]
    taught = TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.1)
    return GRPOTrainer(str(model), rewards, GRPOConfig(str(out), **OPTIONS, beta=0.1), prompts(), teacher=taught)


def accumulating(model: Path, out: Path) -> Any:
    """Batches that are used twice, in updates of two micro-batches."""
    args = RLOOConfig(str(out), **OPTIONS, num_iterations=2, gradient_accumulation_steps=2)
    return RLOOTrainer(str(model), RandomReward(), args, prompts())


RUNS = [unpaired, paired, iterable, nft, teacher, accumulating]


def everything(trainer: Any) -> dict[str, torch.Tensor]:
    """Weights, teacher and optimizer of a finished run."""
    tensors = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    tensors |= {f"teacher/{name}": tensor.clone() for name, tensor in getattr(trainer, "shadow", {}).items()}
    for i, state in enumerate(trainer.optimizer.state.values()):
        tensors |= {f"optimizer/{i}/{name}": value for name, value in state.items() if torch.is_tensor(value)}
    return tensors


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("build", RUNS, ids=lambda build: build.__name__)
def test_a_kill_at_any_step_changes_nothing(build: Any, random_model: Path, tmp_path: Path) -> None:
    set_seed(0)
    whole = build(random_model, tmp_path / "whole")
    whole.train()
    assert whole.state.global_step == STEPS
    steps = sorted([*random.Random(build.__name__).sample(range(1, STEPS), 2), 8, 18])  # an epoch's end, and mid-batch
    for step in steps:
        out = tmp_path / f"killed{step}"
        shutil.copytree(tmp_path / "whole" / f"checkpoint-{step}", out / f"checkpoint-{step}")
        torch.manual_seed(step)  # whatever the new process began with
        resumed = build(random_model, out)
        resumed.train(resume_from_checkpoint=str(latest_checkpoint(out)))
        assert resumed.state.global_step == STEPS
        expected, found = everything(whole), everything(resumed)
        different = [name for name in expected if not torch.equal(expected[name], found[name])]
        assert not different, f"killed after step {step}: {different[:3]}"
        assert resumed.history.state() == whole.history.state()
        assert logged(resumed) == logged(whole)
        shutil.rmtree(out)


def logged(trainer: Any) -> list[dict[str, Any]]:
    """What the log lines say of rollouts; the Trainer's own loss begins anew at a resume, and times differ."""
    own = ("loss", "step_time", "runtime", "per_second", "train_loss", "flos")
    return [{k: v for k, v in row.items() if not any(part in k for part in own)} for row in trainer.state.log_history]
