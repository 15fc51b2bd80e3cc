"""What to change where a run does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from selfrl.plan.run_shape import RunShape

LAST = "Train an adapter (use_peft: true), a smaller model, or shorter completions"


def changes(run: RunShape) -> Iterator[tuple[str, RunShape]]:
    """Changes that need less memory, each on top of those before, the least harmful first.

    Example:
        >>> run = RunShape(4, 256, 8, 32, 1, 512, 3072, 4, 8, True, False, True, False, None, 0.4, False, 1, gpus=8)
        >>> [words for words, _ in changes(run)][:3]
        ['gradient_checkpointing: true', 'vllm_enable_sleep_mode: true', 'per_device_train_batch_size: 2']
    """
    if not run.checkpointing:
        run = replace(run, checkpointing=True)
        yield "gradient_checkpointing: true", run
    if run.vllm_share and not run.vllm_sleeps:
        run = replace(run, vllm_sleeps=True)
        yield "vllm_enable_sleep_mode: true", run
    while run.rows > 1 and run.rows % 2 == 0:
        run = replace(run, rows=run.rows // 2, micro_batches=run.micro_batches * 2)
        yield f"per_device_train_batch_size: {run.rows}", run
    if run.vllm_share > 0.25:
        run = replace(run, vllm_share=0.25)
        yield "vllm_gpu_memory_utilization: 0.25", run
    if run.gpus > 1 and run.shard == "none" and not run.shadow:
        yield "shard gradients and optimizer: ZeRO-2", replace(run, shard="zero2")
        yield "shard weights, too: FSDP or ZeRO-3", replace(run, shard="zero3")


def first_that_fits(run: RunShape, fits: Callable[[RunShape], bool]) -> list[str] | None:
    """The changes up to the first that fits; None if none does."""
    made: dict[str, str] = {}  # a later value of a key takes the place of an earlier one
    for words, changed in changes(run):
        made[words.split(" ")[0]] = words
        if fits(changed):
            return list(made.values())
    return None
