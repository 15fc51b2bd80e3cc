"""How many directions the representations of a batch use: RankMe."""

from __future__ import annotations

import torch

from selfrl.signals.shapes import check_shapes

EPSILON = 1e-7


@torch.no_grad()
def effective_rank(hidden_ND: torch.Tensor) -> float | None:
    """exp(−Σ p_k log p_k) with p_k = σ_k / ‖σ‖₁ + 1e-7, σ the singular values: RankMe (2210.02885).

    Compare it only at equal N and for the same layer: it is at most min(N, D).

    Args:
        hidden_ND: N representations (N, D).

    Returns:
        The rank; None for states that are all zero or not finite.

    Raises:
        ValueError: for a tensor of another shape.

    Example:
        >>> round(effective_rank(torch.eye(4)), 4), round(effective_rank(torch.ones(4, 4)), 4)
        (4.0, 1.0)
    """
    check_shapes(hidden_ND=hidden_ND)
    states_ND = hidden_ND.float()
    if not bool(torch.isfinite(states_ND).all()) or not bool(states_ND.any()):
        return None
    sizes_K = torch.linalg.svdvals(states_ND)
    shares_K = sizes_K / sizes_K.sum() + EPSILON
    return float(torch.exp(-(shares_K * shares_K.log()).sum()))
