"""What a majority vote would label, watched beside any reward."""

from __future__ import annotations

from typing import Any

from selfrl.rewards.voting import MajorityVoteReward


class LabelWatch(MajorityVoteReward):
    """Logs what [`MajorityVoteReward`] logs, `label_accuracy` above all, and rewards nothing.

    It abstains everywhere, so a completion that no other reward scores stays unscored. Give it the weight 0.

    Example:
        >>> logged = {}
        >>> watch = LabelWatch()
        >>> watch(["2+2?"] * 2, [r"\\boxed{4}"] * 2, answer=["4"] * 2, log_metric=logged.__setitem__)
        [None, None]
        >>> logged["LabelWatch/label_accuracy"]
        1.0
    """

    def __call__(self, *args: Any, **columns: Any) -> list[float | None]:
        """None for each completion."""
        return [None] * len(super().__call__(*args, **columns))
