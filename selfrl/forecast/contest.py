"""Where training by a label goes: what it sharpens, and how the contest of right and wrong answers ends.

On a prompt with answer shares p, a reward 1[answer = label] moves the share of the right answer, to first order, by the
covariance of reward and truth within the group (policy gradient): by p(1 − p) where the label is right, by −p·q where
it is wrong with share q. Let r be the share of the strongest wrong answer. The first is p(1 − p − r) + p·r: scattered
errors, which any right label clears away, and the **contest** with the rival. Only the contest can be lost, and it
feeds itself: what wins elects the next labels. Prompts share habits, so the contests of a model tend to end the same
way, the way they lean in the mean; a prompt's own label decides less. This lean is the **balance**.

Where two wordings reward each other, pairs whose labels differ are a kind of their own: each wording is taught the
other's answer, and both end with the one that wins. Their contests have a balance of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy import stats

CONTESTED = 0.25  # share that both the right answer and its rival have in a contest
RESAMPLES = 2000
TINY = 1e-12


@dataclass(frozen=True)
class Stake:
    """One prompt with a gold answer.

    Args:
        right: share of the right answer among all completions.
        rival: share of the most common wrong one.
        label_is_right: of the label that rewards this prompt; None where nothing is rewarded.
        label: share of that label among the completions.
        reach: accuracy on the prompt once its contest is won; by default 1 if the label is right, and `right` without.
        disputed: whether another wording elects another label, which makes a contest of any shares.
    """

    right: float
    rival: float
    label_is_right: bool | None
    label: float
    reach: float | None = None
    disputed: bool = False

    @property
    def contested(self) -> bool:
        """Whether right and wrong compete: each has a quarter of the completions, or another wording objects.

        >>> Stake(0.5, 0.25, True, 0.5).contested, Stake(0.7, 0.2, True, 0.7).contested
        (True, False)
        """
        return self.disputed or min(self.right, self.rival) >= CONTESTED

    @property
    def push(self) -> float:
        """First-order change of the contest: right·rival for a right label, −right·label for a wrong one, else 0."""
        if self.label_is_right is None:
            return 0.0
        return self.right * self.rival if self.label_is_right else -self.right * self.label

    @property
    def mass(self) -> float:
        """The largest size that the push could have."""
        return max(self.right * self.rival, abs(self.push))

    @property
    def won(self) -> float:
        """Accuracy on a prompt that ends as its label has it; see `reach`."""
        if self.reach is not None:
            return self.reach
        return self.right if self.label_is_right is None else float(self.label_is_right)

    @property
    def lost(self) -> float:
        """The same, if contests go to the rival."""
        return 0.0 if self.contested else self.won


@dataclass(frozen=True)
class Balance:
    """How contests lean: 1 if every contested prompt has a right label, −1 if every one has a wrong one.

    Args:
        value: Σ push / Σ mass over contested prompts.
        low: lower end of its 95 % interval over prompts.
        high: upper end.
        prompts: how many are contested.
    """

    value: float
    low: float
    high: float
    prompts: int


def balance(prompts: Sequence[Sequence[Stake]], seed: int = 0) -> Balance | None:
    """The balance of the contested prompts; None without any.

    Its interval is the exact one for the share of right labels where all contests lean one way, which resampling cannot
    see; else a percentile bootstrap over prompts.

    Args:
        prompts: the stakes of each labelled prompt, one a wording.
        seed: of the resampling.

    Example:
        >>> right, wrong = [Stake(0.5, 0.5, True, 0.5)], [Stake(0.5, 0.5, False, 0.5)]
        >>> found = balance([right] * 6 + [wrong] * 2)
        >>> found.value, found.low < 0 < found.high, balance([right] * 8).low < 0.5
        (0.5, True, True)
    """
    contests = [[stake for stake in stakes if stake.contested] for stakes in prompts]
    contests = [stakes for stakes in contests if stakes]
    if not contests:
        return None
    pushes = np.array([sum(stake.push for stake in stakes) for stakes in contests])
    masses = np.array([sum(stake.mass for stake in stakes) for stakes in contests])
    value = float(pushes.sum() / masses.sum()) if masses.sum() else 0.0
    if len(set(np.sign(pushes))) == 1:
        exact = stats.binomtest(int((pushes > 0).sum()), len(pushes)).proportion_ci(0.95)
        return Balance(value, 2 * float(exact.low) - 1, 2 * float(exact.high) - 1, len(contests))
    drawn = np.random.default_rng(seed).integers(0, len(pushes), (RESAMPLES, len(pushes)))
    ratios = pushes[drawn].sum(1) / np.maximum(masses[drawn].sum(1), TINY)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Balance(value, float(low), float(high), len(contests))


def end(stakes: Sequence[Stake], won: bool) -> float:
    """Where the accuracy on one prompt, a mean over its wordings, leads if contests are won, or if they are lost.

    >>> stakes = [Stake(0.8, 0.1, True, 0.8), Stake(0.4, 0.4, True, 0.4)]
    >>> end(stakes, won=True), end(stakes, won=False)
    (1.0, 0.5)
    """
    return fmean(stake.won if won else stake.lost for stake in stakes)
