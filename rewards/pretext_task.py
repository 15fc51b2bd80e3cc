"""What a pretext task is: a question whose answer is known because the data was changed on purpose."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from PIL import Image

Credit = Literal["exact", "graded", "places", "neighbours"]
CREDITS: tuple[Credit, ...] = ("exact", "graded", "places", "neighbours")

FORM = (
    "First think about it between <think> and </think>, then give the final answer alone between <answer> and "
    "</answer>."
)


class UnusableError(ValueError):
    """Data that a task cannot ask about; the message says why in a few words, and is counted."""


@dataclass(frozen=True)
class Item:
    """One question.

    Args:
        content: texts and pictures in the order in which they are shown.
        answer: the right one, as the task's `read` gives it.
        facts: what was really done, for people and for tests; plain values.
    """

    content: tuple[str | Image.Image, ...]
    answer: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> list[Image.Image]:
        """The pictures, in order."""
        return [part for part in self.content if not isinstance(part, str)]

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """A conversation whose placeholders stand for `images`, in order, as TRL wants it.

        >>> Item(("Picture: ", Image.new("RGB", (1, 1)), "\\nUpright?"), "yes").prompt[0]["content"][:2]
        [{'type': 'text', 'text': 'Picture: '}, {'type': 'image'}]
        """
        parts = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in self.content]
        return [{"role": "user", "content": parts}]


@dataclass(frozen=True)
class PretextTask(ABC):
    """Base of the tasks; subclasses are frozen dataclasses whose fields are their options.

    Attributes:
        name: what rows of a data set know it by.
        stages: options from easy to hard, for a curriculum.
    """

    name: ClassVar[str]
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({},)

    @property
    @abstractmethod
    def chance(self) -> float:
        """Expected exact score of a guess."""

    @abstractmethod
    def read(self, said: str) -> str | None:
        """The answer that `said` gives, in one spelling; None for what is no possible answer."""

    def score(self, said: str, gold: str, credit: Credit = "graded") -> float:
        """Between 0 and 1, from two answers as `read` gives them; only jigsaws know more than right and wrong."""
        return float(said == gold)

    def spec(self) -> str:
        """The task with its options, as a row of a data set keeps it; [`selfrl.rewards.pretext.task_of`] reads it.

        >>> from selfrl.rewards.vision import Rotation
        >>> Rotation(step=45).spec()
        '{"task": "rotation", "min_side": 28, "step": 45}'
        """
        return json.dumps({"task": self.name, **asdict(self)})

    def at_stage(self, stage: int) -> Self:
        """The task as hard as its stage, from 0.

        >>> from selfrl.rewards.vision import Rotation
        >>> Rotation().at_stage(2).step
        30
        """
        return type(self)(**{**asdict(self), **self.stages[stage]})

    @classmethod
    def options(cls) -> list[str]:
        """Names of its options."""
        return [option.name for option in fields(cls)]


def one_of(rng: random.Random, choices: Sequence[Any]) -> Any:
    """One of some choices, by one draw.

    >>> one_of(random.Random(0), "abcd")
    'd'
    """
    return choices[int(rng.random() * len(choices))]
