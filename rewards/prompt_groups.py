"""The base of rewards that see a prompt's whole group, over all processes, with its answers read and its label."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import Any, NamedTuple

from selfrl.answers import canonical_key, read_answer
from selfrl.answers.gold import right_label
from selfrl.answers.keys import ReadAnswer
from selfrl.answers.majority import Pairs, in_doubt
from selfrl.conversation import prompt_text
from selfrl.distributed import over_all_processes
from selfrl.group_record import GroupVote
from selfrl.rewards.contract import BaseReward, Batch, Metrics, Scores, groups_of
from selfrl.rewards.vote_rule import Voters, VoteRule, label_accuracy, settled, vote_metrics


@dataclass(frozen=True)
class Group:
    """All completions of one prompt in the global batch; everything is aligned with them.

    Args:
        prompt: its text, see [`selfrl.conversation.prompt_text`].
        texts: the completions.
        answers: as they were read; what is unsafe to read is told from what is not there.
        keys: canonical keys, one spelling a meaning; None without an answer.
        ballots: keys of all who elected this prompt's own label: the completions and further voters, or a teacher's.
        undecided: pairs of keys that could not be compared: they may or may not mean the same.
        label: what was elected; None without a label.
        columns: what the completions brought, see [`PromptGroupReward.brought`].
    """

    prompt: str
    texts: tuple[str, ...]
    answers: tuple[ReadAnswer, ...]
    keys: tuple[str | None, ...]
    ballots: tuple[str | None, ...]
    undecided: Pairs
    label: str | None
    columns: Mapping[str, tuple[Any, ...]]


class Member(NamedTuple):
    """What one completion brings to its group."""

    group: Hashable
    answer: ReadAnswer
    voters: tuple[ReadAnswer, ...]  # a teacher's, or further ones beside the completion itself
    gold: Hashable  # only ever logged
    prompt: str
    text: str
    columns: dict[str, Any]


class PromptGroupReward(BaseReward):
    """A reward of each prompt's group as a whole: a subclass gives `group_rewards`, and declares `columns`, `signals`.

    Answers are read once, groups gathered over all processes, keys merged by meaning and the label elected by `rule`;
    the vote is logged and told to the trainer. The main process computes for all.

    Abstains (None): where `group_rewards` does; and a completion whose answer is unsafe to read, or could not be
    compared with the label in time (without a label, with another answer), whatever `group_rewards` gives it.

    Attributes of a subclass, or set by its constructor:
        rule: how the label is elected, and whether answers are read as keys or raw.
        voters: "group", or "teacher": then `needs_teacher` must be True, and a teacher's completions elect.
        elects: whether the reward follows the label, so that further voters may be drawn for it.
        needs_texts: whether `group_rewards` looks at `prompt` and `texts`. If not, they need not travel between
            processes and are empty.

    Raises:
        ValueError: in a call, for what is not handed over, or if `group_rewards` gives another number of rewards.

    Example:
        >>> class ShortAgreement(PromptGroupReward):
        ...     def group_rewards(self, group):
        ...         return [float(key == group.label) / len(t) for key, t in zip(group.keys, group.texts)]
        >>> ShortAgreement()(["2+2?"] * 2, [r"\\boxed{4}", r"It \\boxed{4.0}"])
        [0.1111111111111111, 0.07142857142857142]
    """

    abstains = True
    rule: VoteRule = VoteRule()
    voters: Voters = "group"
    elects: bool = True
    needs_texts: bool = True

    def group_rewards(self, group: Group) -> list[float | None]:
        """One reward a completion of the group, or None."""
        raise NotImplementedError

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """Figures of all groups, to log beside those of every vote."""
        return {}

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """What each completion of this process brings to its group, by name: what the reward declares, as it is.

        A subclass that needs less brings less, as the mean of a signal: it travels between processes.
        """
        return {name: batch.column(name) for name in dict.fromkeys((*self.columns, *self.signals))}

    def elect(
        self, ballots: Sequence[str | None], undecided: Pairs, columns: Mapping[str, Sequence[Any]]
    ) -> str | None:
        """The label that a group's ballots elect, by `rule`.

        Args:
            ballots: keys of the completions, then of further voters.
            undecided: pairs of keys that could not be compared.
            columns: what the completions brought.
        """
        return self.rule.label(ballots, undecided)

    def group_ids(self, batch: Batch) -> Sequence[Hashable]:
        """What the completions of a group share."""
        return batch.prompt_ids

    def questions(self, ids: Sequence[Hashable]) -> Iterable[tuple[tuple[int, ...], ...]]:
        """Groups, as row numbers of the global batch; those that ask the same in other words stand together.

        Answers are compared within a question. Two groups of one question reward each other, a lone one itself.
        """
        return [(rows,) for rows in groups_of(ids)]

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        members = self._members(batch)
        rewards, (metrics, votes) = over_all_processes(self._decide, members)
        if batch.records is not None:
            batch.records.cast(votes)
        return Scores(rewards, metrics, {"answer": [member.answer.key for member in members]})

    def _members(self, batch: Batch) -> list[Member]:
        none = [""] * len(batch.completions)
        voters = batch.column("teacher_completions" if self.voters == "teacher" else "voter_completions")
        brought = self.brought(batch)
        rows = zip(*brought.values(), strict=True) if brought else [()] * len(none)
        return [
            Member(group, answer, tuple(read_answer(text, mode=self.rule.mode) for text in heard or ()), *rest)
            for group, answer, heard, *rest in zip(
                self.group_ids(batch),
                batch.answers(self.rule.mode),
                voters,
                (gold if isinstance(gold, str | Real) else None for gold in batch.column("answer")),
                map(prompt_text, batch.prompts) if self.needs_texts else none,
                batch.texts if self.needs_texts else none,
                (dict(zip(brought, row, strict=True)) for row in rows),
                strict=True,
            )
        ]

    def _decide(self, members: list[Member]) -> tuple[list[float | None], tuple[Metrics, list[GroupVote]]]:
        """Rewards of the global batch; figures and votes of its groups."""
        right = cache(right_label)  # many groups may share a label and a gold answer
        rewards: list[float | None] = [None] * len(members)
        groups: list[Group] = []
        votes: list[GroupVote] = []
        for question in self.questions([member.group for member in members]):
            for rows, group in zip(question, self._groups(members, question), strict=True):
                given = self.group_rewards(group)
                if len(given) != len(rows):
                    raise ValueError(
                        f"{self.__name__}.group_rewards gave {len(given)} rewards for {len(rows)} completions: give "
                        "each one, or None."
                    )
                kept = settled(given, group.answers, group.keys, group.label, group.undecided)
                for row, reward in zip(rows, kept, strict=True):
                    rewards[row] = reward
                groups.append(group)
                verdicts = {right(self._canonical(group.label), members[row].gold) for row in rows} - {None}
                # gold answers that contradict each other tell nothing
                verdict = verdicts.pop() if len(verdicts) == 1 else None
                votes.append(GroupVote(rows, group.keys, group.label, verdict))
        if not groups:
            return rewards, ({}, votes)
        doubtful = sum(in_doubt(key, group.label, group.undecided) for group in groups for key in group.keys)
        answers = [member.answer for member in members]
        metrics = vote_metrics([group.keys for group in groups], rewards, answers, doubtful)
        metrics |= label_accuracy([vote.label_is_right for vote in votes])
        return rewards, (metrics | self.group_metrics(groups), votes)

    def _groups(self, members: Sequence[Member], question: Sequence[tuple[int, ...]]) -> list[Group]:
        """The groups of one question, each with the label that rewards it."""
        own = [[members[row].answer for row in rows] for rows in question]
        others = [[answer for row in rows for answer in members[row].voters] for rows in question]
        merged, undecided = self.rule.merged(*own, *others)
        keys, heard = merged[: len(own)], merged[len(own) :]
        ballots = heard if self.voters == "teacher" else [a + b for a, b in zip(keys, heard, strict=True)]
        columns = [
            {name: tuple(members[row].columns[name] for row in rows) for name in members[rows[0]].columns}
            for rows in question
        ]
        labels = [self.elect(cast, undecided, of) for cast, of in zip(ballots, columns, strict=True)]
        return [
            Group(
                prompt=members[rows[0]].prompt,
                texts=tuple(members[row].text for row in rows),
                answers=tuple(answers),
                keys=group_keys,
                ballots=cast,
                undecided=undecided,
                label=label,
                columns=of,
            )
            for rows, answers, group_keys, cast, of, label in zip(
                question, own, keys, ballots, columns, reversed(labels), strict=True
            )
        ]

    def _canonical(self, label: str | None) -> str | None:
        """A label as grading knows it."""
        return canonical_key(label) if label is not None and self.rule.mode == "raw" else label
