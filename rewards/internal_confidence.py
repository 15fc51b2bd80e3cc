"""How sure a model was of a step while it wrote it: the internal confidence of MMBoundary (2505.23224)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from selfrl.rewards.reasoning_steps import LEVELS
from selfrl.rewards.spans import check_per_token


def length_normalised_probability(log_prob: torch.Tensor) -> float:
    """exp of the length-normalised log-probability (LNLP) of a step's tokens (T,), in 0..1.

    Raises:
        ValueError: for another shape.

    >>> round(length_normalised_probability(torch.tensor([-1.0, -3.0])), 4)
    0.1353
    """
    check_per_token("log_prob", log_prob)
    return math.exp(log_prob.double().mean().item())


def entropy_certainty(entropy: torch.Tensor, vocab_size: int) -> float:
    """1 − mean token entropy (MTE) / log V of a step's tokens (T,), in 0..1.

    Raises:
        ValueError: for another shape, or fewer than two words.

    >>> round(entropy_certainty(torch.tensor([0.0, math.log(10)]), 10), 4)
    0.5
    """
    check_per_token("entropy", entropy)
    if vocab_size < 2:
        raise ValueError(f"`vocab_size` is {vocab_size}: entropy needs 2 words or more.")
    return min(max(1 - entropy.double().mean().item() / math.log(vocab_size), 0.0), 1.0)


def token_sar_certainty(log_prob: torch.Tensor, relevance: Sequence[float]) -> float:
    """exp(−TokenSAR), in 0..1: TokenSAR = −Σ_i r_i log p_i / Σ_i r_i, shifting attention to relevant tokens.

    Args:
        log_prob: of a step's tokens (T,).
        relevance: their weights (T,), at least 0; all count alike if all are 0.

    Raises:
        ValueError: for another shape, or weights that are not one a token, or negative.

    >>> round(token_sar_certainty(torch.tensor([-5.0, -1.0]), [0.0, 2.0]), 4)
    0.3679
    """
    check_per_token("log_prob", log_prob)
    weights = torch.tensor(relevance, dtype=torch.float64)
    if weights.shape != log_prob.shape or not bool((weights >= 0).all()):
        raise ValueError(f"`relevance` gave {relevance!r:.200} for {len(log_prob)} tokens: give each a number from 0.")
    if weights.sum() == 0:
        weights = torch.ones_like(weights)
    counts = weights > 0  # 0 · log 0 is no number
    return math.exp(((weights * log_prob.double())[counts].sum() / weights.sum()).item())


def word_relevance(texts: Sequence[str]) -> list[float]:
    """1 for a token with a letter or digit, 0 for one without.

    >>> word_relevance([" 41", ".", ""])
    [1.0, 0.0, 0.0]
    """
    return [float(any(map(str.isalnum, text))) for text in texts]


def weighted_confidence(parts: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """U = Σ w_i part_i / Σ w_i over the parts that are there, each in 0..1; None if a part that counts is no number.

    >>> weighted_confidence([1.0, 0.5, None], [1.0, 3.0, 5.0])
    0.625
    """
    there = [(part, weight) for part, weight in zip(parts, weights, strict=True) if part is not None]
    mean = sum(part * weight for part, weight in there if weight) / sum(weight for _, weight in there)
    return mean if math.isfinite(mean) else None


def level_of(confidence: float) -> int:
    """One of five equal bins of 0..1.

    >>> [level_of(u) for u in (0.0, 0.19, 0.2, 0.99, 1.0)]
    [0, 0, 1, 4, 4]
    """
    return min(int(confidence * LEVELS), LEVELS - 1)
