"""Every answer as a label, by weight: prompts that nobody agrees on are pushed down."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from selfrl.shaping.shaper import AdvantageGroup, Shaped, Shaper


def bell(share: float, centre: float, width: float) -> float:
    """g(f) = exp(−(f − centre)² / 2 width²).

    >>> round(bell(5 / 8, 1.0, 0.5), 6)
    0.75484
    """
    return math.exp(-((share - centre) ** 2) / (2 * width**2))


def restrained(
    keys: Sequence[str | None], least_votes: int, penalty: float, centre: float, width: float
) -> list[float]:
    """A_i = Σ_j w_j (1[a_i = a_j] − p_j) / √(p_j (1 − p_j)) over the answers j of a group; −`penalty` for all if no
    answer has `least_votes`.

    w_j is g(p_j) over the sum of them. A completion without an answer counts among all n and is none of the labels.
    One answer that all give has nothing to tell apart: 0.

    Example:
        >>> [round(a, 6) for a in restrained([*"aaaaabbc"], 3, 1.0, 1.0, 0.5)][3:]
        [0.2435, 0.2435, -0.381182, -0.381182, -0.455138]
        >>> restrained([*"aabbcdef"], 3, 1.0, 1.0, 0.5)[:2], restrained(["a", "a"], 1, 1.0, 1.0, 0.5)
        ([-1.0, -1.0], [0.0, 0.0])
    """
    counts = Counter(key for key in keys if key is not None)
    if max(counts.values(), default=0) < least_votes:
        return [-penalty] * len(keys)
    shares = {key: count / len(keys) for key, count in counts.items()}
    weights = {key: bell(share, centre, width) for key, share in shares.items()}
    total = math.fsum(weights.values())

    def standardised(key: str | None, label: str) -> float:
        share = shares[label]
        return 0.0 if share == 1 else ((key == label) - share) / math.sqrt(share * (1 - share))

    return [math.fsum(weights[label] / total * standardised(key, label) for label in shares) for key in keys]


class Restrain(Shaper):
    r"""Weights for every answer as a pseudo-label, penalties without agreement, weights for prompts: RESTRAIN
    (2510.02172).

    Every answer a_j of a group is a label with the weight w_j = g(p_j) / Σ g, g(f) = exp(−(f − `centre`)² / 2
    `width`²). The advantages are A_i = u_x Σ_j w_j A_ij, where A_ij is 1[a_i = a_j], standardised in the group; where
    no answer has `least_votes`, A_i = −`penalty` · u_x. They take the place of those of the rewards, which are only
    watched. u_x = g(share of the answers of a frozen reference that agree), from the column `reference`, made once
    before training.

    The paper sums losses over labels; this is the same where ratios are 1, and an approximation where clipping acts.

    Args:
        least_votes: κ.
        penalty: δ.
        centre: k of g.
        width: σ of g. None of the four is confirmed by any source, and the method is said to fail outside a narrow
            range: hence no defaults.
        reference: name of a column that holds the reference's share, between 0 and 1. None leaves prompts unweighed,
            which the paper's ablation has between the whole method and majority voting.

    Raises:
        ValueError: for arguments that do not fit; in training, for a share outside 0 and 1.

    Example:
        >>> from selfrl.group_record import GroupRecord
        >>> record = GroupRecord("a", 0, tuple("aaaaabbc"), "a", None, (1.0,) * 5 + (0.0,) * 3, (3,) * 8, (False,) * 8)
        >>> group = AdvantageGroup(record, (0.0,) * 8, (True,) * 8, columns={"reference_agreement": 5 / 8})
        >>> shaper = Restrain(3, 1.0, centre=1.0, width=0.5, reference="reference_agreement")
        >>> [round(a, 6) for a in shaper.shape([group]).advantages[0]][4:]
        [0.183804, -0.287731, -0.287731, -0.343556]
    """

    def __init__(
        self, least_votes: int, penalty: float, centre: float, width: float, reference: str | None = None
    ) -> None:
        if least_votes < 1 or penalty < 0 or width <= 0:
            raise ValueError(
                f"Restrain has least_votes {least_votes}, penalty {penalty}, width {width}: they must be at least 1, "
                "at least 0 and above 0."
            )
        self.least_votes, self.penalty, self.centre, self.width = least_votes, penalty, centre, width
        self.reference = reference
        self.columns = () if reference is None else (reference,)

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        """See the class."""
        weights = [self._prompt_weight(group) for group in groups]
        advantages = [
            [u * a for a in restrained(g.record.keys, self.least_votes, self.penalty, self.centre, self.width)]
            for u, g in zip(weights, groups, strict=True)
        ]
        penalised = [max(g.record.votes.values(), default=0) < self.least_votes for g in groups]
        return Shaped(advantages, {"restrain/penalised": fmean(penalised), "restrain/weight": fmean(weights)})

    def _prompt_weight(self, group: AdvantageGroup) -> float:
        if self.reference is None:
            return 1.0
        share = group.columns[self.reference]
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(
                f"{self.reference} of a prompt is {share!r}: give the share of a reference's answers that agree, "
                "between 0 and 1."
            )
        return bell(share, self.centre, self.width)
