"""Callbacks that hear of every scored batch, and the one that logs what collapse moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback

from selfrl.group_record import GroupRecord
from selfrl.monitor.diagnostics import group_figures
from selfrl.monitor.flips import LabelPaths


class RecordCallback(TrainerCallback):
    """A callback that a trainer of selfrl hands the records of every scored batch, on every process.

    Its state is in every checkpoint, as a part with the name `part`. With `wants_anchors` the trainer keeps some
    completions of the start and scores them anew, see [`selfrl.trainers.anchors.Anchors`]. Under a plain TRL trainer it
    hears of none.
    """

    part: str
    wants_anchors = False

    def hear(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """Take a batch in; gives figures to log."""
        raise NotImplementedError

    def hear_anchors(self, step: int, figures: Mapping[str, float]) -> None:
        """Take in what the policy makes of its first completions; see [`selfrl.trainers.anchors.Anchors`]."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; JSON can write it."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""


class Diagnostics(RecordCallback):
    """Logs every figure of [`selfrl.monitor.diagnostics.group_figures`] and [`selfrl.monitor.flips.LabelPaths`].

    `callbacks=[Diagnostics()]` of a selfrl trainer; the figures' names begin with `groups/`, and go wherever
    `report_to` says.

    Example:
        >>> record = GroupRecord("a", 0, ("4", "4", "5", None), "4", True, (1.0,) * 4, (3,) * 4, (False,) * 4)
        >>> Diagnostics().hear([record])["groups/concentration"]
        0.5
    """

    part = "diagnostics"
    wants_anchors = True

    def __init__(self) -> None:
        self.paths = LabelPaths()

    def hear(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """See the class."""
        return {f"groups/{name}": value for name, value in self.figures(records).items()}

    def figures(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """Of a batch, under their own names."""
        return group_figures(records) | self.paths.add(records)

    def state(self) -> dict[str, Any]:
        """See [`RecordCallback`]."""
        return {"paths": self.paths.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """See [`RecordCallback`]."""
        self.paths.load(state["paths"])
