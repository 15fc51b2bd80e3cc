"""What of a recipe decides over memory and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from selfrl.recipe import Plan

Shard = Literal["none", "zero2", "zero3"]
PROMPT = 512  # tokens, where a recipe sets no limit
STATES = {"sgd": 0, "adafactor": 0, "lion": 1}  # numbers that an optimizer keeps a weight; Adam's two otherwise


@dataclass(frozen=True)
class RunShape:
    """Sizes of a run, on one of its processes.

    Args:
        rows: completions of a micro-batch.
        rollouts: completions that the process generates at a time.
        copies: of these, completions of one prompt.
        micro_batches: of an optimizer step.
        updates: optimizer steps that are made of one batch of rollouts.
        prompt: tokens, at most.
        completion: tokens, at most.
        weight_bytes: of one weight.
        state_bytes: of the optimizer, a trained weight.
        half: whether products are computed in bfloat16.
        checkpointing: whether layers are computed again in the backward pass.
        reference: whether a KL reference lies beside the model.
        shadow: whether a teacher's weights do.
        adapter: peft's configuration, if an adapter is trained.
        vllm_share: of the GPU's memory that a colocated vLLM takes; 0 without one.
        vllm_sleeps: whether it gives that back while the model trains.
        scored: passes over all completions without a gradient: reference, old policy.
        gpus: processes, one a GPU.
        shard: what they share: "zero2" gradients and optimizer, "zero3" (FSDP) weights, too.
    """

    rows: int
    rollouts: int
    copies: int
    micro_batches: int
    updates: float
    prompt: int
    completion: int
    weight_bytes: int
    state_bytes: int
    half: bool
    checkpointing: bool
    reference: bool
    shadow: bool
    adapter: Any
    vllm_share: float
    vllm_sleeps: bool
    scored: int
    gpus: int = 1
    shard: Shard = "none"

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return self.prompt + self.completion


def run_shape_of(plan: Plan, adapter: Any, gpus: int, shard: Shard) -> RunShape:
    """The sizes of a recipe's run.

    Args:
        plan: the recipe as it was read.
        adapter: peft's configuration, if an adapter is trained.
        gpus: processes.
        shard: see [`RunShape`].

    Raises:
        ValueError: for a batch that the GPUs cannot share, or a teacher whose model is sharded.
    """
    config = plan.config
    if plan.teacher is not None and shard != "none":
        raise ValueError("A teacher does not work with sharding yet: plan without --shard.")
    step = config.per_device_train_batch_size * config.gradient_accumulation_steps * config.world_size
    if step % (config.per_device_train_batch_size * gpus):
        raise ValueError(
            f"An optimizer step of {step} completions is no multiple of {config.per_device_train_batch_size} x {gpus}: "
            "plan for another number of GPUs."
        )
    micro_batches = step // (config.per_device_train_batch_size * gpus)
    rollouts = config.generation_batch_size // gpus
    weight_bytes = _bytes_of(plan.model.dtype)
    aligned = config.gradient_accumulation_steps % (config.steps_per_generation * config.num_iterations) == 0
    corrected = config.use_vllm and getattr(config, "vllm_importance_sampling_correction", False)
    old = plan.recipe.trainer == "rloo" or not aligned or corrected
    return RunShape(
        rows=config.per_device_train_batch_size,
        rollouts=rollouts,
        copies=config.num_generations,
        micro_batches=micro_batches,
        updates=config.steps_per_generation * config.num_iterations / config.gradient_accumulation_steps,
        prompt=plan.recipe.max_prompt_tokens or PROMPT,
        completion=config.max_completion_length,
        weight_bytes=weight_bytes,
        state_bytes=_state_bytes(str(getattr(config.optim, "value", config.optim)), weight_bytes),
        half=bool(config.bf16 or config.fp16),
        checkpointing=config.gradient_checkpointing,
        reference=config.beta != 0 and adapter is None,
        shadow=plan.teacher is not None,
        adapter=adapter,
        vllm_share=config.vllm_gpu_memory_utilization if config.use_vllm and config.vllm_mode == "colocate" else 0.0,
        vllm_sleeps=config.vllm_enable_sleep_mode,
        scored=int(config.beta != 0) + int(old),
        gpus=gpus,
        shard=shard,
    )


def _state_bytes(optimizer: str, weight_bytes: int) -> int:
    """That an optimizer keeps a weight.

    >>> [_state_bytes(name, 4) for name in ("adamw_torch_fused", "paged_adamw_8bit", "lion_32bit", "sgd")]
    [8, 2, 4, 0]
    """
    numbers = next((count for name, count in STATES.items() if name in optimizer), 2)
    return numbers * (1 if "8bit" in optimizer else weight_bytes)


def _bytes_of(dtype: str | None) -> int:
    """Of a weight; TRL loads in float32 where nothing is said."""
    named = getattr(torch, dtype or "float32", torch.float32)
    return int(named.itemsize) if isinstance(named, torch.dtype) else 4
