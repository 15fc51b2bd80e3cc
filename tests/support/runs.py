"""Trainings of a tiny model that take seconds, rewards that are known beforehand, and spies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import Dataset
from transformers import TrainerCallback

from selfrl.data.tiny import tiny_problems
from selfrl.trainers import (
    GRPOConfig,
    GRPOTrainer,
    NFTConfig,
    NFTTrainer,
    RLOOConfig,
    RLOOTrainer,
    RLSCConfig,
    RLSCTrainer,
)

OPTIONS: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 8,
    "max_steps": 2,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}
RECIPE: dict[str, Any] = {
    "model_name_or_path": "tiny",
    "dataset": "tiny",
    "num_generations": 4,
    "max_completion_length": 40,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "logging_steps": 1,
}
CONFIGS: dict[type, Any] = {
    NFTTrainer: NFTConfig,
    RLSCTrainer: RLSCConfig,
    GRPOTrainer: GRPOConfig,
    RLOOTrainer: RLOOConfig,
    trl.GRPOTrainer: trl.GRPOConfig,
    trl.RLOOTrainer: trl.RLOOConfig,
}
TRAINER_ARGUMENTS = (
    "callbacks",
    "curriculum",
    "eval_dataset",
    "peft_config",
    "processing_class",
    "roles",
    "shaping",
    "teacher",
    "tools",
)


def tiny_config(trainer_class: type, out: Path, **options: Any) -> Any:
    """The configuration that belongs to a trainer class or its base: `OPTIONS`, with `options` over them."""
    config_class = next(CONFIGS[base] for base in trainer_class.__mro__ if base in CONFIGS)
    return config_class(str(out), **{**OPTIONS, **options})


def tiny_run(trainer_class: Any, model: Any, out: Path, reward: Any, data: Any = None, /, **options: Any) -> Any:
    """A trainer, ready to train.

    Args:
        trainer_class: of ours or TRL's, or a subclass.
        model: a folder, or the model itself.
        out: a folder.
        reward: or several.
        data: by default sixteen of the packaged problems.
        options: settings over `OPTIONS`, and arguments of the trainer itself.
    """
    own = {name: options.pop(name) for name in TRAINER_ARGUMENTS if name in options}
    args = tiny_config(trainer_class, out, **options)
    model = str(model) if isinstance(model, Path) else model
    return trainer_class(model, reward, args, tiny_problems("train", 16) if data is None else data, **own)


def nft(model: Path | str, out: Path, reward: Any, data: Dataset | None = None, **options: Any) -> NFTTrainer:
    """NFT with two updates a batch: with one it would be GRPO."""
    return tiny_run(NFTTrainer, model, out, reward, data, **{"steps_per_generation": 2, **options})


def scored(trainer: Any) -> list[dict[str, Any]]:
    """Batches that the trainer trains on, in a list that fills while it runs."""
    batches: list[dict[str, Any]] = []
    generate = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda rows: batches.append(generate(rows)) or batches[-1]
    return batches


class Script:
    """Rewards the completions of a call by their place in it: `values` over and over; None abstains."""

    __name__ = "Script"

    def __init__(self, values: list[float | None]) -> None:
        self.values = values

    def __call__(self, completions: list[str], **columns: Any) -> list[float | None]:
        return [self.values[i % len(self.values)] for i in range(len(completions))]


class ByPrompt:
    """Half of a prompt's completions are right if its question is among `mixed`, else all are wrong."""

    __name__ = "ByPrompt"

    def __init__(self, mixed: set[str]) -> None:
        self.mixed = mixed
        self.prompts: list[list[str]] = []

    def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        self.prompts.append(prompts)
        return [float(prompt in self.mixed and i % 2 == 0) for i, prompt in enumerate(prompts)]


class Variety:
    """Rewards distinct characters, and keeps what each call was handed."""

    __name__ = "Variety"

    def __init__(self) -> None:
        self.calls: list[dict[str, list[Any]]] = []

    def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        self.calls.append({"prompts": prompts, "completions": completions, **columns})
        return [len(set(completion)) / 10 for completion in completions]


class Gradients(TrainerCallback):
    """Keeps the gradients of every optimizer step."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_pre_optimizer_step(self, *args: Any, model: Any, **kwargs: Any) -> None:
        self.steps.append(torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None]))


class Kill(TrainerCallback):
    """Kills its own process, as a machine that goes down, when an optimizer step is done."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.after:
            os.kill(os.getpid(), signal.SIGKILL)
