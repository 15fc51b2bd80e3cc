"""Advantages by how sure a completion was among those of its group."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from selfrl.shaping.shaper import AdvantageGroup, Shaped, Shaper, signal_means


def entropy_scales(entropies: Sequence[float]) -> list[float]:
    """Y_i = 2 − H_i / H̄, at least 0, so that no advantage changes its sign; 1 for all where H̄ is 0.

    >>> [round(y, 6) for y in entropy_scales([.2, .4, .6, 1.2])]
    [1.666667, 1.333333, 1.0, 0.0]
    >>> [round(y, 6) for y in entropy_scales([.1, .1, .1, 1.7])], entropy_scales([0.0, 0.0])
    ([1.8, 1.8, 1.8, 0.0], [1.0, 1.0])
    """
    mean = fmean(entropies)
    return [1.0 if mean == 0 else max(2 - entropy / mean, 0.0) for entropy in entropies]


class EntropyReshaping(Shaper):
    r"""A ← Y_i · A with Y_i = 2 − H_i / H̄: ETTRL's advantage reshaping (2508.11356).

    H_i is the mean token entropy of completion i, H̄ that of its group: what a model was sure of counts more. Beyond
    H_i = 2H̄ the paper's Y_i is negative and turns the advantage round; here it ends at 0. The reshaped advantages of a
    group no longer sum to 0.

    With `bound` advantages are cut to [−bound, bound] instead, the paper's alternative, worse in its tables.

    Args:
        bound: of the alternative.

    Raises:
        ValueError: for a bound that is not above 0; in training, for a group of which no entropy is known.

    Example:
        >>> from selfrl.group_record import GroupRecord
        >>> record = GroupRecord("a", 0, ("4", "5"), "4", None, (1.0, 0.0), (3, 3), (False,) * 2, {"entropy": (.1, .3)})
        >>> shaped = EntropyReshaping().shape([AdvantageGroup(record, (1.0, -1.0), (True, True))])
        >>> [round(advantage, 6) for advantage in shaped.advantages[0]]
        [1.5, -0.5]
    """

    def __init__(self, bound: float | None = None) -> None:
        if bound is not None and not bound > 0:
            raise ValueError(f"`bound` is {bound}: it must be above 0.")
        self.bound = bound
        self.signals = () if bound is not None else ("entropy",)

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        """See the class."""
        if self.bound is not None:
            bound = self.bound
            return Shaped([[min(max(a, -bound), bound) for a in group.advantages] for group in groups])
        scales = [entropy_scales(signal_means(group, "entropy")) for group in groups]
        advantages = [
            [y * a for y, a in zip(scale, group.advantages, strict=True)]
            for scale, group in zip(scales, groups, strict=True)
        ]
        silenced = [y == 0 for scale in scales for y in scale]
        return Shaped(advantages, {"entropy_reshaping/silenced": fmean(silenced)})
