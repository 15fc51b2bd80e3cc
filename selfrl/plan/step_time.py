"""How long a step takes, from the arithmetic that it needs and a GPU's published speed."""

from __future__ import annotations

from dataclasses import dataclass

from selfrl.plan.model_shape import ModelShape
from selfrl.plan.run_shape import RunShape

# Dense bfloat16 TFLOP/s, and GB/s of memory, as the makers state them.
DEVICES = {
    "a100": (312.0, 2039.0),
    "h100": (989.0, 3350.0),
    "h200": (989.0, 4800.0),
    "l40s": (362.0, 864.0),
}
UTILISATION = 0.4  # of the stated FLOP/s: what well-kept training reaches
BANDWIDTH = 0.6  # of the stated memory speed, while decoding


@dataclass(frozen=True)
class StepTime:
    """Seconds of one optimizer step, by phase.

    Args:
        rollouts: reading prompts, and decoding.
        scoring: passes without a gradient.
        update: forward and backward passes.
    """

    rollouts: float
    scoring: float
    update: float

    @property
    def whole(self) -> float:
        """Of the step."""
        return self.rollouts + self.scoring + self.update


def step_time(model: ModelShape, run: RunShape, device: str, mean_share: float = 0.5) -> StepTime:
    """Seconds of a step on one of the GPUs, which work side by side.

    A token costs 2 operations a weight forward, 4 backward, and 2 more where layers are computed again; decoding one
    token of all rows reads the weights and the cache once. Communication, rewards and loading are left out.

    Args:
        model: its sizes.
        run: its sizes.
        device: one of [`DEVICES`].
        mean_share: of the longest completion that a mean one has.

    Raises:
        ValueError: for a device that is not known.

    Example:
        >>> model = ModelShape(8_000_000_000, 8_000_000_000, 36, 4096, 12288, 151936, 147456)
        >>> run = RunShape(8, 128, 8, 16, 1, 512, 3072, 4, 8, True, True, True, True, None, 0.4, True, 1)
        >>> seconds = step_time(model, run, "h100")
        >>> seconds.rollouts > seconds.scoring > 0, round(seconds.update / seconds.scoring)
        (True, 4)
    """
    if device not in DEVICES:
        raise ValueError(f"The device {device!r} is not known: choose one of {', '.join(DEVICES)}.")
    flops, bandwidth = DEVICES[device][0] * 1e12 * UTILISATION, DEVICES[device][1] * 1e9 * BANDWIDTH
    said = run.completion * mean_share
    rows = run.rows * run.micro_batches / run.updates  # rollouts that one step needs
    tokens = rows * (run.prompt + said)
    read = model.parameters * 2 + rows * (run.prompt + said / 2) * model.kv_values * 2
    prompts = rows / run.copies * run.prompt * 2 * model.parameters / flops
    decoding = run.completion * read / bandwidth + rows * said * 2 * model.parameters / flops
    forward = 2 * model.parameters * tokens / flops
    passes = (4 if run.checkpointing else 3) - (1 if run.adapter is not None else 0)  # no gradients of frozen weights
    return StepTime(prompts + decoding, run.scored * forward, passes * forward * run.updates)
