"""The loss of negative-aware fine-tuning (NFT, 2505.18116): maximum likelihood on right and on wrong answers.

Wrong answers are taken as samples of an implicit negative policy. With r the share of right answers to a question
and R = π_θ / π_old, old policy = r · right + (1 − r) · wrong makes that policy's ratio (1 − r·R) / (1 − r), which
holds no parameters but the policy's own.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch

from selfrl.signals.shapes import check_shapes

Ratio = Literal["token", "sequence"]
PromptWeight = Literal["one_minus_rate", "grpo", "none"]
RATIOS: tuple[str, ...] = get_args(Ratio)
PROMPT_WEIGHTS: tuple[str, ...] = get_args(PromptWeight)

RATE_RANGE = (0.02, 0.98)
MAX_LOG_RATIO = 10.0


class NegativeAwareTerms(NamedTuple):
    """The loss before its sum, (B, T) each; with the sequence ratio, a row's tokens share one ratio.

    Args:
        losses: loss of each token, weighted; 0 where masked.
        ratios: π_θ / π_old; 1 where masked.
        clamped: whether the negative policy's ratio lies below its clamp.
    """

    losses: torch.Tensor
    ratios: torch.Tensor
    clamped: torch.Tensor


def prompt_weights(
    rates_B: torch.Tensor, kind: PromptWeight = "one_minus_rate", group_sizes_B: torch.Tensor | None = None
) -> torch.Tensor:
    """w(q): how much a prompt counts, by its share of right answers r.

    On-policy, NFT's token gradients are w for right answers and −w·r / (1−r) for wrong ones. So "one_minus_rate",
    w = 1 − r, is GRPO without division by the deviation (Dr. GRPO) there, and "grpo", w = sqrt((1−r) / r), is GRPO.

    Args:
        rates_B: (B,), r of each row's prompt, NaN where no answer has a label.
        kind: "one_minus_rate", "grpo" or "none" (w = 1).
        group_sizes_B: (B,), labelled answers of each row's prompt. With them "grpo" divides by TRL's deviation, that of
            a sample (Bessel's correction, plus 1e-4), instead of the population's, and so equals TRL's advantages.

    Returns:
        (B,) weights; 0 where r is 0, 1 or NaN: nothing can be learned from such a prompt.

    Raises:
        ValueError: for another `kind`, or other shapes.

    Example:
        >>> prompt_weights(torch.tensor([0.0, 0.25, 0.5]))
        tensor([0.0000, 0.7500, 0.5000])
        >>> prompt_weights(torch.tensor([0.2, 0.5, 1.0]), "grpo")
        tensor([2., 1., 0.])
    """
    check_shapes(rates_B=rates_B, group_sizes_B=group_sizes_B)
    r_B = rates_B.clamp(*RATE_RANGE)
    if kind == "one_minus_rate":
        weights_B = 1 - r_B
    elif kind == "grpo" and group_sizes_B is not None:
        variance_B = r_B * (1 - r_B) * group_sizes_B / (group_sizes_B - 1).clamp(min=1)
        weights_B = (1 - r_B) / (variance_B.sqrt() + 1e-4)
    elif kind == "grpo":
        weights_B = ((1 - r_B) / r_B).sqrt()
    elif kind == "none":
        weights_B = torch.ones_like(r_B)
    else:
        raise ValueError(f"The prompt weight {kind!r} does not exist: choose among {', '.join(PROMPT_WEIGHTS)}.")
    return torch.where((rates_B > 0) & (rates_B < 1), weights_B, torch.zeros_like(weights_B))


def negative_aware_terms(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    labels_B: torch.Tensor,
    rates_B: torch.Tensor,
    *,
    ratio: Ratio = "token",
    prompt_weight: PromptWeight = "one_minus_rate",
    group_sizes_B: torch.Tensor | None = None,
    negative_weight: float = 1.0,
    clamp_positive: float = 0.0,
    clamp_negative: float = 1.0,
) -> NegativeAwareTerms:
    """Token losses of [`negative_aware_loss`], which describes the arguments and errors."""
    check_shapes(
        logps_BT=logps_BT,
        old_logps_BT=old_logps_BT,
        mask_BT=mask_BT,
        labels_B=labels_B,
        rates_B=rates_B,
        group_sizes_B=group_sizes_B,
    )
    if ratio not in RATIOS:
        raise ValueError(f"The ratio {ratio!r} does not exist: choose among {', '.join(RATIOS)}.")
    if clamp_negative <= 0:
        raise ValueError(f"clamp_negative is {clamp_negative}: it must be above 0, or the logarithm diverges.")
    mask_BT = mask_BT.bool()
    log_R_BT = (logps_BT - old_logps_BT).masked_fill(~mask_BT, 0.0)
    if ratio == "sequence":
        lengths_B1 = mask_BT.sum(-1, keepdim=True).clamp(min=1)
        log_R_BT = (log_R_BT.sum(-1, keepdim=True) / lengths_B1).expand_as(mask_BT)
    log_R_BT = log_R_BT.clamp(max=MAX_LOG_RATIO)  # not straight-through: beyond it nothing is learned
    R_BT = log_R_BT.exp()

    # without a clamp the logarithm need not be taken back, which it cannot be where R underflows
    positive_BT = -_straight_through(R_BT, R_BT.clamp(min=clamp_positive)).log() if clamp_positive > 0 else -log_R_BT
    r_B1 = rates_B.clamp(*RATE_RANGE).nan_to_num(0.5).unsqueeze(1)
    implicit_BT = (1 - r_B1 * R_BT) / (1 - r_B1)
    negative_BT = -_straight_through(implicit_BT, implicit_BT.clamp(min=clamp_negative)).log()

    label_B1 = labels_B.nan_to_num(0.0).unsqueeze(1)
    weights_B1 = prompt_weights(rates_B, prompt_weight, group_sizes_B).unsqueeze(1)
    weights_B1 = weights_B1 * ~labels_B.isnan().unsqueeze(1)
    loss_BT = weights_B1 * (label_B1 * positive_BT + negative_weight * (1 - label_B1) * negative_BT)
    return NegativeAwareTerms(
        loss_BT.masked_fill(~mask_BT, 0.0),
        R_BT.masked_fill(~mask_BT, 1.0),
        (implicit_BT.detach() < clamp_negative) & mask_BT,
    )


def negative_aware_loss(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    labels_B: torch.Tensor,
    rates_B: torch.Tensor,
    *,
    ratio: Ratio = "token",
    prompt_weight: PromptWeight = "one_minus_rate",
    group_sizes_B: torch.Tensor | None = None,
    negative_weight: float = 1.0,
    clamp_positive: float = 0.0,
    clamp_negative: float = 1.0,
    normalizer: float | torch.Tensor | None = None,
) -> torch.Tensor:
    """Loss of negative-aware fine-tuning (2505.18116).

    The sum over tokens, divided by `normalizer`, of w(q) times

        right answers   −log max(R, clamp_positive)
        wrong answers   −negative_weight · log max((1 − r·R) / (1 − r), clamp_negative)

    Both maxima are straight-through: the value is clamped, the gradient is that of the unclamped argument, so a
    wrong answer that grew likelier is still pushed down. With respect to log π the gradient is
    −w · R / max(R, clamp_positive) for a right token, which is −w without a clamp, and
    w · r / (1−r) · R / max(·, clamp_negative) for a wrong one, finite for any `clamp_negative` above 0. r
    is taken within 0.02 and 0.98. log R is taken at 10 at most, and a token beyond has no gradient, as in the
    authors' code.

    Args:
        logps_BT: (B, T), log-probability of each completion token under the policy; the gradient flows here.
        old_logps_BT: (B, T), the same under the policy that the updates on this batch began with.
        mask_BT: (B, T), 1 for tokens of the completion, 0 for padding and for tokens that the policy did not write.
        labels_B: (B,), 1 for right, 0 for wrong, between them a mixture of both branches, NaN for no label (no loss).
        rates_B: (B,), r, the share (mean label) of right answers among all labelled rollouts of the row's prompt. Rows
            whose r is 0, 1 or NaN have no loss.
        ratio: "token", or "sequence": every token carries the geometric mean of the row's ratios, as in TRL's
            `importance_sampling_level`.
        prompt_weight: w(q), see [`prompt_weights`].
        group_sizes_B: see [`prompt_weights`].
        negative_weight: 0 leaves right answers only, which is rejection-sampling fine-tuning (RFT).
        clamp_positive: floor of R; 0 is none.
        clamp_negative: floor of the negative policy's ratio, above 0.
        normalizer: a constant (a number or a tensor of no axes), or None for the number of tokens in the mask.

    Returns:
        the loss, a scalar.

    Raises:
        ValueError: for an unknown `ratio` or `prompt_weight`, a `clamp_negative` of 0 or less, or other shapes.

    Example:
        Two answers of two tokens each to one question, the first of them right. On-policy the loss is 0, and its
        gradient pushes the right answer up and the wrong one down:

        >>> logps = torch.full((2, 2), -1.0, requires_grad=True)
        >>> loss = negative_aware_loss(
        ...     logps, logps.detach(), torch.ones(2, 2), torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
        ... )
        >>> loss.backward()
        >>> logps.grad
        tensor([[-0.1250, -0.1250],
                [ 0.1250,  0.1250]])
    """
    if isinstance(normalizer, torch.Tensor) and normalizer.ndim:
        raise ValueError(f"normalizer has the shape {tuple(normalizer.shape)}: it must be one number.")
    terms = negative_aware_terms(
        logps_BT,
        old_logps_BT,
        mask_BT,
        labels_B,
        rates_B,
        ratio=ratio,
        prompt_weight=prompt_weight,
        group_sizes_B=group_sizes_B,
        negative_weight=negative_weight,
        clamp_positive=clamp_positive,
        clamp_negative=clamp_negative,
    )
    if normalizer is None:
        normalizer = mask_BT.sum().clamp(min=1)
    return terms.losses.sum() / normalizer


def _straight_through(value: torch.Tensor, clamped: torch.Tensor) -> torch.Tensor:
    """`clamped`, with the gradient of `value`."""
    return clamped.detach() + (value - value.detach())
