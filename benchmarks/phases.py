"""Where a step's time goes, in plain TRL and here: python -m benchmarks.phases [MODEL].

GRPO with four prompts of three shots and eight completions each, in micro-batches of eight, on the packaged tiny model
or the folder or hub name of another; seconds of the process (CPU) in rollouts, rewards and updates, of the second of
two steps. Half of the groups agree, so that their rows have no gradient. Last line: seconds here over TRL's.
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from typing import Any

import trl
from datasets import Dataset
from transformers import AutoTokenizer

from selfrl.models import model_path
from selfrl.trainers import GRPOConfig, GRPOTrainer

SHOTS = "".join(
    f"Question: What is {a} + {b}?\nAnswer: {a} + {b} = {a + b}\n\n" for a, b in ((3, 4), (12, 7), (25, 31))
)
PROMPTS, COPIES, STEPS = 4, 8, 2
PHASES = {"_generate_single_turn": "rollouts", "_calculate_rewards": "rewards", "training_step": "whole"}


def half_agree(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    """Rewards of which every other prompt's are equal."""
    places = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    return [float(places[prompt] % 2 and row % 2) for row, prompt in enumerate(prompts)]


def measured(config_class: Any, trainer_class: Any, model: str, out: str) -> dict[str, float]:
    """Seconds of each phase."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    rows = [{"prompt": f"{SHOTS}Question: What is {10 + i} + {70 - i}?\nAnswer:"} for i in range(PROMPTS * STEPS)]
    args = config_class(
        out,
        per_device_train_batch_size=COPIES,
        gradient_accumulation_steps=PROMPTS,
        num_generations=COPIES,
        max_completion_length=48,
        max_steps=STEPS,
        use_cpu=True,
        bf16=False,
        report_to="none",
        gradient_checkpointing=False,
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = trainer_class(model, half_agree, args, Dataset.from_list(rows), processing_class=tokenizer)
    ends = [*trainer.generation_config.eos_token_id, tokenizer("\n").input_ids[-1]]
    trainer.generation_config.eos_token_id = trainer.generation_kwargs["eos_token_id"] = ends
    trainer.eos_token_ids = ends
    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str) -> None:
        inner = getattr(trainer, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            started = time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                if trainer.state.global_step == STEPS - 1:
                    seconds[PHASES[name]] += time.process_time() - started

        setattr(trainer, name, wrapped)

    for name in PHASES:
        timed(name)
    trainer.train()
    update = seconds["whole"] - seconds["rollouts"] - seconds["rewards"]
    return {"rollouts": seconds["rollouts"], "rewards": seconds["rewards"], "update": update}


def main() -> None:
    model = model_path(sys.argv[1] if len(sys.argv) > 1 else "tiny")
    with tempfile.TemporaryDirectory() as out:
        theirs = measured(trl.GRPOConfig, trl.GRPOTrainer, model, out)
        ours = measured(GRPOConfig, GRPOTrainer, model, out)
    for name, found in {"TRL": theirs, "selfrl": ours}.items():
        print(name, {phase: round(seconds, 2) for phase, seconds in found.items()})
    ratios = {phase: round(ours[phase] / theirs[phase], 3) for phase in ("rollouts", "update")}
    print(json.dumps({**ratios, "step": round(sum(ours.values()) / sum(theirs.values()), 3)}))


if __name__ == "__main__":
    main()
