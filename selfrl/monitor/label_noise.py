"""How a pseudo-reward differs from the truth on a labelled probe, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ALARM_J = 0.2
ALARM_Z = 1.64  # one-sided 5 %
RESAMPLES = 2000


class Confusion(NamedTuple):
    """Rollouts by pseudo-reward and truth.

    Args:
        tp: rewarded and right.
        fn: not rewarded, but right.
        fp: rewarded, but wrong.
        tn: not rewarded and wrong.
    """

    tp: int
    fn: int
    fp: int
    tn: int


@dataclass(frozen=True)
class Youden:
    """J = TPR − FPR with a standard error.

    Args:
        j: between −1 and 1.
        error: its standard error.
    """

    j: float
    error: float

    @property
    def alarms(self) -> bool:
        """J + 1.64 s.e. < 0.2: the reward tells right from wrong too little to learn by.

        >>> Youden(0.1, 0.05).alarms, Youden(0.1, 0.08).alarms
        (True, False)
        """
        return self.j + ALARM_Z * self.error < ALARM_J

    @property
    def stops(self) -> bool:
        """J < 0: the reward pays wrong answers more often than right ones."""
        return self.j < 0


def confusion(pseudo: Sequence[float | None], truth: Sequence[float | None]) -> Confusion:
    """Counts of rollouts by pseudo-reward and truth, above 0.5 or not; a pair with a None is left out.

    >>> confusion([1.0, 1.0, 0.0, None], [1.0, 0.0, 1.0, 1.0])
    Confusion(tp=1, fn=1, fp=1, tn=0)
    """
    pairs = [(r > 0.5, t > 0.5) for r, t in zip(pseudo, truth, strict=True) if r is not None and t is not None]
    return Confusion(*(pairs.count(pair) for pair in ((True, True), (False, True), (True, False), (False, False))))


def pooled(tables: Sequence[Confusion]) -> Confusion:
    """The sum of several tables; of none, all zeros.

    >>> pooled([Confusion(1, 0, 0, 2), Confusion(0, 1, 0, 0)])
    Confusion(tp=1, fn=1, fp=0, tn=2)
    """
    return Confusion(*map(sum, zip(*tables, strict=True))) if tables else Confusion(0, 0, 0, 0)


def youden_j(table: Confusion) -> Youden | None:
    """J of a pooled table (RLVeR, 2601.04411): above 0 the policy learns, at 0 it drifts, below 0 it unlearns.

    J = TPR − FPR with TPR = TP/(TP + FN) and FPR = FP/(FP + TN); its standard error √(TPR(1 − TPR)/positives + FPR(1 −
    FPR)/negatives) takes rollouts as independent, which those of one prompt are not: see [`youden_by_prompt`].

    None without a right answer, or without a wrong one.

    Example:
        >>> found = youden_j(Confusion(tp=40, fn=10, fp=15, tn=35))
        >>> round(found.j, 3), round(found.error, 3)
        (0.5, 0.086)
    """
    positives, negatives = table.tp + table.fn, table.fp + table.tn
    if not positives or not negatives:
        return None
    tpr, fpr = table.tp / positives, table.fp / negatives
    return Youden(tpr - fpr, math.sqrt(tpr * (1 - tpr) / positives + fpr * (1 - fpr) / negatives))


def youden_by_prompt(tables: Sequence[Confusion], seed: int = 0) -> Youden | None:
    """J of the pooled table, with the standard error of a bootstrap over prompts.

    None where the pool lacks right or wrong answers, or fewer than two resamples have both.

    Args:
        tables: one a prompt.
        seed: of the resampling.

    Example:
        >>> found = youden_by_prompt([Confusion(4, 0, 0, 4)] * 5 + [Confusion(0, 4, 4, 0)] * 5)
        >>> found.j, 0.2 < found.error < 0.45
        (0.0, True)
    """
    found = youden_j(pooled(tables))
    if found is None:
        return None
    counts_P4 = np.asarray(tables, dtype=float)
    shares = np.full(len(tables), 1 / len(tables))
    drawn_RP = np.random.default_rng(seed).multinomial(len(tables), shares, size=RESAMPLES)
    tp, fn, fp, tn = (drawn_RP @ counts_P4).T
    both = (tp + fn > 0) & (fp + tn > 0)
    if both.sum() < 2:
        return None
    tp, fn, fp, tn = tp[both], fn[both], fp[both], tn[both]
    return Youden(found.j, float(np.std(tp / (tp + fn) - fp / (fp + tn), ddof=1)))


def reward_accuracy(pseudo: Sequence[float | None], truth: Sequence[float | None]) -> float | None:
    """Share of rollouts whose pseudo-reward is the true one (2603.08660); a pair with a None is left out.

    Agreement on wrong answers counts: of answers 7 7 7 7 7 4 4 1, where 7 is rewarded and 4 is right, only 1 agrees.

    >>> reward_accuracy([1, 1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 0]), reward_accuracy([None], [1])
    (0.125, None)
    """
    agreed = [r == t for r, t in zip(pseudo, truth, strict=True) if r is not None and t is not None]
    return sum(agreed) / len(agreed) if agreed else None


@dataclass(frozen=True)
class Bias:
    """What kind of noise a pseudo-reward r̂ is, against the truth r* (named in RLER, 2510.08977; formulas ours).

    Args:
        noise: mean |r̂ − r*|.
        skew: (over − under)/(over + under), over the share of rollouts with r̂ > r*, under of those with r̂ < r*; None
            without any noise. Above 0 the reward pays wrong answers.
        coupling: correlation of r̂ − r* with the share of votes that the rollout's own answer has; None where one of
            both is the same everywhere. Above 0 it pays wrong answers that the policy likes already.
    """

    noise: float
    skew: float | None
    coupling: float | None


def bias_triple(pseudo: Sequence[float | None], truth: Sequence[float | None], shares: Sequence[float]) -> Bias | None:
    """Noise, skew and coupling of a pseudo-reward; None where no rollout has both rewards.

    Args:
        pseudo: r̂ of each rollout, None where it abstains.
        truth: r* of each, None without a label.
        shares: of the votes of its prompt, those for its answer.

    Example:
        >>> found = bias_triple([1, 1, 0, 0], [1, 0, 1, 0], [0.5, 0.5, 0.25, 0.25])
        >>> found.noise, found.skew, round(found.coupling, 3)
        (0.5, 0.0, 0.707)
    """
    kept = [
        (r - t, share) for r, t, share in zip(pseudo, truth, shares, strict=True) if r is not None and t is not None
    ]
    if not kept:
        return None
    errors, votes = np.asarray(kept, dtype=float).T
    over, under = int((errors > 0).sum()), int((errors < 0).sum())
    skew = (over - under) / (over + under) if over + under else None
    varied = np.ptp(errors) > 0 and np.ptp(votes) > 0
    coupling = float(np.corrcoef(errors, votes)[0, 1]) if varied else None
    return Bias(float(np.abs(errors).mean()), skew, coupling)
