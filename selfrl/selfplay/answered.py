"""A solver's answers to one prompt, and what they earned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One answer.

    Args:
        text: all of it.
        key: merged answer key; None if there is no answer.
        reward: None if every reward abstained.
    """

    text: str
    key: str | None
    reward: float | None


@dataclass(frozen=True)
class Answers:
    """The answers to a prompt.

    Args:
        id: of the prompt.
        samples: none if the generation failed for good.
        vote_share: votes for the most common key among all samples; None without one.
        label_right: whether that key is the gold answer's; None without one, or where it could not be decided.

    Example:
        >>> answers = Answers("a", (Sample("It is 4.", "4", 1.0), Sample("?", None, None)), 0.5, None)
        >>> Answers.from_json(answers.to_json()) == answers, answers.rewards
        (True, [1.0])
    """

    id: str
    samples: tuple[Sample, ...]
    vote_share: float | None
    label_right: bool | None

    @property
    def rewards(self) -> list[float]:
        """Those that are there."""
        return [sample.reward for sample in self.samples if sample.reward is not None]

    def to_json(self) -> dict[str, Any]:
        """Values that JSON can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Answers:
        """What [`to_json`] gave."""
        return cls(**{**row, "samples": tuple(Sample(**sample) for sample in row["samples"])})
