"""What a colocated vLLM's settings cost in a step: python -m benchmarks.vllm_step.

The packaged tiny model on a CPU, 64 completions a step: the weights' way into vLLM, one call for all prompts against
one a micro-batch, and the pass that `vllm_importance_sampling_correction` (TRL's default) makes over all completions.
Seconds of the process (CPU), medians of five.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import AccuracyReward
from selfrl.trainers import GRPOConfig, GRPOTrainer

ROWS, MICRO, TURNS = 64, 8, 5


def median(work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(TURNS + 1):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return round(statistics.median(seconds[1:]), 4)


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        args = GRPOConfig(
            out,
            per_device_train_batch_size=MICRO,
            gradient_accumulation_steps=ROWS // MICRO,
            num_generations=MICRO,
            max_completion_length=64,
            use_cpu=True,
            bf16=False,
            use_vllm=True,
            vllm_mode="colocate",
            vllm_enable_sleep_mode=False,
            vllm_max_model_length=256,
            report_to="none",
        )
        trainer: Any = GRPOTrainer(str(TINY_MODEL), AccuracyReward(), args, tiny_problems("train", 64))
        trainer.model.train()
        tokenizer = trainer.processing_class
        prompts = [
            ids
            for ids in tokenizer(list(tiny_problems("train", ROWS // MICRO)["prompt"])).input_ids
            for _ in range(MICRO)
        ]

        def generate(some: list[list[int]]) -> Any:
            return trainer.vllm_generation.generate(prompts=some, images=None, num_generations=MICRO)

        def in_parts() -> None:
            for start in range(0, ROWS, MICRO):
                generate(prompts[start : start + MICRO])

        batch = trainer._generate_and_score_completions(
            [dict(row) for row in tiny_problems("train", 8) for _ in range(8)]
        )
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)

        @torch.no_grad()
        def score() -> None:
            keep = batch["completion_ids"].size(1)
            trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, keep, batch_size=MICRO)

        def update() -> None:
            for part in trainer._buffered_inputs or [batch]:
                trainer.compute_loss(trainer.model, part).backward()

        trainer.current_gradient_accumulation_steps = 1
        figures = {
            "sync_s": median(trainer.vllm_generation.sync_weights),
            "one_call_s": median(lambda: generate(prompts)),
            "a_call_a_micro_batch_s": median(in_parts),
            "correction_s": median(score),
            "update_s": median(update),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
