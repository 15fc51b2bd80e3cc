"""What the votes of a run look like, whatever is rewarded."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from selfrl.group_record import GroupRecord
from selfrl.terciles import TERCILES, terciles


class LabelWatch:
    """A listener of a trainer's records that logs their votes: `trainer.add_listener(LabelWatch())`.

    `labels/labelled` is the share of groups with a label; `labels/label_accuracy` the share of right labels, where gold
    answers are known, and `labels/label_accuracy/low`, `middle` and `high` the same in each third of these groups by
    their majority ratio: a vote goes wrong in the lower ones first.

    Example:
        >>> record = GroupRecord("a", 0, ("4", "4", "5", None), "4", True, (1.0,) * 4, (3,) * 4, (False,) * 4)
        >>> LabelWatch()([record])["labels/label_accuracy"]
        1.0
    """

    def __call__(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """Figures of one batch; none where nothing was voted on."""
        voted = [record for record in records if record.keys]
        if not voted:
            return {}
        figures = {"labels/labelled": fmean(record.label is not None for record in voted)}
        known = [record for record in voted if record.label_is_right is not None]
        if known:
            figures["labels/label_accuracy"] = _accuracy(known)
        parts = terciles({i: record.majority_ratio or 0.0 for i, record in enumerate(known)})
        return figures | {
            f"labels/label_accuracy/{name}": _accuracy([known[i] for i in part])
            for name, part in zip(TERCILES, parts, strict=True)
            if part
        }


def _accuracy(records: Sequence[GroupRecord]) -> float:
    return fmean(bool(record.label_is_right) for record in records)
