"""Votes weighed by the confidence of the steps that lead to them, for the whole group or for parts of it."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from selfrl.answers.keys import KeyMode
from selfrl.answers.majority import Pairs
from selfrl.rewards.contract import Batch
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.spans import check_per_token
from selfrl.rewards.vote_rule import VoteRule

CONFIDENCES = {"self_certainty": "self_certainty", "probability": "log_prob"}  # name → signal


def step_mean(values: Sequence[float], texts: Sequence[str], boundary: str = "\n\n") -> float:
    """Mean over steps of the mean of their tokens' values; a step ends with the token that completes `boundary`.

    Raises:
        ValueError: for no values, or texts that are not one a token.

    Example:
        >>> round(step_mean([.1, .3, .5, .7, .6], ["so", ".\\n\\n", "it", " is", " 4"]), 4)
        0.4
    """
    if not values or len(values) != len(texts):
        raise ValueError(f"{len(values)} values stand for {len(texts)} tokens: give each token one, and one at least.")
    steps: list[list[float]] = [[]]
    said = ""
    for value, text in zip(values, texts, strict=True):
        if boundary in said:
            steps.append([])
            said = ""
        steps[-1].append(value)
        said += text
    return fmean(map(fmean, steps))


def weighted_vote(keys: Sequence[str | None], weights: Sequence[float], undecided: Pairs = ()) -> str | None:
    """arg max_a Σ_{i: a_i = a} w_i, the first on ties; None without an answer that weighs, or if keys that could
    not be compared might turn it.

    Args:
        keys: None where there is no answer; its weight goes with it.
        weights: of each, at least 0.
        undecided: pairs of keys that may or may not mean the same.

    Raises:
        ValueError: for a weight below 0, or that is no number: a sum of such would punish votes.

    Example:
        >>> weighted_vote(["8", "8", "8", "5", "3"], [.5, .4, .6, 2.4, .3])
        '5'
        >>> weighted_vote([None, "8"], [9.0, .1]), weighted_vote([None], [1.0])
        ('8', None)
    """
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"A vote weighs {weight}: weights are numbers from 0.")
    score: dict[str, float] = defaultdict(float)
    for key, weight in zip(keys, weights, strict=True):
        if key is not None:
            score[key] += weight
    if not any(score.values()):
        return None
    winner = max(score, key=score.__getitem__)
    for pair in undecided:
        for rival in pair & score.keys() - {winner}:
            allies = {key for other in undecided if rival in other for key in other} & score.keys() - {winner}
            if sum(score[key] for key in allies | {rival}) >= score[winner]:
                return None
    return winner


def part_labels(
    keys: Sequence[str | None], weights: Sequence[float], undecided: Pairs = (), *, balance: float = 0.7, seed: str = ""
) -> list[str | None]:
    """A label for each completion: that of its part of the group, elected by a random half of the whole group.

    For each size s of 1, 2, 4, … up to G, the group is cut into parts of s completions in their order, each with a half
    of its own. With r̂ the mean agreement with the labels and d̂ the distinct labels among the distinct answers, the size
    is taken that is on the front of no other's being better in both, and has the least
    √(balance (1 − r̂)² + (1 − balance)(1 − d̂)²). The authors choose one size for a whole batch; here each group has its
    own.

    Args:
        keys: of the group.
        weights: of their votes.
        undecided: pairs of keys that could not be compared.
        balance: λ.
        seed: of the halves.

    Example:
        >>> part_labels(["8", "8", "8", "5"], [1.0] * 4, balance=1.0)
        ['8', '8', '8', '8']
    """
    count, rng = len(keys), random.Random(seed)
    answers = len({key for key in keys if key is not None})
    found: list[tuple[float, float, list[str | None]]] = []
    for size in [2**i for i in range(count.bit_length())]:
        labels: list[str | None] = []
        for start in range(0, count, size):
            half = rng.sample(range(count), max(count // 2, 1))
            label = weighted_vote([keys[i] for i in half], [weights[i] for i in half], undecided)
            labels += [label] * min(size, count - start)
        agreed = fmean(key is not None and key == label for key, label in zip(keys, labels, strict=True))
        found.append((agreed, len(set(labels) - {None}) / max(answers, 1), labels))
    front = [one for one in found if not any(r >= one[0] and d >= one[1] and (r, d) != one[:2] for r, d, _ in found)]
    return min(front, key=lambda one: balance * (1 - one[0]) ** 2 + (1 - balance) * (1 - one[1]) ** 2)[2]


class StepConfidenceVote(PromptGroupReward):
    r"""Agreement with a vote weighed by confidence: SCOPE (2512.15146), with the sign right.

    y* = arg max_a Σ_{i: a_i = a} c_i and r_i = 1[a_i = y*], where c_i is the mean over the steps of completion i of the
    mean confidence of their tokens. The authors take −mean log p over the returned tokens; with the sampled token alone
    that is its surprisal, which grows as the model grows less sure. Here it is

    - "self_certainty": −mean log p over the whole vocabulary, less log V: KL(U‖p), 0 for no certainty at all;
    - "probability": the sampled token's mean log p, as exp of a completion's: its probability a token.

    Both are at least 0, as weights must be: sums of negative ones would punish an answer for each of its votes.

    With `parts`, the group is cut into parts with a label each, see [`part_labels`], for more diverse labels; the vote
    that is logged is that of the whole group.

    Needs the signals, which selfrl's trainers compute.

    Abstains (None): a group or part without a label; a completion whose answer is unsafe to read, or could not be
    compared with the label in time. A completion without an answer gets 0; one that was not scored has no vote.

    Args:
        confidence: "self_certainty" or "probability".
        boundary: text that ends a step; a blank line, in the paper.
        parts: whether parts of the group have labels of their own.
        balance: λ of the choice of their size.
        mode: "canonical", or "raw": answers compared as strings.

    Raises:
        ValueError: for options that do not fit; in a call, without the signals.

    Example:
        >>> import torch
        >>> sure = [torch.tensor([c]) for c in (.5, .4, .6, 2.4, .3)]
        >>> answers = [rf"\boxed{{{a}}}" for a in "88853"]
        >>> StepConfidenceVote()(["?"] * 5, answers, self_certainty=sure, token_texts=[[a] for a in answers])
        [0.0, 0.0, 0.0, 1.0, 0.0]
    """

    elects = False  # further voters have no confidence
    needs_texts = False

    def __init__(
        self,
        confidence: str = "self_certainty",
        *,
        boundary: str = "\n\n",
        parts: bool = False,
        balance: float = 0.7,
        mode: KeyMode = "canonical",
    ) -> None:
        if confidence not in CONFIDENCES:
            raise ValueError(f"`confidence` is {confidence!r}: it must be {' or '.join(CONFIDENCES)}.")
        if not boundary:
            raise ValueError("`boundary` is empty: name the text that ends a step.")
        if not 0 <= balance <= 1:
            raise ValueError(f"`balance` is {balance}: it must lie between 0 and 1.")
        self.confidence, self.boundary, self.parts, self.balance = confidence, boundary, parts, balance
        self.signals = (CONFIDENCES[confidence], "token_texts")
        self.rule = VoteRule(mode=mode)

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """The confidence of each completion; 0 for one that was not scored."""
        signal, texts = (batch.column(name) for name in self.signals)
        return {"weight": [self._weight(*row) for row in zip(signal, texts, strict=True)]}

    def _weight(self, values: Any, texts: Sequence[str]) -> float:
        if values is None or len(values) == 0:
            return 0.0
        check_per_token(self.signals[0], values, texts)
        mean = step_mean(values.double().tolist(), texts, self.boundary)
        return math.exp(mean) if self.confidence == "probability" else max(mean, 0.0)  # rounding may go below

    def elect(
        self, ballots: Sequence[str | None], undecided: Pairs, columns: Mapping[str, Sequence[Any]]
    ) -> str | None:
        """See [`weighted_vote`]."""
        return weighted_vote(ballots, columns["weight"], undecided)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        if not self.parts:
            return majority_rewards(group.keys, group.label)
        weights = group.columns["weight"]
        seed = f"{group.keys}/{weights}"  # other halves for other completions, the same on a resume
        labels = part_labels(group.keys, weights, group.undecided, balance=self.balance, seed=seed)
        return [majority_rewards([key], label)[0] for key, label in zip(group.keys, labels, strict=True)]
