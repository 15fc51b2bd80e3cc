"""Two NFT rollout batches from vLLM, two updates each, with replacement prompts: run by test_vllm_rollouts.py."""

from pathlib import Path
from typing import Any

from support.runs import ByPrompt, nft, scored

from selfrl.data.tiny import tiny_problems


def train(model: Path, out: Path) -> dict[str, Any]:
    vllm = {"use_vllm": True, "vllm_mode": "colocate", "vllm_enable_sleep_mode": False, "vllm_max_model_length": 128}
    rows = tiny_problems("train", 64)
    reward = ByPrompt(set(rows["prompt"][::2]))
    options = {"max_steps": 4, "max_completion_length": 30, "dynamic_sampling_rounds": 5, **vllm}
    trainer = nft(model, out, reward, rows, **options)
    batches = scored(trainer)
    losses = []
    compute = trainer._compute_loss

    def keep(model: object, inputs: dict) -> object:
        loss = compute(model, inputs)
        inputs = {**inputs, "importance_sampling_ratio": 2 * inputs["importance_sampling_ratio"]}
        losses.append((loss.item(), compute(model, inputs).item()))
        return loss

    trainer._compute_loss = keep
    trainer.train()
    ratios = [batch["importance_sampling_ratio"] for batch in batches]  # one a completion, by TRL's default
    return {
        "draws": [len(prompts) for prompts in reward.prompts],
        "rates": [batch["rates"].tolist() for batch in batches],
        "ratio": [min(r.min().item() for r in ratios), max(r.max().item() for r in ratios)],
        "losses": losses,
    }
