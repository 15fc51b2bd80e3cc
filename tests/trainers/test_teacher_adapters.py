"""The teacher of a policy that came with an adapter, and what a teacher refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.runs import Script, tiny_config, tiny_run
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrl.rewards import MajorityVoteReward
from selfrl.trainers import GRPOTrainer, RLOOTrainer, TeacherConfig


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer])
def test_the_reference_of_a_loaded_adapter_is_the_teacher(
    trainer_class: Any, random_model: Path, tmp_path: Path
) -> None:
    """TRL keeps the initial adapter as a second one, which the teacher must move."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(random_model)
    policy = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    half = TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.5)
    options = {"beta": 0.1, "teacher": half, "learning_rate": 0.05, "max_steps": 3}
    options["processing_class"] = AutoTokenizer.from_pretrained(random_model)
    trainer = tiny_run(trainer_class, policy, tmp_path, Script([1, 0]), **options)
    initial = {name: tensor.clone() for name, tensor in trainer.shadow.items()}
    assert all(".default." in name for name in initial)
    trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model)
    for name, tensor in trainer.shadow.items():
        assert torch.equal(model.get_parameter(name.replace(".default.", ".ref.")), tensor)
    assert any(not torch.allclose(trainer.shadow[name], initial[name], atol=1e-4) for name in initial)
    assert not torch.equal(trainer.shadow[next(iter(initial))], model.get_parameter(next(iter(initial))))


@pytest.mark.parametrize("option", ["tools", "rollout_func", "environment_factory"])
def test_a_teacher_does_not_answer_for_others(option: str, tmp_path: Path) -> None:
    args = tiny_config(GRPOTrainer, tmp_path)
    reward, options = MajorityVoteReward(voters="teacher"), {option: [lambda: None]}
    with pytest.raises(ValueError, match=f"A teacher cannot answer with {option}"):
        GRPOTrainer("no/such/model", reward, args, teacher=TeacherConfig(), **options)
