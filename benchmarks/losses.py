"""Cost of an NFT update against a GRPO update on the same batch: python -m benchmarks.losses.

The packaged tiny model, whose small forward pass hides less than a large one's. A batch is generated and scored
once; then the two trainers take turns at its micro-batches, each with loss, backward pass and optimizer step
(learning rate 0, so that both stay where they are).
"""

import json
import statistics
import tempfile
import time
from typing import Any

import torch
from trl.trainer.utils import split_tensor_dict

from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import AccuracyReward
from selfrl.trainers import GRPOConfig, GRPOTrainer, NFTConfig, NFTTrainer

MICRO_BATCHES, ROWS, ROUNDS = 8, 64, 12
CLASSES: dict[str, tuple[Any, Any]] = {"grpo": (GRPOConfig, GRPOTrainer), "nft": (NFTConfig, NFTTrainer)}


def build(name: str, out: str) -> Any:
    config_class, trainer_class = CLASSES[name]
    args = config_class(
        out,
        per_device_train_batch_size=ROWS,
        steps_per_generation=MICRO_BATCHES,
        num_generations=8,
        max_completion_length=40,
        loss_type="dr_grpo",
        use_cpu=True,
        bf16=False,
        report_to="none",
        gradient_checkpointing=False,
    )
    trainer = trainer_class(str(TINY_MODEL), AccuracyReward(), args, tiny_problems("train", 512))
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def update(trainer: Any, optimizer: torch.optim.Optimizer, inputs: dict[str, torch.Tensor]) -> float:
    """Seconds of one update."""
    started = time.perf_counter()
    trainer.compute_loss(trainer.model, inputs).backward()
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - started


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in CLASSES}
    with tempfile.TemporaryDirectory() as out:
        trainers = {name: build(name, out) for name in CLASSES}
        optimizers = {name: torch.optim.AdamW(t.model.parameters(), lr=0.0) for name, t in trainers.items()}
        prompts = trainers["nft"].train_dataset.select(range(MICRO_BATCHES * ROWS // 8))
        with torch.no_grad():
            batch = trainers["nft"]._generate_and_score_completions([row for row in prompts for _ in range(8)])
        parts = split_tensor_dict(batch, MICRO_BATCHES)
        for round_ in range(ROUNDS):
            for turn, inputs in enumerate(parts):
                order = list(CLASSES) if (round_ + turn) % 2 else list(CLASSES)[::-1]
                took = {name: update(trainers[name], optimizers[name], inputs) for name in order}
                if round_:  # the first round warms up
                    for name, value in took.items():
                        seconds[name].append(value)
    grpo, nft = (statistics.median(seconds[name]) for name in CLASSES)
    print(f"{len(seconds['nft'])} updates of {ROWS} rows each: GRPO {grpo * 1e3:.1f} ms, NFT {nft * 1e3:.1f} ms")
    print(json.dumps({"nft_vs_grpo": round(nft / grpo, 3)}))


if __name__ == "__main__":
    main()
