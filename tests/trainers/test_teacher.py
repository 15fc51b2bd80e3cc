"""The teacher: what it becomes, what it says, what KL refers to, and that it survives a kill."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from support.processes import in_a_process, on_two_processes
from support.runs import Kill, tiny_config, tiny_run
from transformers import TrainerCallback

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward, SelfCertaintyReward
from selfrl.signals import cosine_weight
from selfrl.trainers import GRPOTrainer, RLOOTrainer, TeacherConfig

OPTIONS: dict[str, Any] = {
    "per_device_train_batch_size": 16,
    "max_completion_length": 40,
    "max_steps": 3,
    "lr_scheduler_type": "constant",
    "beta": 0.1,
}
FAST = TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.1)


def run_of(trainer_class: Any, out: Path, reward: Any, rows: Any = None, **options: Any) -> Any:
    """The packaged model with many rows and a KL term."""
    rows = tiny_problems("train", 64) if rows is None else rows
    return tiny_run(trainer_class, TINY_MODEL, out, reward, rows, **{**OPTIONS, **options})


class Trail(TrainerCallback):
    """Keeps the policy's weights after every step."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.weights.append({n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad})


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer])
def test_the_shadow_is_the_scheduled_average_of_the_policy(trainer_class: Any, lora: bool, tmp_path: Path) -> None:
    trail = Trail()
    trainer = run_of(
        trainer_class,
        tmp_path,
        MajorityVoteReward(voters="teacher"),
        peft_config=LoraConfig(r=4, target_modules="all-linear") if lora else None,
        callbacks=[trail],
        teacher=FAST,
    )
    expected = {name: tensor.double().clone() for name, tensor in trainer.shadow.items()}
    assert all("lora" in name for name in expected) == lora
    trainer.train()
    for k, weights in enumerate(trail.weights, start=1):
        w = cosine_weight(k, 3, 0.5, 0.1)
        expected = {name: w * weights[name].double() + (1 - w) * tensor for name, tensor in expected.items()}
    for name, tensor in trainer.shadow.items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=0, atol=1e-6)
        assert tensor.dtype == torch.float32
    moved = max((trainer.shadow[n] - p).abs().max().item() for n, p in trainer._trained_weights().items())
    assert moved > 1e-4  # the policy has its own weights back, which are not the teacher's


@pytest.mark.parametrize("lora", [False, True])
def test_kl_refers_to_the_teacher(lora: bool, tmp_path: Path) -> None:
    trainer = run_of(
        GRPOTrainer,
        tmp_path,
        SelfCertaintyReward(),
        peft_config=LoraConfig(r=4, target_modules="all-linear") if lora else None,
        teacher=FAST,
    )
    trainer.train()
    inputs = trainer._generate_and_score_completions([{"prompt": "Add 3 and 4.\n"}] * 4)
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    keep = inputs["completion_ids"].shape[1]
    with torch.no_grad():
        policy = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, keep)[0]
        with trainer.teacher_weights():
            teacher = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, keep)[0]
    seen = inputs["completion_mask"].bool()
    torch.testing.assert_close(inputs["ref_per_token_logps"][seen], teacher[seen], rtol=0, atol=1e-5)
    assert (teacher - policy)[seen].abs().max() > 1e-3


class Hears(MajorityVoteReward):
    def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
        self.heard = columns["teacher_completions"]
        return super().__call__(prompts, completions, completion_ids, **columns)


def test_the_teacher_speaks_with_its_own_weights(tmp_path: Path) -> None:
    reward = Hears(voters="teacher")
    trainer = run_of(GRPOTrainer, tmp_path, reward, teacher=TeacherConfig(teacher_rollouts=2))
    with torch.no_grad():  # a teacher that can say but one token
        for name in trainer.shadow:
            trainer.shadow[name].zero_()
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    output = trainer._generate_and_score_completions([{"prompt": "Add 3 and 4.\n"}] * 4)
    assert [len(texts) for texts in reward.heard] == [2] * 4
    assert all("boxed{" not in text for texts in reward.heard for text in texts)  # uniform noise
    assert "boxed{" in trainer.processing_class.decode(output["completion_ids"][0])
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_signals_are_the_policys_when_a_teacher_speaks_too(tmp_path: Path) -> None:
    rewards = [MajorityVoteReward(voters="teacher"), SelfCertaintyReward()]
    apart = {"multi_objective_aggregation": "normalize_then_sum"}
    trainer = run_of(GRPOTrainer, tmp_path, rewards, teacher=FAST, **apart)
    with torch.no_grad():
        for name in trainer.shadow:
            trainer.shadow[name].zero_()  # uniform: its self-certainty is 0
    trainer.model.train()
    trainer._generate_and_score_completions([{"prompt": "Add 3 and 4.\n"}] * 4)
    assert trainer._metrics["train"]["rewards/SelfCertaintyReward/mean"][0] > 3


