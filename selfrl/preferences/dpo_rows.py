"""Preference pairs for DPO from scored completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def preference_pairs(
    prompts: Sequence[Any],
    completions: Sequence[Sequence[Any]],
    scores: Sequence[Sequence[float | None]],
    min_margin: float = 0.0,
) -> list[dict[str, Any]]:
    """Best against worst completion of each prompt, as rows for `trl.DPOTrainer`.

    A prompt gives no pair if fewer than two of its completions have a score, or the best leads the worst by no more
    than `min_margin`. Of equal scores the first counts.

    Args:
        prompts: texts or conversations.
        completions: of each prompt, in the same form.
        scores: of each completion, from any reward; None abstains.
        min_margin: what the lead must exceed.

    Returns:
        rows with `prompt`, `chosen`, `rejected` and `margin` (difference of the scores).

    Raises:
        ValueError: if the three do not have the same lengths.

    Example:
        >>> preference_pairs(["2+2?", "3+3?"], [["4", "5"], ["6", "six"]], [[0.9, 0.1], [0.5, 0.5]])
        [{'prompt': '2+2?', 'chosen': '4', 'rejected': '5', 'margin': 0.8}]
    """
    if not len(prompts) == len(completions) == len(scores):
        raise ValueError(
            f"{len(prompts)} prompts, {len(completions)} groups of completions and {len(scores)} of scores: "
            f"give one each."
        )
    rows = []
    for i, (prompt, group, given) in enumerate(zip(prompts, completions, scores, strict=True)):
        if len(group) != len(given):
            raise ValueError(f"Prompt {i} has {len(group)} completions and {len(given)} scores: give one each.")
        known = [(score, text) for score, text in zip(given, group, strict=True) if score is not None]
        if len(known) < 2:
            continue
        (high, chosen), (low, rejected) = max(known, key=lambda k: k[0]), min(known, key=lambda k: k[0])
        if high - low > min_margin:
            rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": high - low})
    return rows
