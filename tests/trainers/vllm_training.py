"""Train three paired steps with vLLM rollouts, then compare vLLM's log-probabilities with the trainer's.

Run by test_vllm_rollouts.py as: vllm_training.py MODEL OUT; prints JSON on its last line.
"""

import json
import os
import sys
from typing import Any

import torch

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.trainers import GRPOConfig, GRPOTrainer


def difference(trainer: Any, prompts: list[list[int]]) -> float:
    """Largest difference of vLLM's and the trainer's log-probabilities of what vLLM samples now."""
    from vllm import SamplingParams  # not before the trainer has set vLLM up

    params = SamplingParams(temperature=1.0, max_tokens=8, logprobs=0, seed=0, detokenize=False)
    requests = [{"prompt_token_ids": ids} for ids in prompts]
    worst = 0.0
    for ids, output in zip(prompts, trainer.vllm_generation.llm.generate(requests, params), strict=True):
        sampled = output.outputs[0]
        tokens = list(sampled.token_ids)
        sequence = torch.tensor([[*ids, *tokens]])
        with torch.no_grad():
            logits = trainer.model(input_ids=sequence).logits[0, len(ids) - 1 : -1]
        logps = logits.log_softmax(-1)[range(len(tokens)), tokens]
        theirs = torch.tensor([step[token].logprob for step, token in zip(sampled.logprobs, tokens, strict=True)])
        worst = max(worst, (logps - theirs).abs().max().item())
    return worst


def main() -> None:
    model, out = sys.argv[1:]
    views: list[list[int]] = []

    def distinct(prompts: list[str], completions: list[str], view: list[int], **columns: Any) -> list[float]:
        views.append(view)
        return [len(set(c)) / 10 for c in completions]

    args = GRPOConfig(
        output_dir=out,
        use_vllm=True,
        vllm_mode="colocate",
        vllm_enable_sleep_mode=False,
        vllm_max_model_length=128,
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=8,
        max_steps=3,
        learning_rate=0.02,
        lr_scheduler_type="constant",
        report_to="none",
        logging_steps=1,
        save_strategy="no",
        gradient_checkpointing=False,
    )
    pairs = expand_pairs(tiny_problems("train", 12))
    trainer = GRPOTrainer(model, distinct, args, pairs)
    prompts = [trainer.processing_class(p).input_ids for p in pairs["prompt"][:8]]
    trainer.train()
    before_sync = difference(trainer, prompts)
    trainer.vllm_generation.sync_weights()
    logged = [row["sampling/sampling_logp_difference/max"] for row in trainer.state.log_history if "reward" in row]
    result = {
        "before_sync": before_sync,
        "after_sync": difference(trainer, prompts),
        "views": views,
        "sampling_difference": logged,
    }
    print(json.dumps(result), flush=True)
    os._exit(0)  # vLLM's atexit handlers can hang a finished process


if __name__ == "__main__":
    main()
