"""Positive labels under consensus alone, negative labels for rare and uncertain answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from selfrl.answers.keys import KeyMode
from selfrl.rewards.contract import Batch, Metrics
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.vote_rule import VoteRule


class SelectiveLabels(NamedTuple):
    """What a group elects.

    Args:
        positive: the label, or None without a consensus.
        negative: answers that are held to be wrong.
        shares: of each answer among all ballots.
        excess: mean entropy of each answer's completions above the group's, in nats.
    """

    positive: str | None
    negative: frozenset[str]
    shares: dict[str, float]
    excess: dict[str, float]


@dataclass(frozen=True)
class Selection:
    """When an answer is a label.

    Args:
        consensus: least share of the positive label.
        margin: its lead over the runner-up's share must be above this.
        rare: a negative label has a share below this.

    Raises:
        ValueError: for a share outside 0 and 1.
    """

    consensus: float = 0.5
    margin: float = 0.15
    rare: float = 0.15

    def __post_init__(self) -> None:
        for name in ("consensus", "margin", "rare"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it is a share, between 0 and 1.")

    def labels(
        self,
        keys: Sequence[str | None],
        entropies: Sequence[float | None],
        top: str | None,
        ballots: Sequence[str | None] = (),
    ) -> SelectiveLabels:
        """Labels of a group.

        Args:
            keys: of its completions.
            entropies: mean token entropy of each in nats; one that was not scored (None) is in no mean.
            top: the answer with the most votes; None if that is not certain.
            ballots: what votes; the keys by default.

        Example:
            >>> keys, entropies = [*"44444", "7", "9", None], [.2, .2, .3, .2, .1, .9, .1, .4]
            >>> labels = Selection().labels(keys, entropies, top="4")
            >>> labels.positive, set(labels.negative), round(labels.excess["7"], 6)
            ('4', {'7'}, 0.6)
        """
        votes = ballots or keys
        counts = Counter(key for key in votes if key is not None)
        shares = {key: count / len(votes) for key, count in counts.items()}
        known = [(key, entropy) for key, entropy in zip(keys, entropies, strict=True) if entropy is not None]
        mean = fmean(entropy for _, entropy in known) if known else 0.0
        excess = {
            key: math.fsum(of_class) / len(of_class) - mean
            for key in shares
            if (of_class := [entropy for other, entropy in known if other == key])
        }
        positive = None
        if top is not None and shares[top] >= self.consensus:
            others = [count for key, count in counts.items() if key != top]
            # of counts: a difference of shares is rounded, and would not be equal to its bound
            positive = top if not others or (counts[top] - max(others)) / len(votes) > self.margin else None
        negative = frozenset(
            key for key, share in shares.items() if key != positive and share < self.rare and excess.get(key, -1.0) >= 0
        )
        return SelectiveLabels(positive, negative, shares, excess)


class SelectiveComplementaryReward(PromptGroupReward):
    r"""A positive label where the group agrees, negative labels for its rare and uncertain answers: SCRL (2603.19880).

    With shares p(a) of the group, mean token entropies H_a of each answer's completions and H̄ of all: y⁺ is the most
    common answer if p ≥ `consensus` and its lead is above `margin`; negative is every other answer with p < `rare` and
    H_a ≥ H̄, also where there is no y⁺. "binary" rewards 1, −1 and 0 for the rest; "continuous"

        y⁺: `positive_scale` · p − λ(H_a − H̄),  negative: −`negative_scale` · (rare − p) − λ(H_a − H̄),
        others: −λ(H_a − H̄).

    A completion without an answer gets −1. The authors' launch script has "continuous" with 0.375, 0.125 and 0.125.

    Needs the signal `entropy`, which selfrl's trainers compute; a missing one is an error, as it would make every
    rare answer count as uncertain. Logged: `positive`, the share of groups with y⁺, and `negatives`, the mean number of
    negative answers.

    Abstains (None): a completion whose answer is unsafe to read, or may or may not be the label.

    Args:
        consensus: τ_pos.
        margin: τ_marg.
        rare: τ_low.
        form: "binary" or "continuous".
        positive_scale: α₊, of "continuous".
        negative_scale: α₋.
        entropy_weight: λ.
        mode: "canonical", or "raw": answers compared as strings.

    Raises:
        ValueError: for options that do not fit; in a call, without entropies.

    Example:
        >>> import torch
        >>> reward = SelectiveComplementaryReward()
        >>> answers = [rf"\boxed{{{a}}}" for a in "44444"] + [r"\boxed{7}", r"\boxed{9}", "?"]
        >>> entropy = [torch.tensor([h]) for h in (.2, .2, .3, .2, .1, .9, .1, .4)]
        >>> reward(["2+2?"] * 8, answers, entropy=entropy)
        [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0, -1.0]
    """

    signals = ("entropy",)
    needs_texts = False

    def __init__(
        self,
        consensus: float = 0.5,
        margin: float = 0.15,
        rare: float = 0.15,
        *,
        form: str = "binary",
        positive_scale: float = 1.0,
        negative_scale: float = 1.0,
        entropy_weight: float = 0.1,
        mode: KeyMode = "canonical",
    ) -> None:
        if form not in ("binary", "continuous"):
            raise ValueError(f"`form` is {form!r}: it must be binary or continuous.")
        self.selection = Selection(consensus, margin, rare)
        self.form, self.entropy_weight = form, entropy_weight
        self.positive_scale, self.negative_scale = positive_scale, negative_scale
        self.rule = VoteRule(mode=mode)

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """The mean entropy of each completion."""
        means = [None if values is None else values.double().mean().item() for values in batch.column("entropy")]
        return {"entropy": means}

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        labels = self._labels(group)
        return [self._reward(key, labels) for key in group.keys]

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """Share of groups with a positive label, and the mean number of negative ones."""
        labels = [self._labels(group) for group in groups]
        return {
            "positive": fmean(each.positive is not None for each in labels),
            "negatives": fmean(len(each.negative) for each in labels),
        }

    def _labels(self, group: Group) -> SelectiveLabels:
        return self.selection.labels(group.keys, group.columns["entropy"], group.label, group.ballots)

    def _reward(self, key: str | None, labels: SelectiveLabels) -> float:
        if key is None:
            return -1.0
        if self.form == "binary":
            return float(key == labels.positive) - float(key in labels.negative)
        reward = -self.entropy_weight * labels.excess.get(key, 0.0)
        if key == labels.positive:
            reward += self.positive_scale * labels.shares[key]
        elif key in labels.negative:
            reward -= self.negative_scale * (self.selection.rare - labels.shares[key])
        return reward
