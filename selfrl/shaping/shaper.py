"""What a shaper is: it is shown each prompt's group with its advantages, and gives others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfrl.group_record import GroupRecord, Visit


@dataclass(frozen=True)
class AdvantageGroup:
    """One prompt's completions in one scored batch, over all processes, with their advantages.

    Args:
        record: keys, label, rewards and means of signals.
        advantages: of each completion after the baseline; 0 where no reward scored it.
        trained: whether each is trained on; the rest only votes.
        earlier: visits to the prompt before this one, as far as they are kept, the oldest first.
        visits: their number over the whole run.
        columns: of the prompt's row, those that the shaper declares.
    """

    record: GroupRecord
    advantages: tuple[float, ...]
    trained: tuple[bool, ...]
    earlier: Sequence[Visit] = ()
    visits: int = 0
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shaped:
    """What a shaper made of a batch.

    Args:
        advantages: of each group's completions.
        metrics: figures to log.
    """

    advantages: list[list[float]]
    metrics: Mapping[str, float] = field(default_factory=dict)


class Shaper:
    """Base of what changes advantages between the baseline and the loss; a subclass gives `shape`.

    A prompt's constant would vanish under the mean of its group, and its factor under the standard deviation: so both
    act after these.

    Attributes of a subclass, or set by its constructor:
        signals: token signals of which it reads the means in the record, as a reward's.
        columns: of the data that it cannot do without.

    Example:
        >>> class Half(Shaper):
        ...     def shape(self, groups):
        ...         return Shaped([[a / 2 for a in group.advantages] for group in groups])
        >>> record = GroupRecord("a", 0, ("4", "5"), "4", None, (1.0, 0.0), (3, 3), (False, False))
        >>> Half().shape([AdvantageGroup(record, (1.0, -1.0), (True, True))]).advantages
        [[0.5, -0.5]]
    """

    signals: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        """Advantages of a batch's groups; called once a scored batch, the same on every process."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON can hold it."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""


def signal_means(group: AdvantageGroup, name: str) -> list[float]:
    """Means of a signal, one a completion; those that were not scored have the mean of the others.

    Raises:
        ValueError: for a record without the signal, or without any value of it.
    """
    known = [value for value in group.record.signals.get(name, ()) if value is not None]
    if not known:
        raise ValueError(f"The group of {group.record.prompt_id} has no {name!r}: train with the shaper in `shaping`.")
    mean = sum(known) / len(known)
    return [mean if value is None else value for value in group.record.signals[name]]
