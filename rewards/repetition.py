"""A penalty for completions that say one line over and over (Visual Jigsaw, 2509.25190)."""

from __future__ import annotations

from collections import Counter

from selfrl.rewards.contract import BaseReward, Batch, Scores

WORDS, TIMES = 7, 3


class RepetitionReward(BaseReward):
    """−penalty for a completion in which a line of at least 7 words stands more than 3 times, else 0. Never abstains.

    Args:
        penalty: 0.5 in the paper.

    Raises:
        ValueError: for a penalty below 0.

    Example:
        >>> line = "I turn the second picture by a quarter."
        >>> RepetitionReward()(["?"] * 2, ["\\n".join([line] * 4), "\\n".join([line] * 3)])
        [-0.5, 0.0]
    """

    def __init__(self, penalty: float = 0.5) -> None:
        if penalty < 0:
            raise ValueError(f"RepetitionReward has penalty {penalty}: it must be 0 or more.")
        self.penalty = penalty

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        repeated = [repeats_itself(text) for text in batch.texts]
        return Scores(
            [-self.penalty if again else 0.0 for again in repeated], {"repeated": sum(repeated) / max(len(repeated), 1)}
        )


def repeats_itself(text: str) -> bool:
    """Whether a line of at least 7 words stands more than 3 times.

    >>> repeats_itself("so it is\\n" * 9)
    False
    """
    lines = Counter(" ".join(line.split()) for line in text.splitlines())
    return any(count > TIMES and len(line.split()) >= WORDS for line, count in lines.items())
