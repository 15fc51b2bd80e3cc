"""Exponential moving average of weights, and its schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch


def cosine_weight(step: int, total: int, start: float, end: float) -> float:
    """w(k) = w_end + ½ (w_start − w_end)(1 + cos(π k / K)): the policy's weight in the teacher (2508.00410).

    Args:
        step: k, optimizer steps made, 0..K.
        total: K, steps of the run, at least 1.
        start: w(0).
        end: w(K).

    Raises:
        ValueError: for a step outside 0..K.

    Example:
        >>> [round(cosine_weight(k, 4, 0.01, 0.0), 4) for k in range(5)]
        [0.01, 0.0085, 0.005, 0.0015, 0.0]
    """
    if not 0 <= step <= total or total < 1:
        raise ValueError(f"Step {step} of {total} has no weight: steps run from 0 to the run's length.")
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / total))


@torch.no_grad()
def ema_update_(shadow: Mapping[str, torch.Tensor], policy: Mapping[str, torch.Tensor], weight: float) -> None:
    """teacher ← w · policy + (1 − w) · teacher, in place, in the shadow's own type.

    Keep the shadow in float32: with w = 1e-3 most updates of a bfloat16 one round to nothing.

    Args:
        shadow: the teacher's tensors.
        policy: tensors of the same names and shapes, of any float type.
        weight: w.

    Raises:
        ValueError: if names or shapes differ; nothing has changed then.

    Example:
        >>> teacher = {"w": torch.zeros(1)}
        >>> ema_update_(teacher, {"w": torch.ones(1, dtype=torch.bfloat16)}, 0.01)
        >>> round(teacher["w"].item(), 4)
        0.01
    """
    if shadow.keys() != policy.keys():
        raise ValueError(f"Teacher and policy differ in {sorted(shadow.keys() ^ policy.keys())[:3]}: use one model.")
    for name, tensor in shadow.items():
        if policy[name].shape != tensor.shape:
            raise ValueError(
                f"{name} has the shape {tuple(policy[name].shape)} in the policy and {tuple(tensor.shape)} in the "
                f"teacher: use one model."
            )
    for name, tensor in shadow.items():
        tensor.lerp_(policy[name].to(tensor.device, tensor.dtype), weight)
