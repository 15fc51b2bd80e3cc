"""From recipes to memory: the shipped ones, the command, and the truth on the tiny model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from selfrl.cli import main
from selfrl.models import TINY_MODEL
from selfrl.plan.memory_plan import MemoryPlan
from selfrl.plan.model_shape import kept_bytes, read_config, shape_of
from selfrl.plan.plan_advice import changes
from selfrl.plan.step_time import step_time
from selfrl.recipe import parse_recipe, plan_of

ROOT = Path(__file__).parent.parent.parent
QWEN3_8B = {
    "model_type": "qwen3",
    "hidden_size": 4096,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 12288,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}


@pytest.fixture
def qwen(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_8B))
    return str(tmp_path / "config.json")


def test_a_models_sizes_are_counted_without_its_weights(qwen: str) -> None:
    shape = shape_of(read_config("Qwen/Qwen3-8B-Base", Path(qwen)))
    assert shape.parameters == shape.trained == 8_190_735_360
    assert (shape.layers, shape.width, shape.vocabulary, shape.kv_values) == (36, 4096, 151936, 2 * 36 * 8 * 128)
    tiny = AutoModelForCausalLM.from_pretrained(TINY_MODEL)
    assert shape_of(AutoConfig.from_pretrained(TINY_MODEL)).parameters == sum(p.numel() for p in tiny.parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_a_pass_keeps_is_what_a_real_one_keeps(checkpointing: bool) -> None:
    from trl.trainer.utils import add_fused_lm_head

    rows, length, scored = 4, 40, 16
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL).train()
    add_fused_lm_head(model, temperature=1.0)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    seen: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(3, 200, (rows, length))
    labels = ids.masked_fill(torch.arange(length) < length - scored, -100)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True)
    real = sum(tensor.untyped_storage().nbytes() for tensor in seen.values())
    config = AutoConfig.from_pretrained(TINY_MODEL)
    assert kept_bytes(config, rows, length, scored, half=False, checkpointing=checkpointing) == pytest.approx(
        real, rel=0.02
    )


def test_co_rewarding_two_as_published_does_not_fit_and_the_command_says_so(
    qwen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(ROOT / "recipes/co_rewarding/dapo_ii_qwen3_8b.yaml")
    assert main(["plan", recipe, "--gpus", "8", "--memory", "80", "--config", qwen]) == 1
    said = capsys.readouterr().out
    assert "it does not fit" in said
    assert "use_peft: true" in said
    plan = parse_recipe([recipe, "--dry_run", "true"])
    layers = MemoryPlan(plan, gpus=8, config=Path(qwen), gpu=80e9).phases()["update: layers"]
    states = sum(layers[name] for name in ("weights", "reference", "teacher", "optimizer", "gradients"))
    assert states / 1e9 == pytest.approx(196.6, abs=0.1)  # 24 bytes a weight


def test_an_adapter_makes_it_fit(qwen: str, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(ROOT / "recipes/co_rewarding/dapo_ii_qwen3_8b.yaml")
    flags = ["--use_peft", "true", "--dtype", "bfloat16", "--per_device_train_batch_size", "2"]
    assert main(["plan", recipe, "--gpus", "8", "--memory", "80", "--config", qwen, *flags]) == 0
    assert "it fits" in capsys.readouterr().out


def test_changes_are_named_up_to_the_first_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(ROOT / "recipes/co_rewarding/tiny.yaml")
    assert main(["plan", recipe, "--memory", "1", "--max_prompt_tokens", "64"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"does not fit\. gradient_checkpointing: true(, per_device_train_batch_size: \d+)?\.", said)
    assert main(["plan", recipe, "--max_prompt_tokens", "64"]) == 0
    assert "Peak" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recipes/co_rewarding/tiny.yaml", "--model_name_or_path", "/no/such/model"], "--config"),
        (["recipes/co_rewarding/tiny.yaml", "--gpus", "0"], "--gpus is 0"),
        (["recipes/co_rewarding/tiny.yaml", "--memory", "-1"], "--memory -1"),
        (["recipes/co_rewarding/tiny.yaml", "--gpus", "7"], "no multiple of"),
        (["recipes/co_rewarding/tiny.yaml", "--memory", "80", "--device", "abacus"], "'abacus' is not known"),
        (["recipes/co_rewarding/tiny.yaml", "--gpu_count", "2"], "gpu_count"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said


def test_a_teacher_is_not_planned_sharded(qwen: str, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(ROOT / "recipes/co_rewarding/dapo_ii_qwen3_8b.yaml")
    assert main(["plan", recipe, "--gpus", "8", "--memory", "80", "--shard", "zero3", "--config", qwen]) == 2
    assert "teacher" in capsys.readouterr().err


def test_each_change_needs_no_more_and_the_step_costs_what_it_must() -> None:
    keys = {"model_name_or_path": "tiny", "dataset": "tiny", "rewards": {"AccuracyReward": {}}, "beta": 0.1}
    keys |= {"max_prompt_tokens": 64, "max_completion_length": 128, "per_device_train_batch_size": 16, "dry_run": True}
    memory = MemoryPlan(plan_of({**keys, "gradient_checkpointing": False, "bf16": False}, "here"))
    run, before = memory.run, memory.peak()
    assert run.scored == 1  # the reference
    for words, changed in changes(run):
        after = memory.peak(changed)
        assert after <= before, words
        before = after
    seconds = step_time(memory.model, run, "h100", mean_share=1.0)
    rows = run.rows * run.micro_batches
    assert seconds.update == pytest.approx(3 * 2 * 884864 * rows * 192 / (989e12 * 0.4))
    assert seconds.scoring == pytest.approx(seconds.update / 3)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"gradient_checkpointing": True}], ids=["plain", "checkpointing"])
def test_planned_memory_is_that_of_a_run(options: dict[str, Any], tmp_path: Path) -> None:
    """As `python -m benchmarks.plan`, which has more settings, and a model of 135 million weights.

    With 64 rows, as what a machine loads by itself (20 to 40 MB) counts with few.
    """
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "import json\n"
        "from benchmarks.plan import measured, planned, recipe\n"
        "keys = recipe('tiny', (60, 160, 64), json.loads(sys.argv[2]), Path(sys.argv[3]))\n"
        "print(planned(keys) / measured(keys))\n"
    )
    command = [sys.executable, "-c", script, str(ROOT), json.dumps(options), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ})
    assert float(done.stdout.splitlines()[-1]) == pytest.approx(1, abs=0.2)
