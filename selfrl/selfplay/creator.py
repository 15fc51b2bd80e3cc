"""What every writer of prompts takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from selfrl.generation import Generator, Prompt
from selfrl.selfplay.pool import Entry


class Parent(NamedTuple):
    """A prompt that was selected to be evolved.

    Args:
        entry: the prompt.
        solve_rate: mean reward of the responses to it; None if it was not asked yet.
    """

    entry: Entry
    solve_rate: float | None = None


class Creator(Protocol):
    """Writes new prompts from selected ones.

    Attributes:
        needs_policy: whether `create` must be handed the model in training.
        gives: columns that every prompt of it has, such as an answer.
    """

    @property
    def needs_policy(self) -> bool:
        """See the class."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See the class."""

    def create(self, parents: Sequence[Parent], seed: int, policy: Generator | None = None) -> list[Entry]:
        """Children of the parents, in the parents' order; the same for the same seed and writer.

        What they say may be anything: nothing of it reaches training but through the gate. A child's parent is one of
        the parents' entries, or a child that stands before it.
        """
        ...


@runtime_checkable
class TrainedCreator(Creator, Protocol):
    """A creator whose writer can be trained as a proposer, see [`selfrl.rewards.proposer_reward`]."""

    def requests(self, parents: Sequence[Parent]) -> list[Prompt]:
        """What it asks its writer for, one a parent."""
        ...
