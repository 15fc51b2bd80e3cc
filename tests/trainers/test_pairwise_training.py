"""Pairwise self-rewards in real training runs: the policy as its own judge, online DPO, DPO."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import trl
from datasets import Dataset
from peft import LoraConfig
from support.runs import OPTIONS, tiny_run
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from selfrl.data.tiny import tiny_problems
from selfrl.generation import Generation, Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import TINY_MODEL
from selfrl.preferences import preference_pairs
from selfrl.rewards import PairwiseSelfReward
from selfrl.trainers import GRPOTrainer, RLOOTrainer

QUIET = {name: OPTIONS[name] for name in ("use_cpu", "bf16", "report_to", "logging_steps", "save_strategy")}


class LikesLarge:
    """A judge whose choice is known: the larger answer."""

    def generate(self, prompts: Any, sampling: Any) -> list[list[Generation]]:
        sides = [list(map(answer_of, p[0]["content"].split("|"))) for p in prompts]
        said = ["A" if a > b else "B" if b > a else "tie" for a, b in sides]
        return [[Generation(text, "stop", 1, 1)] for text in said]


def answer_of(text: str) -> float:
    """The last number, at most 999: the packaged model's sums are below 200."""
    return min(float((re.findall(r"\d+", text) or ["0"])[-1]), 999.0)


def likes_large() -> PairwiseSelfReward:
    return PairwiseSelfReward(LikesLarge(), template="{{ first }}|{{ second }}")


class Heard(PairwiseSelfReward):
    """Keeps what the policy was asked and said, and how the model was left."""

    def __call__(self, prompts: Any, completions: Any, *args: Any, policy: Any = None, **columns: Any) -> Any:
        self.heard = []
        policy = list(policy)
        inner = policy[0].generate

        def generate(asked: Any, sampling: Any) -> Any:
            found = inner(asked, sampling)
            self.heard.append((asked, sampling, [[g.text for g in group] for group in found]))
            return found

        policy[0].generate = generate
        return super().__call__(prompts, completions, *args, policy=policy, **columns)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpo", "rloo", "lora"])
def test_the_policy_judges_with_the_weights_of_the_step(tmp_path: Path, kind: str) -> None:
    trainer_class = RLOOTrainer if kind == "rloo" else GRPOTrainer
    reward = Heard(template="{{ prompt }} {{ first }} {{ second }}", max_tokens=6)
    said = []

    class Trainer(trainer_class):  # type: ignore[misc, valid-type]
        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
            training, checkpointing = self.model.training, self.model.is_gradient_checkpointing
            found = super()._calculate_rewards(*args, **kwargs)
            assert (self.model.training, self.model.is_gradient_checkpointing) == (training, checkpointing)
            model = self.accelerator.unwrap_model(self.model)
            own = TransformersGenerator(model, self.processing_class, 8)
            for asked, sampling, heard in reward.heard:
                again = own.generate(asked, sampling)
                said.append((heard, [[g.text for g in group] for group in again]))
            return found

    trainer = tiny_run(
        Trainer,
        TINY_MODEL,
        tmp_path,
        [reward],
        tiny_problems("train", 8).select_columns("prompt"),
        max_completion_length=12,
        learning_rate=1e-2,
        lean_rollouts=False,  # draws of which both steps have something to compare
        gradient_checkpointing=kind == "grpo",
        peft_config=LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_alpha=64) if kind == "lora" else None,
    )
    trainer.train()
    assert len(said) == 2
    assert all(heard == again for heard, again in said)
    assert said[0] != said[1]
    logged = [row for row in trainer.state.log_history if "PairwiseSelfReward/comparisons" in row or "reward" in row]
    assert any(f"{reward.__name__}/comparisons" in row for row in logged)


@pytest.mark.slow
def test_training_follows_the_judge_in_plain_trl(tmp_path: Path) -> None:
    options = {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 40}
    options |= {"max_steps": 12, "learning_rate": 3e-4, "loss_type": "grpo"}
    rows = tiny_problems("train", 200).select_columns("prompt")
    trainer = tiny_run(trl.GRPOTrainer, TINY_MODEL, tmp_path, likes_large(), rows, **options)
    before = mean_answer(trainer.model, trainer.processing_class)
    trainer.train()
    assert mean_answer(trainer.model, trainer.processing_class) > before + 10


def test_plain_trl_cannot_hand_over_the_policy(tmp_path: Path) -> None:
    rows = tiny_problems("train", 8).select_columns("prompt")
    trainer = tiny_run(trl.GRPOTrainer, TINY_MODEL, tmp_path, PairwiseSelfReward(), rows, max_steps=1)
    with pytest.raises(ValueError, match=r"train with selfrl\.trainers\.GRPOTrainer"):
        trainer.train()


@pytest.mark.slow
def test_it_judges_for_online_dpo(tmp_path: Path) -> None:
    config = OnlineDPOConfig(
        str(tmp_path),
        max_steps=8,
        learning_rate=3e-4,
        max_new_tokens=40,
        missing_eos_penalty=None,
        per_device_train_batch_size=32,
        **QUIET,
    )
    start = TransformersGenerator.load(str(TINY_MODEL))
    before = mean_answer(start.model, start.tokenizer)
    trainer = OnlineDPOTrainer(
        model=start.model,
        reward_funcs=likes_large(),
        args=config,
        train_dataset=tiny_problems("train", 800).select_columns("prompt"),
        processing_class=start.tokenizer,
    )
    trainer.train()
    assert mean_answer(trainer.model, start.tokenizer) > before + 10


def mean_answer(model: Any, tokenizer: Any) -> float:
    prompts = tiny_problems("heldout", 40)["prompt"][:]
    groups = TransformersGenerator(model, tokenizer).generate(prompts, Sampling(max_tokens=40, n=8, seed=0))
    return fmean(answer_of(g.text) for group in groups for g in group)


@pytest.mark.slow
def test_its_pairs_train_dpo(tmp_path: Path) -> None:
    generator = TransformersGenerator.load(str(TINY_MODEL), batch_size=128)
    prompts = tiny_problems("train", 48)["prompt"][:]
    groups = [[g.text for g in group] for group in generator.generate(prompts, Sampling(max_tokens=40, n=4, seed=0))]
    flat = likes_large()([p for p in prompts for _ in range(4)], [text for group in groups for text in group])
    scores = [flat[i : i + 4] for i in range(0, len(flat), 4)]
    rows = preference_pairs(prompts, groups, scores, min_margin=0.3)
    assert len(rows) > 8
    assert all(answer_of(r["chosen"]) > answer_of(r["rejected"]) for r in rows)
    config = trl.DPOConfig(
        str(tmp_path),
        max_steps=12,
        learning_rate=1e-3,
        per_device_train_batch_size=8,
        max_length=128,
        **QUIET,
    )
    data = Dataset.from_list(rows).remove_columns("margin")
    trainer = trl.DPOTrainer(str(TINY_MODEL), args=config, train_dataset=data, processing_class=generator.tokenizer)
    trainer.train()
    margins = [row["rewards/margins"] for row in trainer.state.log_history if "rewards/margins" in row]
    assert margins[0] == pytest.approx(0, abs=1e-3)
    assert fmean(margins[-3:]) > 0.05
