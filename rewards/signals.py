"""Columns that a trainer computes for rewards: how a reward asks for them and takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def handed(reward: Any, columns: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The columns named in `reward.signals`, one entry a completion.

    "log_prob", "entropy", "self_certainty" and "margin" hold a float32 tensor (T,) of a completion's T tokens, or
    None where it could not be scored; "token_texts" a list of T texts whose concatenation is the completion (special
    tokens are empty); "vocab_size" a whole number.

    Raises:
        ValueError: if one is missing, which is so under TRL's own trainers.

    Example:
        >>> class Reward:
        ...     signals = ("entropy",)
        >>> handed(Reward(), {"entropy": [[0.5]], "answer": ["4"]})
        {'entropy': [[0.5]]}
    """
    missing = [name for name in reward.signals if columns.get(name) is None]
    if missing:
        raise ValueError(
            f"{type(reward).__name__} needs {', '.join(missing)}, which TRL's own trainers do not compute: train with "
            "selfrl.trainers.GRPOTrainer or RLOOTrainer."
        )
    return {name: columns[name] for name in reward.signals}
