"""The one reward of a completion that several reward functions score."""

from __future__ import annotations

import torch


def weighted_sums(rewards_NF: torch.Tensor, weights_F: torch.Tensor) -> torch.Tensor:
    """Weighted sums (N,) of the rewards, as TRL takes them; NaN where every reward that counts abstains.

    Args:
        rewards_NF: of N completions by F functions, NaN where one abstains.
        weights_F: of the functions; one of weight 0 is only watched.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> weighted_sums(torch.tensor([[1.0, 0.5], [torch.nan, 0.5]]), torch.tensor([2.0, 0.0]))
        tensor([2., nan])
    """
    if rewards_NF.ndim != 2 or weights_F.shape != rewards_NF.shape[1:]:
        raise ValueError(
            f"rewards {tuple(rewards_NF.shape)} and weights {tuple(weights_F.shape)} must be (N, F), (F,)."
        )
    weights_F = weights_F.to(rewards_NF.device)
    counted_F = weights_F != 0
    kept_NF = rewards_NF[:, counted_F]
    return (kept_NF * weights_F[counted_F]).nansum(1).masked_fill(kept_NF.isnan().all(1), torch.nan)
