"""Planned peak memory against measured: python -m benchmarks.plan.

Two steps of GRPO in a process of its own, on a CPU, for the packaged tiny model and for an untrained one of
SmolLM2-135M's shape, each with five settings. The peak is that of resident memory while it trains, above what was there
before the trainer was built; the allocator gives memory back at once (MALLOC_MMAP_THRESHOLD_). Last line: planned over
measured.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "checkpointing": {"gradient_checkpointing": True},
    "half the rows": {"per_device_train_batch_size": 0.5, "gradient_accumulation_steps": 2},
    "reference": {"beta": 0.05},
    "teacher": {"beta": 0.05, "teacher": True},
}
SHAPE_135M: dict[str, Any] = {  # SmolLM2-135M's, but for the vocabulary
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "tie_word_embeddings": True,
}
SIZES = {"tiny": (112, 400, 16), "135m": (60, 20, 8)}  # tokens of prompt and completion, rows


def make_135m(folder: Path) -> Path:
    """An untrained model of SmolLM2-135M's shape, with a tokenizer of as many words."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from selfrl.data.tokenizer import SYMBOLS, word_tokenizer

    words = ["".join(letters) for letters in product(ascii_lowercase, repeat=4)][:24_500]
    tokenizer = word_tokenizer([" ".join(words)], SYMBOLS)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SHAPE_135M, **ends)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def recipe(model: str, sizes: tuple[int, int, int], settings: dict[str, Any], out: Path) -> dict[str, Any]:
    """Keys of a training recipe."""
    prompt, completion, rows = sizes
    given = dict(settings)
    given["per_device_train_batch_size"] = int(rows * given.get("per_device_train_batch_size", 1))
    teaching = given.pop("teacher", False)
    rewards: dict[str, Any] = {"RandomReward": {}}  # advantages that are not zero, or no row would be computed
    if teaching:
        rewards["MajorityVoteReward"] = {"voters": "teacher"}
    keys = {"gradient_checkpointing": False, "max_prompt_tokens": prompt, "max_completion_length": completion}
    keys |= {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "max_steps": 2}
    keys |= {"dataset": str(out / "rows.jsonl"), "output_dir": str(out), "rewards": rewards, "disable_tqdm": True}
    return {"model_name_or_path": model, "num_generations": 8, **keys, **given}


def planned(keys: dict[str, Any]) -> float:
    """Bytes."""
    from selfrl.plan.memory_plan import MemoryPlan
    from selfrl.recipe import plan_of

    return MemoryPlan(plan_of(keys, "here")).peak()


def measured(keys: dict[str, Any]) -> float:
    """Bytes, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plan", json.dumps(keys)]
    env = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def train(keys: dict[str, Any]) -> None:
    """Train two steps, and print by how many bytes the process grew at most."""
    from transformers import AutoTokenizer

    from selfrl.models import model_path
    from selfrl.recipe import plan_of
    from selfrl.training import build_trainer

    def resident(name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found.group(1)) * 1024

    tokenizer = AutoTokenizer.from_pretrained(model_path(keys["model_name_or_path"]))
    row = {"prompt": "1" * keys["max_prompt_tokens"], "answer": "1"}  # digits are tokens of their own
    assert len(tokenizer(row["prompt"]).input_ids) == keys["max_prompt_tokens"]
    Path(keys["dataset"]).write_text("".join(json.dumps(row) + "\n" for _ in range(64)))
    plan = plan_of(keys, "here")
    before = resident("VmRSS")
    trainer = build_trainer(plan)
    config = trainer.generation_config  # no completion ends early: the plan is for the longest
    config.suppress_tokens = trainer.generation_kwargs["suppress_tokens"] = [tokenizer.eos_token_id]
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak that loading had
    trainer.train()
    print(resident("VmHWM") - before)


def main() -> None:
    if len(sys.argv) > 1:
        train(json.loads(sys.argv[1]))
        return
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = {"tiny": "tiny", "135m": str(make_135m(Path(folder, "model")))}
        for name, model in models.items():
            for setting, options in SETTINGS.items():
                keys = recipe(model, SIZES[name], options, Path(folder))
                expected, found = planned(keys), measured(keys)
                ratios.setdefault(name, {})[setting] = expected / found
                print(f"{name}, {setting}: planned {expected / 1e9:.3f} GB, measured {found / 1e9:.3f} GB", flush=True)
    worst = max((ratio for each in ratios.values() for ratio in each.values()), key=lambda ratio: abs(ratio - 1))
    figures = {"tiny_ratio": ratios["tiny"]["plain"], "m135_ratio": ratios["135m"]["plain"], "worst_ratio": worst}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
