"""The sign of what a reward does to accuracy, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from selfrl.eval.statistics import difference_interval
from selfrl.forecast.answered_prompts import Wording
from selfrl.forecast.contest import Balance, Stake, balance, end
from selfrl.forecast.truth_figures import crossed_stakes, own_stake

Sign = Literal["gain", "none", "loss"]
NO_CHANGE = 0.015
SURE = 0.9


@dataclass(frozen=True)
class Kind:
    """Prompts whose contests end together.

    Args:
        name: what they have in common.
        share: of all prompts.
        contested: of these, those that are contested.
        balance: of their contests; None without any.
    """

    name: str
    share: float
    contested: float
    balance: Balance | None


@dataclass(frozen=True)
class Outlook:
    """What a reward does to accuracy if training goes on to where it leads.

    Args:
        sign: "gain" or "loss" of more than 1.5 points, "none" between.
        firm: whether the sign is the same at either end of every interval.
        start: share of right answers now.
        end: where it leads.
        worst: the end if every open contest is lost.
        best: if every one is won.
        kinds: what decides.
    """

    sign: Sign
    firm: bool
    start: float
    end: float
    worst: float
    best: float
    kinds: list[Kind]


def majority_outlook(pairs: Sequence[Sequence[Wording]], seed: int = 0) -> Outlook | None:
    """The outlook of majority vote on the first wordings; None without labels."""
    return outlook({"all": [[own_stake(wordings[0])] for wordings in pairs if wordings[0].labelled]}, seed)


def contrastive_outlook(pairs: Sequence[Sequence[Wording]], seed: int = 0) -> Outlook | None:
    """The outlook of contrastive agreement on both wordings; None without labelled pairs."""
    kinds: dict[str, list[Sequence[Stake]]] = {"labels agree": [], "labels differ": []}
    for pair in pairs:
        if len(pair) > 1 and pair[0].labelled:
            stakes, disputed = crossed_stakes(pair)
            kinds["labels differ" if disputed else "labels agree"].append(stakes)
    return outlook(kinds, seed)


def outlook(kinds: Mapping[str, Sequence[Sequence[Stake]]], seed: int = 0) -> Outlook | None:
    """The outlook of prompts, by kinds whose contests end together; None without any prompt.

    Its `end` follows each kind's balance, whatever its interval; `worst` and `best` follow the intervals: where one
    holds 0, its contests may end either way. The sign is that of `end − start`. It is firm if `worst` and `best` give
    the same one, and for a gain or a loss also the 95 % interval over prompts of the nearer of both.

    Args:
        kinds: name → the stakes of each prompt, one a wording.
        seed: of the resampling.

    Example:
        >>> sharp, torn = [Stake(0.7, 0.1, True, 0.7)], [Stake(0.4, 0.5, False, 0.5)]
        >>> [outlook({"all": [sharp] * 20 + [torn] * count}).sign for count in (0, 15, 40)]
        ['gain', 'none', 'loss']
    """
    start = [fmean(stake.right for stake in stakes) for prompts in kinds.values() for stakes in prompts]
    if not start:
        return None
    found: list[Kind] = []
    ends: dict[str, list[float]] = {"middle": [], "worst": [], "best": []}
    for name, prompts in kinds.items():
        if not prompts:
            continue
        lean = balance(prompts, seed)
        contested = fmean(any(stake.contested for stake in stakes) for stakes in prompts)
        found.append(Kind(name, len(prompts) / len(start), contested, lean))
        won = dict.fromkeys(ends, True) if lean is None else _won(lean)
        for which, values in ends.items():
            values += [end(stakes, won[which]) for stakes in prompts]
    changes = {which: fmean(values) - fmean(start) for which, values in ends.items()}
    sign = sign_of(changes["middle"])
    low, high = difference_interval(start, ends["worst" if sign == "gain" else "best"], seed=seed)
    firm = sign == sign_of(changes["worst"]) == sign_of(changes["best"])
    firm = firm and {"gain": low > 0, "loss": high < 0, "none": True}[sign]
    means = {which: fmean(values) for which, values in ends.items()}
    return Outlook(sign, firm, fmean(start), means["middle"], means["worst"], means["best"], found)


def _won(lean: Balance) -> dict[str, bool]:
    return {"middle": lean.value > 0, "worst": lean.low > 0, "best": lean.high >= 0}


def sign_of(change: float) -> Sign:
    """Of a change of accuracy, in shares.

    >>> sign_of(0.02), sign_of(-0.01), sign_of(-0.02)
    ('gain', 'none', 'loss')
    """
    return "gain" if change > NO_CHANGE else "loss" if change < -NO_CHANGE else "none"


def confidence_sign(within: float) -> Sign:
    """What a reward for confidence alone leads to: a loss, however well confidence tells right from wrong now.

    It has no label to end at: what is surest goes on becoming surer. Self-certainty took the packaged model from 67 to
    33 % in 200 steps, though at the start it told right from wrong (AUROC within prompts 0.61). Where a signal does so
    well (0.9 or more) the sign is "none": a rise may come first.

    Args:
        within: AUROC within prompts, see [`selfrl.forecast.truth_figures.signal_aurocs`].

    Example:
        >>> confidence_sign(0.7), confidence_sign(0.95)
        ('loss', 'none')
    """
    return "none" if within >= SURE else "loss"
