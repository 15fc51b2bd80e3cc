"""Share of an answer less the group's entropy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from selfrl.answers.keys import KeyMode
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.vote_rule import VoteRule, count_entropy, shares_among


def normalised_entropy(keys: Sequence[str | None]) -> float:
    """H / ln M of the M distinct answers among those that answer, in 0..1; 0 for one answer or none.

    >>> round(normalised_entropy([*"xxxxyyyz"]), 6), normalised_entropy(["x", "x", None])
    (0.88686, 0.0)
    """
    counts = Counter(key for key in keys if key is not None)
    if len(counts) < 2:
        return 0.0
    return count_entropy(counts.values()) / math.log(len(counts))


class SoftVote(PromptGroupReward):
    r"""Share of a completion's answer less a multiple of the group's entropy: TTRV (2510.06783).

    r_i = p(a_i) − `entropy_weight` · H / ln M, where H is the entropy of the M distinct answers. **The second term is
    the same for a whole group, so it cancels exactly under a group baseline**: with GRPO and RLOO this is the soft vote
    of [`selfrl.rewards.MajorityVoteReward`], and only a baseline over the whole batch (`scale_rewards` does not make
    one) would tell them apart. It is here under its paper's name, with its figures.

    The empty answer, which may win in the authors' code, has no vote; a completion without an answer has p = 0.

    Abstains (None): a group that nobody answers; a completion whose answer is unsafe to read, or could not be compared
    with the most common one in time.

    Args:
        entropy_weight: of H / ln M.
        mode: "canonical", or "raw": answers compared as strings.

    Example:
        >>> reward = SoftVote()
        >>> [round(r, 4) for r in reward(["?"] * 3, [r"\boxed{4}", r"\boxed{4}", r"\boxed{5}"])]
        [-0.0221, -0.0221, -0.3554]
    """

    needs_texts = False

    def __init__(self, entropy_weight: float = 0.75, mode: KeyMode = "canonical") -> None:
        self.entropy_weight = entropy_weight
        self.rule = VoteRule(mode=mode)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        if not any(key is not None for key in group.ballots):
            return [None] * len(group.keys)
        penalty = self.entropy_weight * normalised_entropy(group.ballots)
        return [share - penalty for share in shares_among(group.keys, group.ballots)]
