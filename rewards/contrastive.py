"""Reward for agreeing with the majority on a paraphrase."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from selfrl.answers.keys import KeyMode
from selfrl.answers.majority import Ties
from selfrl.rewards.contract import Batch, Metrics, groups_of
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.vote_rule import Voters, VoteRule, checked_voters


class ContrastiveAgreementReward(PromptGroupReward):
    r"""Agreement with the majority on a paraphrase: Co-rewarding I (2508.00410).

    A prompt x and its paraphrase x' elect y_v and y'_v, and reward each other: r_i = 1[ans(y_i) = y'_v] and
    r'_i = 1[ans(y'_i) = y_v]. A model that agrees with itself for a shallow reason, such as "always 0", finds no
    support in the other wording as easily as in its own.

    Views are joined on the columns `pair_id` and `view` (0 and 1), over all processes. selfrl's trainers keep both
    views in one batch; under TRL's own, interleave them with `shuffle_dataset=False` and an even number of prompts a
    batch. Both views' answers are merged symbolically together before the vote.

    With `voters="teacher"`, y_v and y'_v are the majorities of a slowly moving teacher's completions: Co-rewarding III.
    This needs selfrl's trainers with `teacher=TeacherConfig()`.

    Abstains (None): a view whose opposite has no label, or that itself agrees beyond `max_agreement`; a completion
    whose answer is unsafe to read, or could not be compared with the label in time. A completion without an answer
    gets 0.

    Raises:
        ValueError: without the columns, for a view other than 0 or 1, for a pair with one view in the batch, or
            without a teacher to hear.

    Args:
        voters: who elects the labels, "group" or "teacher".
        ties: "first" gives a tie to the answer seen first, as the authors do; "abstain" to nobody.
        min_votes: fewest votes that make a label.
        min_margin: smallest lead over the runner-up that makes a label.
        max_agreement: a view whose own winner has a larger share of all its completions abstains.
        mode: "canonical", or "raw": answers compared as strings, as the authors do.

    Example:
        >>> reward = ContrastiveAgreementReward()
        >>> reward(
        ...     prompts=["2+2?"] * 2 + ["Add 2 to 2."] * 2,
        ...     completions=[r"\boxed{4}", r"\boxed{5}", r"\boxed{4}", r"\boxed{4}"],
        ...     pair_id=[7] * 4,
        ...     view=[0, 0, 1, 1],
        ... )
        [1.0, 0.0, 1.0, 1.0]
    """

    columns = ("pair_id", "view")
    needs_texts = False

    def __init__(
        self,
        voters: Voters = "group",
        *,
        ties: Ties = "first",
        min_votes: int = 1,
        min_margin: int = 0,
        max_agreement: float | None = None,
        mode: KeyMode = "canonical",
    ) -> None:
        self.voters = checked_voters(voters)
        self.needs_teacher = voters == "teacher"
        self.rule = VoteRule(ties, min_votes, min_margin, max_agreement, mode)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See [`selfrl.rewards.majority_vote.majority_rewards`]; the label is the other view's."""
        return majority_rewards(group.keys, None if self.rule.gated(group.keys) else group.label)

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """`cross_view_agreement`: share of the pairs with two labels whose labels agree."""
        pairs = zip(groups[::2], groups[1::2], strict=True)
        agreed = [one.label == two.label for one, two in pairs if one.label is not None and two.label is not None]
        return {"cross_view_agreement": sum(agreed) / len(agreed)} if agreed else {}

    def group_ids(self, batch: Batch) -> Sequence[Hashable]:
        """(pair_id, view) of each completion."""
        return list(zip(batch.column("pair_id"), batch.column("view"), strict=True))

    def questions(self, ids: Sequence[Any]) -> Iterable[tuple[tuple[int, ...], ...]]:
        """Both views of each pair, view 0 first."""
        for row, (pair, view) in enumerate(ids):
            if pair is None or pair != pair:  # would join strangers
                raise ValueError(f"Row {row} of the batch has no `pair_id`: give each pair an id of its own.")
            if view not in (0, 1):
                raise ValueError(f"Pair {pair!r} has the view {view!r}: `view` must be 0 or 1.")
        views = {ids[rows[0]]: rows for rows in groups_of(ids)}
        for pair in dict.fromkeys(pair for pair, _ in ids):
            if (pair, 0) not in views or (pair, 1) not in views:
                raise ValueError(
                    f"Pair {pair!r} has only one view in this batch: train with selfrl.trainers.GRPOTrainer or "
                    "RLOOTrainer, or interleave the views and set shuffle_dataset=False."
                )
            yield views[pair, 0], views[pair, 1]
