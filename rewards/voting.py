"""Rewards from votes among a model's own answers: majority vote and contrastive agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from selfrl.answers import merge_keys, vote
from selfrl.answers.keys import KeyMode, ReadAnswer
from selfrl.answers.majority import Ties
from selfrl.conversation import prompt_id
from selfrl.distributed import over_all_processes
from selfrl.rewards.ballots import Ballot, agreement, label_accuracy, read_ballots, settled, vote_metrics
from selfrl.rewards.groups import Metrics, consecutive_groups

Voters = Literal["group", "teacher"]


@dataclass(frozen=True)
class VoteRule:
    """How a group elects its label.

    Args:
        ties: "first" (the authors' behaviour) or "abstain".
        min_votes: fewest votes that make a label.
        min_margin: smallest lead over the runner-up that makes a label.
        max_agreement: a group whose winner has a larger share of all completions gives no reward: its advantages
            would only blow up the last dissenters.
        mode: "raw" compares answers as strings, as the Co-rewarding authors do, and merges nothing.

    Raises:
        ValueError: for a value that no vote could use.
    """

    ties: Ties = "first"
    min_votes: int = 1
    min_margin: int = 0
    max_agreement: float | None = None
    mode: KeyMode = "canonical"

    def __post_init__(self) -> None:
        for name, value, words in (("ties", self.ties, get_args(Ties)), ("mode", self.mode, get_args(KeyMode))):
            if value not in words:
                raise ValueError(f"`{name}` is {value!r}: it must be one of {words}.")
        for name, count, least in (("min_votes", self.min_votes, 1), ("min_margin", self.min_margin, 0)):
            if count < least:
                raise ValueError(f"`{name}` is {count}: it must be at least {least}.")
        if self.max_agreement is not None and not 0 < self.max_agreement <= 1:
            raise ValueError(f"`max_agreement` is {self.max_agreement}: it is a share, above 0 and at most 1.")

    def label(self, keys: Sequence[str | None]) -> str | None:
        """The group's label, or None."""
        return vote(keys, ties=self.ties, min_votes=self.min_votes, min_margin=self.min_margin)

    def gated(self, keys: Sequence[str | None]) -> bool:
        """Whether the group agrees more than `max_agreement`."""
        return self.max_agreement is not None and agreement(keys) > self.max_agreement

    def merged(self, *parts: Sequence[ReadAnswer]) -> list[list[str | None]]:
        """The keys of each part's answers, all compared with each other: one spelling a meaning."""
        keys = [answer.key for part in parts for answer in part]
        rest = iter(keys if self.mode == "raw" else merge_keys(keys))
        return [[next(rest) for _ in part] for part in parts]


def cluster_shares(keys: Sequence[str | None]) -> list[float]:
    """Share of each completion's key among all completions; 0 without a key.

    >>> cluster_shares(["4", "4", "5", None])
    [0.5, 0.5, 0.25, 0.0]
    """
    counts = Counter(keys)
    return [0.0 if key is None else counts[key] / len(keys) for key in keys]


def majority_rewards(keys: Sequence[str | None], label: str | None, soft: bool = False) -> list[float | None]:
    """r_i = 1[key_i = label]; soft: r_i = share of key_i among all completions. No label: all None.

    >>> majority_rewards(["4", "4", "5", None], "4")
    [1.0, 1.0, 0.0, 0.0]
    >>> majority_rewards(["4", "4", "5", None], "4", soft=True)
    [0.5, 0.5, 0.25, 0.0]
    """
    if label is None:
        return [None] * len(keys)
    if soft:
        return [*cluster_shares(keys)]
    return [float(key == label) for key in keys]


class _VotingReward:
    """Reads answers, scores them over all processes, and logs; subclasses say how."""

    __name__: str
    rule: VoteRule
    voters: Voters = "group"

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher's answers elect the label."""
        return self.voters == "teacher"

    def _rewards(
        self,
        groups: Sequence[Any],
        completions: Sequence[Any],
        columns: Mapping[str, Any],
        log_metric: Callable[[str, float], None] | None,
        log_extra: Callable[[str, list[Any]], None] | None,
    ) -> list[float | None]:
        teacher = columns.get("teacher_completions") if self.needs_teacher else None
        if self.needs_teacher and teacher is None:
            raise ValueError(
                f"{type(self).__name__} takes its label from a teacher: train with selfrl.trainers.GRPOTrainer or "
                "RLOOTrainer and teacher=TeacherConfig()."
            )
        ballots = read_ballots(groups, completions, teacher, columns.get("answer"), self.rule.mode)
        rewards, metrics = over_all_processes(self._score, ballots)
        if log_metric is not None:
            for name, value in metrics.items():
                log_metric(f"{self.__name__}/{name}", value)
        if log_extra is not None:
            log_extra(f"{self.__name__}/answer", [ballot.answer.key for ballot in ballots])
        return rewards

    def _score(self, ballots: list[Ballot]) -> tuple[list[float | None], Metrics]:
        raise NotImplementedError

    def _elect(self, *members: Sequence[Ballot]) -> list[tuple[list[str | None], list[str | None]]]:
        """Of each group of one question: its own keys, and those that elect its label."""
        own = [[ballot.answer for ballot in group] for group in members]
        if not self.needs_teacher:
            return [(keys, keys) for keys in self.rule.merged(*own)]
        teacher = [[answer for ballot in group for answer in ballot.teacher] for group in members]
        merged = self.rule.merged(*own, *teacher)
        return list(zip(merged[: len(own)], merged[len(own) :], strict=True))


class PromptGroupReward(_VotingReward):
    """A reward of each prompt's group on its own; a subclass gives `group_rewards`."""

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        return self._rewards([prompt_id(prompt) for prompt in prompts], completions, columns, log_metric, log_extra)

    def group_rewards(self, keys: Sequence[str | None], label: str | None) -> list[float | None]:
        """Rewards of one group, from its merged keys and its elected label."""
        raise NotImplementedError

    def group_metrics(self, groups: Sequence[Sequence[str | None]]) -> Metrics:
        """Figures to log beside those of every vote."""
        return {}

    def _score(self, ballots: list[Ballot]) -> tuple[list[float | None], Metrics]:
        rewards: list[float | None] = []
        groups, labels = [], []
        for rows in consecutive_groups(ballot.group for ballot in ballots):
            ((keys, voters),) = self._elect([ballots[i] for i in rows])
            label = self.rule.label(voters)
            rewards += settled(self.group_rewards(keys, label), [ballots[i].answer for i in rows], keys)
            groups.append(keys)
            labels.append((label, ballots[rows[0]].gold))
        answers = [ballot.answer for ballot in ballots]
        metrics = vote_metrics(groups, rewards, answers) | label_accuracy(labels) | self.group_metrics(groups)
        return rewards, metrics


class MajorityVoteReward(PromptGroupReward):
    r"""Agreement with the majority: of the group, TTRL (2504.16084), SRT (2505.21444), or of a teacher.

    For completions y_1..y_G of a prompt, y* = mode{ans(y_i)} and r_i = 1[ans(y_i) = y*]; with `soft`, r_i is the
    share of y_i's answer among all G. Answers are compared by canonical key, merged symbolically where spelling does
    not decide. Groups are runs of equal prompts, over all processes.

    Abstains (None): the whole group if it has no label (nobody answers, a tie under "abstain", `min_votes`,
    `min_margin`) or agrees beyond `max_agreement`; a completion whose answer is unsafe to read, or could not be
    compared with the others in time. A completion without an answer gets 0.

    With `voters="teacher"`, y* is the majority of a slowly moving teacher's completions: Co-rewarding II (2508.00410).
    This needs selfrl's trainers with `teacher=TeacherConfig()`.

    Args:
        soft: reward shares instead of agreement.
        voters: who elects the label, "group" or "teacher".
        **rule: fields of [`VoteRule`].

    Raises:
        ValueError: for bad options, or without a teacher to hear.

    Example:
        >>> reward = MajorityVoteReward()
        >>> reward(prompts=["2+2?"] * 3, completions=[r"\boxed{4}", r"\boxed{4.0}", r"\boxed{5}"])
        [1.0, 1.0, 0.0]
    """

    def __init__(self, soft: bool = False, voters: Voters = "group", **rule: Any) -> None:
        if soft and voters == "teacher":
            raise ValueError("`soft` rewards shares of the group's own vote: drop it, or let the group vote.")
        self.__name__ = type(self).__name__
        self.soft = soft
        self.voters = _checked(voters)
        self.rule = VoteRule(**rule)

    def group_rewards(self, keys: Sequence[str | None], label: str | None) -> list[float | None]:
        """See [`majority_rewards`]."""
        return majority_rewards(keys, None if self.rule.gated(keys) else label, self.soft)


class ContrastiveAgreementReward(_VotingReward):
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
    whose answer is unsafe to read, or could not be compared in time. A completion without an answer gets 0.

    Raises:
        ValueError: without the columns, for a view other than 0 or 1, for a pair with one view in the batch, or
            without a teacher to hear.

    Args:
        voters: who elects the labels, "group" or "teacher".
        **rule: fields of [`VoteRule`].

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

    def __init__(self, voters: Voters = "group", **rule: Any) -> None:
        self.__name__ = type(self).__name__
        self.voters = _checked(voters)
        self.rule = VoteRule(**rule)

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        pair_id: Sequence[Any] | None = None,
        view: Sequence[int] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        if pair_id is None or view is None:
            raise ValueError(
                f"{self.__name__} needs the columns `pair_id` and `view`: expand paraphrase pairs with "
                "selfrl.data.pairs.expand_pairs."
            )
        joints = list(zip(pair_id, view, strict=True))
        return self._rewards(joints, completions, columns, log_metric, log_extra)

    def _score(self, ballots: list[Ballot]) -> tuple[list[float | None], Metrics]:
        rewards: list[float | None] = [None] * len(ballots)
        groups: list[list[str | None]] = []
        used: list[tuple[str | None, str | None]] = []
        agreed: list[bool] = []
        for pair, (first, second) in _views_of_pairs([ballot.group for ballot in ballots]).items():
            if not first or not second:
                raise ValueError(
                    f"Pair {pair!r} has only one view in this batch: train with selfrl.trainers.GRPOTrainer or "
                    "RLOOTrainer, or interleave the views and set shuffle_dataset=False."
                )
            views = self._elect([ballots[i] for i in first], [ballots[i] for i in second])
            labels = [self.rule.label(voters) for _, voters in views]
            for members, (own, _), opposite in ((first, views[0], labels[1]), (second, views[1], labels[0])):
                label = None if self.rule.gated(own) else opposite
                given = settled(majority_rewards(own, label), [ballots[i].answer for i in members], own)
                for i, reward in zip(members, given, strict=True):
                    rewards[i] = reward
                groups.append(own)
                used.append((opposite, ballots[members[0]].gold))
            if None not in labels:
                agreed.append(labels[0] == labels[1])
        answers = [ballot.answer for ballot in ballots]
        metrics = vote_metrics(groups, rewards, answers) | label_accuracy(used)
        if agreed:
            metrics["cross_view_agreement"] = sum(agreed) / len(agreed)
        return rewards, metrics


def _checked(voters: Voters) -> Voters:
    if voters not in get_args(Voters):
        raise ValueError(f"`voters` is {voters!r}: it must be one of {get_args(Voters)}.")
    return voters


def _views_of_pairs(joints: Sequence[tuple[Any, int]]) -> dict[Any, tuple[list[int], list[int]]]:
    views: dict[Any, tuple[list[int], list[int]]] = {}
    for i, (pair, view) in enumerate(joints):
        if pair is None or pair != pair:  # would join strangers
            raise ValueError(f"Row {i} of the batch has no `pair_id`: give each pair an id of its own.")
        if view not in (0, 1):
            raise ValueError(f"Pair {pair!r} has the view {view!r}: `view` must be 0 or 1.")
        views.setdefault(pair, ([], []))[int(view)].append(i)
    return views
