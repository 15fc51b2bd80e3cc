"""Labels of right and wrong answers from rewards, and how prompts are spread by their share of right ones."""

from __future__ import annotations

import torch

from selfrl.rewards.reward_sums import weighted_sums


def labels_of(rewards_NF: torch.Tensor, weights_F: torch.Tensor, threshold: float | None = None) -> torch.Tensor:
    """Labels of completions, from the rewards of every reward function.

    Args:
        rewards_NF: rewards, NaN where a function abstains.
        weights_F: weights of the functions; one of weight 0 is only watched.
        threshold: least weighted sum that counts as right; None takes the sum itself as the label.

    Returns:
        (N,) labels, NaN where every function abstains.

    Raises:
        ValueError: without a threshold, for a sum outside 0 and 1.

    Example:
        >>> labels_of(torch.tensor([[1.0], [0.0], [torch.nan]]), torch.ones(1))
        tensor([1., 0., nan])
        >>> labels_of(torch.tensor([[2.0], [-1.0]]), torch.ones(1), threshold=1.0)
        tensor([1., 0.])
    """
    # weights of 0.1 and the like sum to a hair beside 1 in float32
    sums_N = weighted_sums(rewards_NF, weights_F).round(decimals=5)
    if threshold is not None:
        return (sums_N >= threshold).float().masked_fill(sums_N.isnan(), torch.nan)
    outside = (sums_N < 0) | (sums_N > 1)
    if outside.any():
        raise ValueError(
            f"NFT's label must lie between 0 and 1, but a completion's reward is {sums_N[outside][0].item():g}: set "
            "label_threshold to the least reward that counts as right."
        )
    return sums_N


def rate_shares(rates_Q: torch.Tensor) -> dict[str, float]:
    """Shares of prompts, by their share of right answers r (Q,), NaN where no answer has a label.

    Example:
        >>> rate_shares(torch.tensor([0.0, 0.1, 0.5, 1.0]))["kept_groups"]
        0.5
        >>> [name for name, share in rate_shares(torch.tensor([0.0, 0.3])).items() if share]
        ['kept_groups', 'rate/0', 'rate/25-50%']
    """
    shares = {
        "kept_groups": (rates_Q > 0) & (rates_Q < 1),
        "rate/0": rates_Q == 0,
        "rate/0-25%": (rates_Q > 0) & (rates_Q < 0.25),
        "rate/25-50%": (rates_Q >= 0.25) & (rates_Q < 0.5),
        "rate/50-75%": (rates_Q >= 0.5) & (rates_Q < 0.75),
        "rate/75-100%": (rates_Q >= 0.75) & (rates_Q < 1),
        "rate/1": rates_Q == 1,
        "rate/unlabelled": rates_Q.isnan(),
    }
    return {name: member.float().mean().item() for name, member in shares.items()}
