"""Completions weighed by the probability that the policy gave them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfrl.shaping.shaper import AdvantageGroup, Shaped, Shaper, signal_means


def sequence_weights(log_probs: Sequence[float], smoothing: float = 0.0) -> list[float]:
    """p_i / Σ p + smoothing from log p_i, without leaving the log domain: p itself underflows.

    Args:
        log_probs: of whole completions, in nats, or of their mean token.
        smoothing: added to each weight.

    Example:
        >>> [round(w, 4) for w in sequence_weights([-12.0, -15.0, -13.0])]
        [0.7054, 0.0351, 0.2595]
        >>> [round(w, 6) for w in sequence_weights([-12 / 10, -15 / 12, -13 / 11])]
        [0.336748, 0.320325, 0.342927]
        >>> sequence_weights([-9000.0, -9000.0])
        [0.5, 0.5]
    """
    top = max(log_probs)
    parts = [math.exp(log_prob - top) for log_prob in log_probs]
    total = math.fsum(parts)
    return [part / total + smoothing for part in parts]


class SequenceConfidence(Shaper):
    r"""A_i = p_old(y_i) / Σ_j p_old(y_j) (+ α): the weights of RLSC (2506.06395), in the place of advantages.

    [`selfrl.trainers.RLSCTrainer`] takes them with the loss that they are for. They have no negatives, so they only
    sharpen what the model already prefers. The sum runs over the completions of a group that are trained on.

    Args:
        length_normalised: weigh by exp(log p / L), the probability a token; whole completions differ by many nats, so
            that one of a group takes nearly all the weight.
        smoothing: α, added to each weight; the paper's value is not confirmed.

    Raises:
        ValueError: for a smoothing below 0; in training, for a group of which no log-probability is known.

    Example:
        >>> from selfrl.group_record import GroupRecord
        >>> record = GroupRecord("a", 0, (), None, None, (1.0, 0.0), (2, 4), (False,) * 2, {"log_prob": (-1.0, -.5)})
        >>> SequenceConfidence().shape([AdvantageGroup(record, (0.0, 0.0), (True, True))]).advantages
        [[0.5, 0.5]]
    """

    signals = ("log_prob",)

    def __init__(self, length_normalised: bool = False, smoothing: float = 0.0) -> None:
        if smoothing < 0:
            raise ValueError(f"`smoothing` is {smoothing}: it must be 0 or more.")
        self.length_normalised, self.smoothing = length_normalised, smoothing

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        """See the class."""
        return Shaped([self._weights(group) for group in groups])

    def _weights(self, group: AdvantageGroup) -> list[float]:
        means, lengths = signal_means(group, "log_prob"), group.record.lengths
        scale = [1] * len(lengths) if self.length_normalised else lengths
        counted = [i for i, trained in enumerate(group.trained) if trained]
        weights = sequence_weights([means[i] * scale[i] for i in counted], self.smoothing)
        found = [0.0] * len(lengths)
        for i, weight in zip(counted, weights, strict=True):
            found[i] = weight
        return found
