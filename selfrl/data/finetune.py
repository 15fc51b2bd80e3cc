"""Supervised training of a tiny causal model on (prompt, completion) pairs, as a start for reinforcement learning."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

Example = tuple[str, str]


def padded_batch(tokenizer: Any, examples: list[Example]) -> dict[str, torch.Tensor]:
    """Examples, each with its end token: input_ids, attention_mask and labels (completion tokens only), each (B, T)."""
    rows = [
        (tokenizer(prompt).input_ids, [*tokenizer(completion).input_ids, tokenizer.eos_token_id])
        for prompt, completion in examples
    ]
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    input_ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, -100)
    for i, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        input_ids[i, :end] = torch.tensor(prompt + completion)
        mask[i, :end] = 1
        labels[i, len(prompt) : end] = input_ids[i, len(prompt) : end]
    return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}


def finetune(
    model: Any,
    tokenizer: Any,
    draw: Callable[[], Example],
    steps: int,
    batch_size: int,
    lr: float,
    warmup: int = 50,
) -> None:
    """Train `model` in place on fresh examples, with a warm-up and a cosine; prints the loss now and then.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        draw: gives the next (prompt, completion); holds its own seed.
        steps: optimizer steps.
        batch_size: examples a step.
        lr: highest learning rate.
        warmup: steps until it is reached.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warmup, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    model.train()
    for step in range(1, steps + 1):
        loss = model(**padded_batch(tokenizer, [draw() for _ in range(batch_size)])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 50 == 0 or step == steps:
            print(f"supervised step {step}/{steps}: loss {loss.item():.3f}", flush=True)
