"""Reward for agreeing with the majority."""

from __future__ import annotations

from collections.abc import Sequence

from selfrl.answers.keys import KeyMode
from selfrl.answers.majority import Ties
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.vote_rule import Voters, VoteRule, checked_voters, shares_among


def majority_rewards(
    keys: Sequence[str | None], label: str | None, ballots: Sequence[str | None] = ()
) -> list[float | None]:
    """r_i = 1[key_i = label]; with ballots, soft: r_i = share of key_i among these. No label: all None.

    >>> majority_rewards(["4", "4", "5", None], "4")
    [1.0, 1.0, 0.0, 0.0]
    >>> majority_rewards(["4", "5", None], "4", ballots=["4", "4", "5", None])
    [0.5, 0.25, 0.0]
    """
    if label is None:
        return [None] * len(keys)
    if ballots:
        return [*shares_among(keys, ballots)]
    return [float(key == label) for key in keys]


class MajorityVoteReward(PromptGroupReward):
    r"""Agreement with the majority: of the group, TTRL (2504.16084), SRT (2505.21444), or of a teacher.

    For completions y_1..y_G of a prompt, y* = mode{ans(y_i)} and r_i = 1[ans(y_i) = y*]; with `soft`, r_i is the
    share of y_i's answer among all G, and further voters if there are any. Answers are compared by canonical key,
    merged symbolically where spelling does not decide. A group is all completions of equal prompts, over all processes.

    Abstains (None): the whole group if it has no label (nobody answers, a tie under "abstain", `min_votes`,
    `min_margin`) or agrees beyond `max_agreement`; a completion whose answer is unsafe to read, or could not be
    compared with the label in time. A completion without an answer gets 0.

    With `voters="teacher"`, y* is the majority of a slowly moving teacher's completions: Co-rewarding II (2508.00410).
    This needs selfrl's trainers with `teacher=TeacherConfig()`.

    Args:
        soft: reward shares instead of agreement.
        voters: who elects the label, "group" or "teacher".
        ties: "first" gives a tie to the answer seen first, as the authors do; "abstain" to nobody.
        min_votes: fewest votes that make a label.
        min_margin: smallest lead over the runner-up that makes a label.
        max_agreement: a group whose winner has a larger share of all completions abstains: its advantages would only
            blow up the last dissenters.
        mode: "canonical", or "raw": answers compared as strings, as the Co-rewarding authors do.

    Raises:
        ValueError: for bad options, or without a teacher to hear.

    Example:
        >>> reward = MajorityVoteReward()
        >>> reward(prompts=["2+2?"] * 3, completions=[r"\boxed{4}", r"\boxed{4.0}", r"\boxed{5}"])
        [1.0, 1.0, 0.0]
    """

    needs_texts = False

    def __init__(
        self,
        soft: bool = False,
        voters: Voters = "group",
        *,
        ties: Ties = "first",
        min_votes: int = 1,
        min_margin: int = 0,
        max_agreement: float | None = None,
        mode: KeyMode = "canonical",
    ) -> None:
        if soft and voters == "teacher":
            raise ValueError("`soft` rewards shares of the group's own vote: drop it, or let the group vote.")
        self.soft = soft
        self.voters = checked_voters(voters)
        self.needs_teacher = voters == "teacher"
        self.rule = VoteRule(ties, min_votes, min_margin, max_agreement, mode)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See [`majority_rewards`]."""
        label = None if self.rule.gated(group.keys) else group.label
        return majority_rewards(group.keys, label, group.ballots if self.soft else ())
