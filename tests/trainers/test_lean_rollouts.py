"""Rollouts that read each prompt once: where they are taken, and where TRL's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from peft import LoraConfig
from support.processes import on_two_processes
from support.runs import tiny_run

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.rewards import AccuracyReward, SelfCertaintyReward
from selfrl.trainers import GRPOTrainer, RLOOTrainer

pytestmark = pytest.mark.slow


def rows_read(out: Path, trainer_class: Any, reward: Any, **options: Any) -> tuple[list[int], Any]:
    """Rows of every pass of the model while it generates one batch of two prompts with four copies each."""
    options = {"max_completion_length": 24, **options}
    trainer = tiny_run(trainer_class, model_path("tiny"), out, reward, tiny_problems("train", 16), **options)
    model = trainer.accelerator.unwrap_model(trainer.model)
    rows: list[int] = []

    def count(module: Any, args: Any, kwargs: Any) -> None:
        if kwargs.get("labels") is None and kwargs.get("use_cache"):
            rows.append(len(kwargs["input_ids"]))

    getattr(model, "get_base_model", lambda: model)().register_forward_pre_hook(count, with_kwargs=True)
    trainer.model.train()
    problems = tiny_problems("heldout", 2)
    batch = trainer._generate_and_score_completions([dict(row) for row in problems for _ in range(4)])
    assert "generate" not in vars(model)
    return rows, batch


@pytest.mark.parametrize(
    ("trainer_class", "options"),
    [(GRPOTrainer, {}), (RLOOTrainer, {}), (GRPOTrainer, {"peft_config": LoraConfig(r=2, target_modules=["q_proj"])})],
    ids=["grpo", "rloo", "lora"],
)
def test_each_prompt_is_read_once(trainer_class: Any, options: dict[str, Any], tmp_path: Path) -> None:
    rows, batch = rows_read(tmp_path, trainer_class, AccuracyReward(), **options)
    assert rows[:2] == [2, 8]
    assert rows[1:] == sorted(rows[1:], reverse=True)
    assert len(batch["completion_ids"]) == 8


@pytest.mark.parametrize(
    ("reward", "options"),
    [(AccuracyReward(), {"lean_rollouts": False}), (SelfCertaintyReward(), {})],
    ids=["off", "heard"],
)
def test_else_all_rows_run_to_the_end(reward: Any, options: dict[str, Any], tmp_path: Path) -> None:
    rows, _ = rows_read(tmp_path, GRPOTrainer, reward, **options)
    assert set(rows) == {8}


def test_trls_own_configuration_has_trls_draws(tmp_path: Path) -> None:
    options: dict[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 24}
    options |= {"use_cpu": True, "bf16": False, "report_to": "none", "seed": 3}
    said = []
    for kind in (GRPOTrainer, trl.GRPOTrainer):
        args = trl.GRPOConfig(str(tmp_path), **options)
        trainer = kind(str(model_path("tiny")), AccuracyReward(), args, tiny_problems("train", 16))
        trainer.model.train()
        torch.manual_seed(0)
        rows = [dict(row) for row in tiny_problems("heldout", 2) for _ in range(4)]
        said.append(trainer._generate_and_score_completions(rows)["completion_ids"])
    assert torch.equal(*said)


def two(out: str) -> list[torch.Tensor]:
    """The likeliest completions of a batch, as lean and as plain rollouts give them."""
    said = []
    for lean in (True, False):
        options: dict[str, Any] = {"lean_rollouts": lean, "top_k": 1, "max_completion_length": 24}
        trainer = tiny_run(GRPOTrainer, model_path("tiny"), Path(out), AccuracyReward(), **options)
        trainer.model.train()
        start = 2 * trainer.accelerator.process_index
        problems = tiny_problems("heldout", 4).select(range(start, start + 2))
        batch = trainer._generate_and_score_completions([dict(row) for row in problems for _ in range(4)])
        said.append(batch["completion_ids"])
    return said


def test_on_two_processes_the_likeliest_completions_are_the_same(tmp_path: Path) -> None:
    for lean, plain in on_two_processes(two, str(tmp_path)):
        assert torch.equal(lean, plain)
        assert len({tuple(row) for row in lean.tolist()}) == 2