@pytest.mark.parametrize(
    ("reward", "rows"),
    [
        (MajorityVoteReward(voters="teacher"), tiny_problems("train", 32)),
        (ContrastiveAgreementReward(voters="teacher"), expand_pairs(tiny_problems("train", 32))),
    ],
    ids=["II", "III"],
)
def test_co_rewarding_two_and_three_train(reward: Any, rows: Any, tmp_path: Path) -> None:
    trainer = run_of(GRPOTrainer, tmp_path, reward, rows, teacher=FAST)
    trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert len(logged) == 3
    assert 0.5 < logged[0][f"{reward.__name__}/label_accuracy"] <= 1
    assert logged[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert logged[2]["kl"] > 0


def test_a_reward_that_listens_needs_a_teacher(tmp_path: Path) -> None:
    args = tiny_config(GRPOTrainer, tmp_path)
    with pytest.raises(ValueError, match=r"takes its label from a teacher: give the trainer teacher=TeacherConfig"):
        GRPOTrainer("no/model", MajorityVoteReward(voters="teacher"), args, tiny_problems("train", 8))
    with pytest.raises(ValueError, match=r"train with selfrl\.trainers"):
        MajorityVoteReward(voters="teacher")(["p"], ["4"])
    synced = tiny_config(GRPOTrainer, tmp_path, beta=0.1, sync_ref_model=True)
    with pytest.raises(ValueError, match="leave sync_ref_model off"):
        GRPOTrainer("no/model", MajorityVoteReward(), synced, tiny_problems("train", 8), teacher=FAST)


@pytest.mark.parametrize("bad", [{"teacher_weight_start": 2}, {"teacher_weight_end": -1}, {"teacher_rollouts": 0}])
def test_bad_settings_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        TeacherConfig(**bad)


def train(out: Path, lora: bool, kill_after: int = -1, resume: Path | None = None) -> None:
    """Four steps of Co-rewarding III with a checkpoint every two."""
    trainer = run_of(
        GRPOTrainer,
        out,
        ContrastiveAgreementReward(voters="teacher"),
        expand_pairs(tiny_problems("train", 64)),
        max_steps=4,
        save_strategy="steps",
        save_steps=2,
        callbacks=[Kill(kill_after)],
        peft_config=LoraConfig(r=4, target_modules="all-linear") if lora else None,
        teacher=FAST,
    )
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))


@pytest.mark.slow
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_a_killed_run_resumes_to_the_same_teacher_and_policy_bit_for_bit(lora: bool, tmp_path: Path) -> None:
    in_a_process(train, tmp_path / "whole", lora)
    in_a_process(train, tmp_path / "killed", lora, 3, returncode=-signal.SIGKILL)
    in_a_process(train, tmp_path / "killed", lora, -1, tmp_path / "killed" / "checkpoint-2")
    weights = "adapter_model.safetensors" if lora else "model.safetensors"
    for file in (weights, "teacher.safetensors"):
        whole, resumed = (load_file(tmp_path / name / "checkpoint-4" / file) for name in ("whole", "killed"))
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    policy, teacher = (load_file(tmp_path / "whole" / "checkpoint-4" / f) for f in (weights, "teacher.safetensors"))
    assert any(not torch.equal(a, b) for a, b in zip(policy.values(), teacher.values(), strict=False))


def test_a_checkpoint_without_a_teacher_is_refused(tmp_path: Path) -> None:
    saved = {"save_strategy": "steps", "save_steps": 1}
    run_of(GRPOTrainer, tmp_path, MajorityVoteReward(), max_steps=1, **saved).train()
    trainer = run_of(GRPOTrainer, tmp_path, MajorityVoteReward(), max_steps=2, teacher=FAST, **saved)
    with pytest.raises(ValueError, match="holds no teacher: it comes from a run without one"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


def shadow_sums(out: Path) -> list[float]:
    """Of every tensor of this process's teacher, after a training."""
    trainer = run_of(
        GRPOTrainer,
        out,
        [ContrastiveAgreementReward(voters="teacher"), SelfCertaintyReward()],
        expand_pairs(tiny_problems("train", 16)),
        # groups of 3, three rows a process: view 0 on one, view 1 on the other
        per_device_train_batch_size=3,
        num_generations=3,
        ddp_backend="gloo",
        multi_objective_aggregation="normalize_then_sum",
        teacher=FAST,
    )
    trainer.train()
    return [float(tensor.double().sum()) for tensor in trainer.shadow.values()]


@pytest.mark.slow
def test_teachers_of_two_processes_stay_the_same(tmp_path: Path) -> None:
    one, two = on_two_processes(shadow_sums, tmp_path)
    assert one
    assert one == two
