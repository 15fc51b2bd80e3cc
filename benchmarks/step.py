"""An update against plain TRL's on the same rollouts, and a whole step: python -m benchmarks.step.

The packaged tiny model, 64 rows in micro-batches of 8, once with lognormal lengths (mean / longest at most 0.3), once
with equal ones. Both trainers are handed the same scored batch; they shuffle, split, and make an optimizer step of it.
`update_skipping` is ours over ours without leaving out rows, where half of the groups are decided.
"""

import copy
import json
import statistics
import tempfile
import time
from typing import Any

import torch
import trl
from transformers import set_seed

from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import AccuracyReward
from selfrl.trainers import GRPOConfig, GRPOTrainer

ROWS, MICRO, PROMPT, LONGEST, ROUNDS, STEPS = 64, 8, 48, 384, 8, 12
CLASSES: dict[str, tuple[Any, Any]] = {"trl": (trl.GRPOConfig, trl.GRPOTrainer), "ours": (GRPOConfig, GRPOTrainer)}


def build(name: str, out: str, **options: Any) -> Any:
    config_class, trainer_class = CLASSES[name]
    args = config_class(
        out,
        per_device_train_batch_size=MICRO,
        gradient_accumulation_steps=ROWS // MICRO,
        num_generations=8,
        use_cpu=True,
        bf16=False,
        report_to="none",
        gradient_checkpointing=False,
        disable_tqdm=True,
        logging_steps=1,
        save_strategy="no",
        **options,
    )
    return trainer_class(str(TINY_MODEL), AccuracyReward(), args, tiny_problems("train", 512))


def rollouts(lengths: torch.Tensor, vocabulary: int) -> dict[str, torch.Tensor]:
    """A scored batch of completions of these lengths, and of prompts of half to all of their width."""
    draw = torch.Generator().manual_seed(1)
    before = torch.randint(PROMPT // 2, PROMPT + 1, (len(lengths),), generator=draw)
    width = int(lengths.max())
    return {
        "prompt_ids": torch.randint(3, vocabulary, (len(lengths), PROMPT), generator=draw),
        "prompt_mask": (torch.arange(PROMPT) >= PROMPT - before[:, None]).long(),
        "completion_ids": torch.randint(3, vocabulary, (len(lengths), width), generator=draw),
        "completion_mask": (torch.arange(width) < lengths[:, None]).long(),
        "advantages": torch.randn(len(lengths), generator=draw),
        "num_items_in_batch": lengths.sum(),
    }


def long_tailed() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    lengths = torch.empty(ROWS).log_normal_(4.2, 0.8, generator=draw).round().clamp(8, LONGEST).long()
    lengths[0] = LONGEST
    assert lengths.float().mean() / LONGEST <= 0.3
    return lengths


def update(trainer: Any, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> float:
    """Seconds of one optimizer step from a scored batch."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = ROWS // MICRO
    trainer._generate_and_score_completions = lambda inputs: dict(batch)
    started = time.perf_counter()
    for _ in range(ROWS // MICRO):
        inputs = trainer._prepare_inputs(None)
        trainer.compute_loss(trainer.model, inputs).backward()
        trainer._step += 1
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - started


def compared(out: str, lengths: torch.Tensor) -> tuple[float, float]:
    """Seconds of our update over TRL's, and the largest difference of weights after two Adam steps."""
    trainers = {name: build(name, out) for name in CLASSES}
    batch = rollouts(lengths, trainers["trl"].model.config.vocab_size)
    start = copy.deepcopy(trainers["trl"].model.state_dict())
    ends = []
    for trainer in trainers.values():
        optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-5)
        set_seed(0)
        for _ in range(2):
            update(trainer, optimizer, batch)
        ends.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
        trainer.model.load_state_dict(start)
    optimizers = {name: torch.optim.AdamW(t.model.parameters(), lr=0.0) for name, t in trainers.items()}
    ratio = in_turns({name: (trainers[name], optimizers[name]) for name in ("ours", "trl")}, batch)
    return ratio, float((ends[0] - ends[1]).abs().max())


def in_turns(pair: dict[str, Any], batch: dict[str, torch.Tensor]) -> float:
    """Seconds of the first trainer's update over the second's."""
    seconds: dict[str, list[float]] = {name: [] for name in pair}
    for turn in range(ROUNDS):
        for name in list(pair) if turn % 2 else list(pair)[::-1]:
            seconds[name].append(update(*pair[name], batch))
    first, second = seconds.values()
    return statistics.median(first) / statistics.median(second)


def skipping(out: str, lengths: torch.Tensor) -> float:
    """Seconds of our update over ours with all rows computed, where the groups of every other prompt are decided."""
    pair = {name: build("ours", out) for name in ("skipping", "whole")}
    pair["whole"]._skips = False
    batch = rollouts(lengths, pair["whole"].model.config.vocab_size)
    batch["advantages"] = batch["advantages"] * (torch.arange(ROWS) // 8 % 2)
    return in_turns({name: (t, torch.optim.AdamW(t.model.parameters(), lr=0.0)) for name, t in pair.items()}, batch)


def steps(out: str) -> float:
    """Seconds of our whole step over TRL's: rollouts of the tiny problems, rewards and update, in turns of four."""
    seconds: dict[str, list[float]] = {name: [] for name in CLASSES}
    for turn in range(STEPS // 4):
        for name in list(CLASSES) if turn % 2 else list(CLASSES)[::-1]:
            trainer = build(name, out, max_steps=5, max_completion_length=64)
            trainer.train()
            logged = [row["step_time"] for row in trainer.state.log_history if "step_time" in row]
            seconds[name] += logged[1:]  # the first warms up
    return statistics.median(seconds["ours"]) / statistics.median(seconds["trl"])


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        tail, difference = compared(out, long_tailed())
        equal, _ = compared(out, torch.full((ROWS,), LONGEST // 3))
        skipped = skipping(out, long_tailed())
        whole = steps(out)
    figures = {"update_vs_trl_long_tail": round(tail, 3), "update_vs_trl_equal": round(equal, 3)}
    figures |= {"step_vs_trl": round(whole, 3), "update_skipping": round(skipped, 3)}
    print(json.dumps({**figures, "max_difference": difference}))


if __name__ == "__main__":
    main()
