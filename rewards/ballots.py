"""What voting rewards know of each completion, and what they log of a vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from selfrl.answers import canonical_key, read_answer
from selfrl.answers.keys import KeyMode, ReadAnswer
from selfrl.conversation import completion_text
from selfrl.rewards.groups import Metrics


class Ballot(NamedTuple):
    """One completion in a vote.

    Args:
        group: what its voters share, such as the prompt.
        answer: its own answer.
        teacher: answers that a teacher gave beside it, if the teacher votes.
        gold: key of the right answer, if the data have one; only ever logged.
    """

    group: Any
    answer: ReadAnswer
    teacher: tuple[ReadAnswer, ...] = ()
    gold: str | None = None


def read_ballots(
    groups: Sequence[Any],
    completions: Sequence[Any],
    teacher_completions: Sequence[Sequence[str]] | None,
    golds: Sequence[Any] | None,
    mode: KeyMode,
) -> list[Ballot]:
    """Read every answer once."""
    teachers: Sequence[Sequence[str]] = teacher_completions or [()] * len(completions)
    return [
        Ballot(
            group,
            read_answer(completion_text(completion), mode=mode),
            tuple(read_answer(text, mode=mode) for text in teacher),
            None if gold is None else canonical_key(str(gold)),
        )
        for group, completion, teacher, gold in zip(
            groups, completions, teachers, golds or [None] * len(completions), strict=True
        )
    ]


def agreement(keys: Sequence[str | None]) -> float:
    """Share of the most common key among all completions; 0 if none answers.

    >>> agreement(["4", "4", "5", None])
    0.5
    """
    counts = Counter(key for key in keys if key is not None)
    return max(counts.values(), default=0) / len(keys)


def label_accuracy(labels: Sequence[tuple[str | None, str | None]]) -> Metrics:
    """Share of labels that are right, of (label, gold) pairs that have both; nothing without any.

    >>> label_accuracy([("4", "4"), ("5", "4"), (None, "4"), ("7", None)])
    {'label_accuracy': 0.5}
    """
    known = [label == gold for label, gold in labels if label is not None and gold is not None]
    return {"label_accuracy": sum(known) / len(known)} if known else {}


def settled(
    rewards: Sequence[float | None], answers: Sequence[ReadAnswer], keys: Sequence[str | None]
) -> list[float | None]:
    """A group's rewards, with None for an answer that is unsafe to read, or whose key the merge could not decide.

    Args:
        rewards: of the group.
        answers: as read.
        keys: as merged.
    """
    return [
        None if a.unreadable or (a.key is not None and key is None) else reward
        for reward, a, key in zip(rewards, answers, keys, strict=True)
    ]


def vote_metrics(
    groups: Sequence[Sequence[str | None]], rewards: Sequence[float | None], answers: Sequence[ReadAnswer]
) -> Metrics:
    """What a vote looked like, for the log: shares in 0..1 over the global batch.

    `majority_ratio` is the mean share of each group's most common answer; `concentration` the share of the batch's
    most common answer over all prompts, the cheapest sign of collapse; `labelled` the share of completions with a
    reward; `no_answer`, `unreadable` and `undecided` the shares of completions without an answer, with an unsafe one,
    or with one that could not be compared within the budget.
    """
    everything = [key for group in groups for key in group]
    return {
        "majority_ratio": sum(agreement(group) for group in groups) / len(groups),
        "concentration": agreement(everything),
        "labelled": sum(reward is not None for reward in rewards) / len(rewards),
        "no_answer": sum(a.key is None and not a.unreadable for a in answers) / len(answers),
        "unreadable": sum(a.unreadable for a in answers) / len(answers),
        "undecided": (sum(a.key is not None for a in answers) - sum(key is not None for key in everything))
        / len(answers),
    }
