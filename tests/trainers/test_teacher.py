"""The teacher: what it becomes, what it says, what KL refers to, and that it survives a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import TrainerCallback

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward, SelfCertaintyReward
from selfrl.signals import cosine_weight
from selfrl.trainers import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer, TeacherConfig

OPTIONS: dict[str, Any] = {
    "per_device_train_batch_size": 16,
    "num_generations": 4,
    "max_completion_length": 40,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "beta": 0.1,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}
FAST = TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.1)


class Trail(TrainerCallback):
    """Keeps the policy's weights after every step."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.weights.append({n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad})


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize(("trainer_class", "config_class"), [(GRPOTrainer, GRPOConfig), (RLOOTrainer, RLOOConfig)])
def test_the_shadow_is_the_scheduled_average_of_the_policy(
    trainer_class: Any, config_class: Any, lora: bool, tmp_path: Path
) -> None:
    trail = Trail()
    trainer = trainer_class(
        str(TINY_MODEL),
        MajorityVoteReward(voters="teacher"),
        config_class(str(tmp_path), **OPTIONS),
        tiny_problems("train", 64),
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
    trainer = GRPOTrainer(
        str(TINY_MODEL),
        SelfCertaintyReward(),
        GRPOConfig(str(tmp_path), **OPTIONS),
        tiny_problems("train", 64),
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
    trainer = GRPOTrainer(
        str(TINY_MODEL),
        reward,
        GRPOConfig(str(tmp_path), **OPTIONS),
        tiny_problems("train", 64),
        teacher=TeacherConfig(teacher_rollouts=2),
    )
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
    trainer = GRPOTrainer(
        str(TINY_MODEL),
        [MajorityVoteReward(voters="teacher"), SelfCertaintyReward()],
        GRPOConfig(str(tmp_path), **OPTIONS, multi_objective_aggregation="normalize_then_sum"),
        tiny_problems("train", 64),
        teacher=FAST,
    )
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
    trainer = GRPOTrainer(str(TINY_MODEL), reward, GRPOConfig(str(tmp_path), **OPTIONS), rows, teacher=FAST)
    trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert len(logged) == 3
    assert 0.5 < logged[0][f"{reward.__name__}/label_accuracy"] <= 1
    assert logged[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert logged[2]["kl"] > 0


def test_a_reward_that_listens_needs_a_teacher(tmp_path: Path) -> None:
    args = GRPOConfig(str(tmp_path), **OPTIONS)
    with pytest.raises(ValueError, match=r"takes its label from a teacher: give the trainer teacher=TeacherConfig"):
        GRPOTrainer("no/model", MajorityVoteReward(voters="teacher"), args, tiny_problems("train", 8))
    with pytest.raises(ValueError, match=r"train with selfrl\.trainers"):
        MajorityVoteReward(voters="teacher")(["p"], ["4"])
    synced = GRPOConfig(str(tmp_path), **OPTIONS, sync_ref_model=True)
    with pytest.raises(ValueError, match="leave sync_ref_model off"):
        GRPOTrainer("no/model", MajorityVoteReward(), synced, tiny_problems("train", 8), teacher=FAST)


@pytest.mark.parametrize("bad", [{"teacher_weight_start": 2}, {"teacher_weight_end": -1}, {"teacher_rollouts": 0}])
def test_bad_settings_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        TeacherConfig(**bad)


SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from peft import LoraConfig
from transformers import TrainerCallback
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import ContrastiveAgreementReward
from selfrl.trainers import GRPOConfig, GRPOTrainer, TeacherConfig

out, options, kill_at, lora, resume = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]

class Kill(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

trainer = GRPOTrainer(
    str(TINY_MODEL), ContrastiveAgreementReward(voters="teacher"), GRPOConfig(out, **options),
    expand_pairs(tiny_problems("train", 64)), callbacks=[Kill()],
    peft_config=LoraConfig(r=4, target_modules="all-linear") if lora == "lora" else None,
    teacher=TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.1),
)
trainer.train(resume_from_checkpoint=resume or None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("lora", ["lora", "full"])
def test_a_killed_run_resumes_to_the_same_teacher_and_policy_bit_for_bit(lora: str, tmp_path: Path) -> None:
    options = {**OPTIONS, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}

    def run(out: Path, kill_at: int = -1, resume: str = "") -> int:
        command = [sys.executable, "-c", SCRIPT, str(out), json.dumps(options), str(kill_at), lora, resume]
        return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True).returncode

    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "killed", kill_at=3) == -signal.SIGKILL
    shutil.rmtree(tmp_path / "killed" / "checkpoint-4", ignore_errors=True)
    assert run(tmp_path / "killed", resume=str(tmp_path / "killed" / "checkpoint-2")) == 0
    weights = "adapter_model.safetensors" if lora == "lora" else "model.safetensors"
    for file in (weights, "teacher.safetensors"):
        whole, resumed = (load_file(tmp_path / name / "checkpoint-4" / file) for name in ("whole", "killed"))
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    policy, teacher = (load_file(tmp_path / "whole" / "checkpoint-4" / f) for f in (weights, "teacher.safetensors"))
    assert any(not torch.equal(a, b) for a, b in zip(policy.values(), teacher.values(), strict=False))


def test_a_checkpoint_without_a_teacher_is_refused(tmp_path: Path) -> None:
    options = {**OPTIONS, "max_steps": 1, "save_strategy": "steps", "save_steps": 1}
    rows = tiny_problems("train", 64)
    GRPOTrainer(str(TINY_MODEL), MajorityVoteReward(), GRPOConfig(str(tmp_path), **options), rows).train()
    more = GRPOConfig(str(tmp_path), **{**options, "max_steps": 2})
    trainer = GRPOTrainer(str(TINY_MODEL), MajorityVoteReward(), more, rows, teacher=FAST)
    with pytest.raises(ValueError, match="comes from a run without a teacher"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


TWO_PROCESSES = """
import json, sys
from pathlib import Path
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import ContrastiveAgreementReward, SelfCertaintyReward
from selfrl.trainers import GRPOConfig, GRPOTrainer, TeacherConfig

trainer = GRPOTrainer(
    str(TINY_MODEL),
    [ContrastiveAgreementReward(voters="teacher"), SelfCertaintyReward()],
    GRPOConfig(sys.argv[1], **json.loads(sys.argv[2])),
    expand_pairs(tiny_problems("train", 16)),
    teacher=TeacherConfig(teacher_weight_start=0.5, teacher_weight_end=0.1),
)
trainer.train()
sums = [float(tensor.double().sum()) for tensor in trainer.shadow.values()]
# a file each: on a shared standard output their lines can run into one another
Path(sys.argv[1], f"shadow_{trainer.accelerator.process_index}").write_text(repr(sums))
"""


@pytest.mark.slow
def test_teachers_of_two_processes_stay_the_same(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    # groups of 3, three rows a process: view 0 on one, view 1 on the other
    options = {**OPTIONS, "per_device_train_batch_size": 3, "num_generations": 3, "ddp_backend": "gloo"}
    options["multi_objective_aggregation"] = "normalize_then_sum"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    done = subprocess.run(
        [*launch, str(tmp_path), json.dumps(options)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    shadows = [path.read_text() for path in tmp_path.glob("shadow_*")]
    assert len(shadows) == 2
    assert shadows[0] == shadows[1]
