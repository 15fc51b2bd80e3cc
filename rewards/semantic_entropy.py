"""Reward from the entropy of a group's meanings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from selfrl.answers.keys import KeyMode
from selfrl.rewards.contract import Metrics
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.vote_rule import VoteRule, count_entropy, shares_among


def semantic_entropy(keys: Sequence[str | None]) -> float:
    """H = −Σ p(c) log p(c) over clusters of equal keys, in nats; a completion without a key is its own cluster.

    >>> round(semantic_entropy(["4", "4", "5", "5"]), 4), round(semantic_entropy([None, None]), 4)
    (0.6931, 0.6931)
    """
    counts = Counter(key for key in keys if key is not None)
    sizes = [*counts.values(), *[1] * sum(key is None for key in keys)]
    return count_entropy(sizes)


def semantic_entropy_rewards(
    keys: Sequence[str | None], low: float = 0.0, high: float | None = None
) -> list[float | None]:
    """r_i = p(c_i), the share of y_i's cluster; all None unless low < H < min(high, log G).

    >>> semantic_entropy_rewards(["4", "4", "5", None])
    [0.5, 0.5, 0.25, 0.0]
    >>> semantic_entropy_rewards(["4", "5", "6"])
    [None, None, None]
    """
    entropy = semantic_entropy(keys)
    bound = min(math.log(len(keys)), math.inf if high is None else high)
    # all-different sums to log G only up to rounding
    if entropy <= low + 1e-12 or entropy >= bound - 1e-12:
        return [None] * len(keys)
    return [*shares_among(keys, keys)]


class SemanticEntropyReward(PromptGroupReward):
    r"""Share of a completion's meaning in its group: EMPO (2504.05812).

    Completions of a prompt are clustered by equivalent answers; r_i = p(c_i). Prompts that are too easy or too hard
    are left out by the gate low < H < high on the entropy H = −Σ p log p. As in the authors' code, groups with
    H ≥ log G, where no two agree, never count; groups with H ≤ 0, where all agree, have nothing to learn from.

    Abstains (None): a gated group; a completion whose answer is unsafe to read, or could not be compared with the
    most common one in time. A completion without an answer is a cluster of its own and gets 0.

    Args:
        low: lower bound of H in nats, exclusive.
        high: upper bound of H in nats, exclusive; log G by default, and never above it.
        mode: "canonical", or "raw": answers compared as strings.

    Raises:
        ValueError: for bounds that no entropy lies between.

    Example:
        >>> reward = SemanticEntropyReward()
        >>> reward(prompts=["2+2?"] * 4, completions=[r"\boxed{4}", r"\boxed{4}", r"\boxed{5}", "?"])
        [0.5, 0.5, 0.25, 0.0]
    """

    elects = False
    needs_texts = False

    def __init__(self, low: float = 0.0, high: float | None = None, mode: KeyMode = "canonical") -> None:
        if low < 0 or (high is not None and high <= low):
            raise ValueError(f"SemanticEntropyReward has low = {low}, high = {high}: it needs 0 <= low < high.")
        self.low, self.high = low, high
        self.rule = VoteRule(mode=mode)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See [`semantic_entropy_rewards`]."""
        return semantic_entropy_rewards(group.keys, self.low, self.high)

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """Mean entropy of the groups, in nats."""
        return {"semantic_entropy": sum(semantic_entropy(group.keys) for group in groups) / len(groups)}
