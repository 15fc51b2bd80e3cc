"""What labels tell of the answers: accuracies, how right a majority is, and what kind of noise its reward would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selfrl.eval.statistics import auroc, mean_interval
from selfrl.forecast.agreement_figures import bin_of, bins
from selfrl.forecast.answered_prompts import Wording
from selfrl.forecast.contest import Stake
from selfrl.monitor.label_noise import (
    Bias,
    Youden,
    bias_triple,
    confusion,
    pooled,
    reward_accuracy,
    youden_by_prompt,
    youden_j,
)
from selfrl.rewards.vote_rule import agreement, shares_among


@dataclass(frozen=True)
class Share:
    """A mean over prompts with its 95 % interval, of [`selfrl.eval.statistics.mean_interval`]."""

    value: float
    low: float
    high: float
    prompts: int


@dataclass(frozen=True)
class RewardNoise:
    """A pseudo-reward against the truth, over all rollouts of the labelled prompts.

    Args:
        label_accuracy: of the labels that there are.
        accuracy: share of rollouts that it rewards as the truth would.
        youden: J with the standard error of the pooled table; None without right or without wrong answers.
        youden_by_prompt: J with the standard error of a bootstrap over prompts.
        bias: noise, skew and coupling.
    """

    label_accuracy: Share | None
    accuracy: float | None
    youden: Youden | None
    youden_by_prompt: Youden | None
    bias: Bias | None


@dataclass(frozen=True)
class Truth:
    """What the labels tell; an answer that cannot be graded safely counts as not right.

    Args:
        avg: share of right answers, avg@1.
        maj: share of prompts whose majority is right, maj@n; without a label it is not.
        by_bin: label accuracy by bin of the majority ratio, as in [`selfrl.forecast.agreement_figures.bins`]; None for
            a bin without labels.
        majority: the noise of `MajorityVoteReward`.
        contrastive: of `ContrastiveAgreementReward`; None without paraphrases.
    """

    avg: Share
    maj: Share
    by_bin: list[Share | None]
    majority: RewardNoise
    contrastive: RewardNoise | None


def truth_of(pairs: Sequence[Sequence[Wording]], seed: int = 0) -> Truth | None:
    """Figures of the labelled prompts; None without any.

    Args:
        pairs: the wordings of each prompt. Accuracies and the majority's noise are of the first ones.
        seed: of the resampling.
    """
    labelled = [wordings for wordings in pairs if wordings[0].labelled]
    if not labelled:
        return None
    first = [wordings[0] for wordings in labelled]
    parts: list[list[float]] = [[] for _ in bins()]
    for wording in first:
        if wording.label is not None:
            parts[bin_of(agreement(wording.keys))].append(float(wording.label_is_right or False))
    crossed = [wordings for wordings in labelled if len(wordings) > 1]
    return Truth(
        avg=_share([right_share(wording) for wording in first], seed),
        maj=_share([float(wording.label_is_right or False) for wording in first], seed),
        by_bin=[_share(part, seed) if part else None for part in parts],
        majority=_noise([[(w, w.own, w.label_is_right)] for w in first], seed),
        contrastive=_noise([[(w, w.crossed or (), w.other_is_right) for w in pair] for pair in crossed], seed)
        if crossed
        else None,
    )


def right_share(wording: Wording) -> float:
    """Share of right answers."""
    return fmean(verdict == 1 for verdict in wording.truth)


def own_stake(wording: Wording) -> Stake:
    """The prompt under the majority's own label, in one wording."""
    return _stake(wording, wording.label, wording.label_is_right)


def crossed_stakes(pair: Sequence[Wording]) -> tuple[list[Stake], bool]:
    """Both wordings, each under the other's label, and whether the two labels differ."""
    labels = [wording.label for wording in pair]
    disputed = None not in labels and labels[0] != labels[1]
    reach = float(any(wording.label_is_right for wording in pair)) if disputed else None
    return [_stake(wording, wording.other, wording.other_is_right, reach, disputed) for wording in pair], disputed


def signal_aurocs(wordings: Sequence[Wording], signals: dict[str, list[float]]) -> list[dict[str, Any]]:
    """AUROC of each signal against truth, over all graded completions, and within prompts.

    Within: the probability that of a right and a wrong completion of one prompt the right one has more of the signal.
    It is what a reward can use, since advantages compare completions of one prompt. None where there is no such pair.

    Args:
        wordings: labelled or not.
        signals: name → a value a completion, in order; NaN for an unknown one.
    """
    groups = [wording.truth for wording in wordings]
    rows = []
    for name, values in signals.items():
        rest = iter(values)
        held = [[(next(rest), verdict) for verdict in group] for group in groups]
        known = [[(v, ok == 1) for v, ok in group if ok is not None and v == v] for group in held]
        everything = [pair for group in known for pair in group]
        rows.append(
            {
                "signal": name,
                "completions": len(everything),
                "auroc": auroc(*zip(*everything, strict=True)) if everything else None,
                "within": _within(known),
            }
        )
    return rows


def vote_shares_of(wordings: Sequence[Wording]) -> list[float]:
    """Share of its prompt's completions that give a completion's answer, for each; 0 without an answer."""
    return [share for wording in wordings for share in shares_among(wording.keys, wording.keys)]


def _within(groups: Sequence[Sequence[tuple[float, bool]]]) -> float | None:
    wins = pairs = 0.0
    for group in groups:
        right = sum(ok for _, ok in group)
        found = auroc(*zip(*group, strict=True)) if group else None
        if found is not None:
            count = right * (len(group) - right)
            wins, pairs = wins + found * count, pairs + count
    return wins / pairs if pairs else None


def _share(values: Sequence[float], seed: int) -> Share:
    return Share(fmean(values), *mean_interval(values, seed=seed), len(values))


def _noise(prompts: Sequence[Sequence[tuple[Wording, Sequence[float | None], bool | None]]], seed: int) -> RewardNoise:
    """Of the rewards of each prompt's wordings, with their labels."""
    rows = [row for prompt in prompts for row in prompt]
    pseudo = [value for _, rewards, _ in rows for value in rewards]
    truth = [value for wording, *_ in rows for value in wording.truth]
    tables = [pooled([confusion(rewards, w.truth) for w, rewards, _ in prompt]) for prompt in prompts]
    known = [[float(right) for *_, right in prompt if right is not None] for prompt in prompts]
    means = [fmean(verdicts) for verdicts in known if verdicts]
    return RewardNoise(
        label_accuracy=_share(means, seed) if means else None,
        accuracy=reward_accuracy(pseudo, truth),
        youden=youden_j(pooled(tables)),
        youden_by_prompt=youden_by_prompt(tables, seed),
        bias=bias_triple(pseudo, truth, vote_shares_of([wording for wording, *_ in rows])),
    )


def _stake(
    wording: Wording, label: str | None, right: bool | None, reach: float | None = None, disputed: bool = False
) -> Stake:
    n = len(wording.keys)
    wrong: dict[str, int] = {}
    for key, verdict in zip(wording.keys, wording.truth, strict=True):
        if key is not None and verdict == 0:
            wrong[key] = wrong.get(key, 0) + 1
    return Stake(
        right=right_share(wording),
        rival=max(wrong.values(), default=0) / n,
        label_is_right=right,
        label=wording.keys.count(label) / n if label is not None else 0.0,
        reach=reach,
        disputed=disputed,
    )
