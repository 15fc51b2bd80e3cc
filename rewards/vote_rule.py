"""How a group elects its label, and what its vote looked like."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from selfrl.answers import merge_keys, vote
from selfrl.answers.keys import KeyMode, ReadAnswer
from selfrl.answers.majority import MergedKeys, Pairs, Ties, in_doubt
from selfrl.rewards.contract import Metrics

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

    def label(self, keys: Sequence[str | None], undecided: Pairs = ()) -> str | None:
        """The group's label, or None; see [`selfrl.answers.vote`]."""
        return vote(keys, ties=self.ties, min_votes=self.min_votes, min_margin=self.min_margin, undecided=undecided)

    def gated(self, keys: Sequence[str | None]) -> bool:
        """Whether the group agrees more than `max_agreement`."""
        return self.max_agreement is not None and agreement(keys) > self.max_agreement

    def merged(self, *parts: Sequence[ReadAnswer]) -> tuple[list[tuple[str | None, ...]], Pairs]:
        """The keys of each part's answers, all compared with each other: one spelling a meaning.

        With them come the pairs of keys that could not be compared.
        """
        keys = [answer.key for part in parts for answer in part]
        merged = MergedKeys(keys) if self.mode == "raw" else merge_keys(keys)
        rest = iter(merged)
        return [tuple(next(rest) for _ in part) for part in parts], merged.undecided


def checked_voters(voters: Voters) -> Voters:
    """The word, if it is one that says who elects.

    Raises:
        ValueError: for another.
    """
    if voters not in get_args(Voters):
        raise ValueError(f"`voters` is {voters!r}: it must be one of {get_args(Voters)}.")
    return voters


def agreement(keys: Sequence[str | None]) -> float:
    """Share of the most common key among all completions; 0 if none answers.

    >>> agreement(["4", "4", "5", None])
    0.5
    """
    counts = Counter(key for key in keys if key is not None)
    return max(counts.values(), default=0) / len(keys)


def count_entropy(counts: Collection[int]) -> float:
    """−Σ p log p in nats, with p the counts' shares of their sum; 0 without any.

    >>> round(count_entropy([2, 2]), 4), count_entropy([3]) == count_entropy([]) == 0
    (0.6931, True)
    """
    total = sum(counts)
    return -sum(n / total * math.log(n / total) for n in counts)


def shares_among(keys: Sequence[str | None], ballots: Sequence[str | None]) -> list[float]:
    """Share of each key among all ballots; 0 without a key.

    >>> shares_among(["4", "5"], ["4", "4", "5", None])
    [0.5, 0.25]
    >>> shares_among(["4", "4", "5", None], ["4", "4", "5", None])
    [0.5, 0.5, 0.25, 0.0]
    """
    counts = Counter(ballots)
    return [0.0 if key is None else counts[key] / len(ballots) for key in keys]


def settled(
    rewards: Sequence[float | None],
    answers: Sequence[ReadAnswer],
    keys: Sequence[str | None],
    label: str | None = None,
    undecided: Pairs = (),
) -> list[float | None]:
    """A group's rewards, with None for an answer that is unsafe to read, or that may or may not be the label.

    Args:
        rewards: of the group.
        answers: as read.
        keys: as merged.
        label: what the group elected.
        undecided: pairs of keys that could not be compared.
    """
    return [
        None if answer.unreadable or in_doubt(key, label, undecided) else reward
        for reward, answer, key in zip(rewards, answers, keys, strict=True)
    ]


def vote_metrics(
    groups: Sequence[Sequence[str | None]],
    rewards: Sequence[float | None],
    answers: Sequence[ReadAnswer],
    undecided: int = 0,
) -> Metrics:
    """What a vote looked like, for the log: shares in 0..1 over the global batch.

    `majority_ratio` is the mean share of each group's most common answer; `concentration` the share of the batch's
    most common answer over all prompts, the cheapest sign of collapse; `labelled` the share of completions with a
    reward; `no_answer`, `unreadable` and `undecided` the shares of completions without an answer, with an unsafe one,
    or with one of which it is not known whether it is the label.

    Args:
        groups: merged keys.
        rewards: of the global batch.
        answers: of the global batch.
        undecided: completions whose answer could not be compared with the label.
    """
    everything = [key for group in groups for key in group]
    return {
        "majority_ratio": sum(agreement(group) for group in groups) / len(groups),
        "concentration": agreement(everything),
        "labelled": sum(reward is not None for reward in rewards) / len(rewards),
        "no_answer": sum(a.key is None and not a.unreadable for a in answers) / len(answers),
        "unreadable": sum(a.unreadable for a in answers) / len(answers),
        "undecided": undecided / len(answers),
    }


def label_accuracy(right: Sequence[bool | None]) -> Metrics:
    """Share of the labels that are right, of those of which it is known; nothing without any.

    >>> label_accuracy([True, False, None])
    {'label_accuracy': 0.5}
    """
    known = [verdict for verdict in right if verdict is not None]
    return {"label_accuracy": sum(known) / len(known)} if known else {}
