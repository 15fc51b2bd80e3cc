"""How the labels of prompts move from visit to visit: flips, competed and re-locked labels (TTRL-Guard, 2605.19444)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from selfrl.group_record import GroupRecord

WINDOW = 5
LOCKED = 0.7
FLIPPED = 0.3
STEADY = 3


@dataclass
class LabelPath:
    """One prompt's label over its visits.

    At visit v with label ℓ_v and majority ratio m_v: FR_v = 1 if ℓ_v ≠ ℓ_{v−1}, else 0, and 0 at the first visit;
    not known where one of both has no label. A label has competed once an FR is above .3. It is **re-locked** if it has
    competed, v is at least the window W = 5, and the mean of the last W ratios is above .7; **strictly** so if it has
    not flipped in the last 3 visits either.

    Args:
        label: of the last visit.
        visits: how many there were.
        ratios: of the last W.
        competed: whether it ever flipped.
        since_flip: visits since the last flip; None before one.
        dwell: visits from the last flip to the first re-lock after it; None before one.
        unanimous: visits in a row, up to the last, at which all completions gave one answer.

    Example:
        >>> path = LabelPath()
        >>> for label, ratio in zip("AABBBBB", (0.7, 0.7, 0.55, 0.6, 0.8, 0.9, 0.9)):
        ...     flip = path.visit(label, ratio)
        ...     print(flip, round(path.windowed, 2), path.relocked, path.strictly_relocked)
        0.0 0.7 False False
        0.0 0.7 False False
        1.0 0.65 False False
        0.0 0.64 False False
        0.0 0.67 False False
        0.0 0.71 True True
        0.0 0.75 True True
        >>> path.dwell
        3
    """

    label: str | None = None
    visits: int = 0
    ratios: list[float] = field(default_factory=list)
    competed: bool = False
    since_flip: int | None = None
    dwell: int | None = None
    unanimous: int = 0

    def visit(self, label: str | None, ratio: float) -> float | None:
        """Add a visit; its FR, None where it is not known."""
        flip: float | None = 0.0
        if self.visits:
            flip = None if label is None or self.label is None else float(label != self.label)
        self.visits += 1
        self.label = label
        self.ratios = [*self.ratios, ratio][-WINDOW:]
        self.unanimous = self.unanimous + 1 if ratio == 1 else 0
        if flip is not None and flip > FLIPPED:
            self.competed, self.since_flip, self.dwell = True, 0, None
        elif self.since_flip is not None:
            self.since_flip += 1
        if self.relocked and self.dwell is None:
            self.dwell = self.since_flip
        return flip

    @property
    def windowed(self) -> float:
        """Mean ratio of the last W visits."""
        return fmean(self.ratios)

    @property
    def relocked(self) -> bool:
        """See the class."""
        return self.competed and self.visits >= WINDOW and self.windowed > LOCKED

    @property
    def strictly_relocked(self) -> bool:
        """See the class."""
        return self.relocked and self.since_flip is not None and self.since_flip >= STEADY

    @property
    def collapsed(self) -> bool:
        """Whether all completions gave one answer at each of the last 3 visits."""
        return self.unanimous >= STEADY


class LabelPaths:
    """The label of every prompt over its visits, in a state that a checkpoint can hold.

    Example:
        >>> record = GroupRecord("a", 0, ("4", "4"), "4", None, (1.0, 1.0), (3, 3), (False, False))
        >>> paths = LabelPaths()
        >>> paths.add([record]), paths.add([record])["flip_rate"]
        ({}, 0.0)
    """

    def __init__(self) -> None:
        self._paths: dict[str, LabelPath] = {}

    def add(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """The flips of a batch, and where the labels of all prompts stand that were seen twice or more.

        `flip_rate` is the mean FR over this batch's prompts that were seen before; `competed`, `relocked`,
        `strictly_relocked` and `collapsed` are shares of all prompts seen before; `dwell` a mean over those that
        re-locked. Left out where there is none of whom to tell.
        """
        flips = []
        for record in records:
            if record.majority_ratio is None:
                continue
            path = self._paths.setdefault(record.prompt_id, LabelPath())
            flip = path.visit(record.label, record.majority_ratio)
            if path.visits > 1 and flip is not None:
                flips.append(flip)
        figures = {"flip_rate": fmean(flips)} if flips else {}
        return figures | _where_they_stand([path for path in self._paths.values() if path.visits > 1])

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: asdict(path) for name, path in self._paths.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._paths = {name: LabelPath(**values) for name, values in state.items()}


def _where_they_stand(paths: Iterable[LabelPath]) -> dict[str, float]:
    known = list(paths)
    if not known:
        return {}
    figures = {
        "competed": fmean(path.competed for path in known),
        "relocked": fmean(path.relocked for path in known),
        "strictly_relocked": fmean(path.strictly_relocked for path in known),
        "collapsed": fmean(path.collapsed for path in known),
    }
    dwells = [path.dwell for path in known if path.dwell is not None]
    return figures | ({"dwell": fmean(dwells)} if dwells else {})
