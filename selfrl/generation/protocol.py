"""What every generation back end takes and gives."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Message = dict[
    str, Any
]  # its content is a text, or a list of parts: {"type": "text", "text": …}, {"type": "image", "image": …}
Prompt = str | list[Message]


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Args:
        max_tokens: length limit of a completion.
        temperature: 0 is greedy.
        top_p: nucleus.
        n: completions a prompt.
        seed: of the sampling; None leaves it open.
        stop: texts at which a completion ends; it is cut before the first of them.
    """

    max_tokens: int = 1024
    temperature: float = 1.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.n < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"{self} cannot be sampled: max_tokens and n from 1, temperature from 0, top_p in (0, 1].")
        if not all(self.stop):
            raise ValueError("A stop text is empty: leave it out.")


def seed_of(seed: int, *what: object) -> int:
    """A seed of its own for everything that is drawn.

    >>> seed_of(0, "optimizer", 2) == seed_of(0, "optimizer", 3)
    False
    """
    return int.from_bytes(hashlib.sha256("/".join(map(str, (seed, *what))).encode()).digest()[:4]) >> 1


def request_seed(seed: int | None, number: int) -> int | None:
    """Seed of a call's request by its number, so that equal prompts of one call are sampled apart.

    Servers seed completion k of a request with its seed + k, in 32 bits: requests are kept far from each other.

    >>> request_seed(4, 0) == request_seed(4, 1), request_seed(None, 0)
    (False, None)
    """
    return None if seed is None else random.Random(f"{seed}/{number}").getrandbits(31)


def cut(text: str, stop: Sequence[str]) -> str:
    """What stands before the first of the stop texts.

    >>> cut("42. Question: 1", ("Question:", "</s>"))
    '42. '
    """
    return text[: min((at for word in stop if (at := text.find(word)) >= 0), default=len(text))]


@dataclass(frozen=True)
class Generation:
    """One completion: its text, why it ended, and its size in tokens (the prompt's tokens count once a completion)."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class Generator(Protocol):
    """A generation back end."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """`sampling.n` completions a prompt, in the prompts' order.

        A prompt is a text, or a conversation to which the model's chat template is applied, with pictures among its
        parts or without, see `Message`. A prompt whose request
        failed for good has an empty list; nothing else is ever put in its place.
        """
        ...

    def close(self) -> None:
        """Give memory and connections back."""
        ...
