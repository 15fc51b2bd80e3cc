"""What a curriculum looks like: figures of one round, as pure functions of its solve rates, descent and verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from selfrl.rewards.vote_rule import count_entropy
from selfrl.selfplay.gate import NAMES, Verdict
from selfrl.selfplay.pool import Entry

BINS = ("0", "(0, .2]", "(.2, .4]", "(.4, .6]", "(.6, .8]", "(.8, 1)", "1")
_EDGES = (0.2, 0.4, 0.6, 0.8)
_DUPLICATES = (4, 5)


def rate_counts(rates: Iterable[float]) -> list[int] | None:
    """How many prompts fall into each of [`BINS`]; None if a reward is no rate, and so no prompt has a bin.

    >>> rate_counts([0.0, 0.2, 0.21, 0.5, 0.8, 0.81, 1.0, 1.0])
    [1, 1, 1, 1, 1, 1, 2]
    >>> rate_counts([0.5, 3.2]) is None
    True
    """
    counts = [0] * len(BINS)
    for rate in rates:
        if not 0 <= rate <= 1:
            return None
        # a mean of n rewards may miss an edge by a rounding
        place = 0 if rate == 0 else 6 if rate == 1 else 1 + sum(rate > edge + 1e-9 for edge in _EDGES)
        counts[place] += 1
    return counts


def dead_mass(rates: Sequence[float]) -> float:
    """Share of prompts that are always or never solved, and teach nothing; 0 of none.

    >>> dead_mass([0.0, 0.5, 1.0, 1.0])
    0.75
    """
    return sum(rate in (0, 1) for rate in rates) / max(len(rates), 1)


def mean_learnability(rates: Sequence[float]) -> float:
    """Mean of 4 p (1 − p); 0 of none.

    >>> mean_learnability([0.0, 0.5])
    0.5
    """
    return fmean(4 * rate * (1 - rate) for rate in rates) if rates else 0.0


class Descent(NamedTuple):
    """How prompts descend from the seeds.

    Args:
        mean_depth: steps from their seeds.
        max_depth: of the one that is farthest.
        roots: seeds that have prompts.
        largest_root: share of the prompts that descend from one seed.
    """

    mean_depth: float
    max_depth: int
    roots: int
    largest_root: float


def descent(entries: Sequence[Entry]) -> Descent:
    """Of some prompts.

    >>> seed = Entry.of_seed("2+2?")
    >>> descent([seed, seed.child("2+2+2?", "deepen", "policy", 0), Entry.of_seed("3+3?")])
    Descent(mean_depth=0.3333333333333333, max_depth=1, roots=2, largest_root=0.6666666666666666)
    """
    if not entries:
        return Descent(0.0, 0, 0, 0.0)
    depths = [entry.depth for entry in entries]
    roots = Counter(entry.root for entry in entries)
    return Descent(fmean(depths), max(depths), len(roots), max(roots.values()) / len(entries))


class Spread(NamedTuple):
    """How evenly prompts are spread over topics.

    Args:
        entropy: H, in nats.
        evenness: H / ln K of K topics; 1 of one alone.
        effective: e^H, the number of equally common topics with this entropy.
    """

    entropy: float
    evenness: float
    effective: float


def topic_spread(topics: Iterable[Hashable]) -> Spread:
    """Of some prompts' topics.

    >>> [round(value, 6) for value in topic_spread("aaaabbcd")]
    [1.213008, 0.875, 3.363586]
    """
    counts = Counter(topics)
    entropy = count_entropy(counts.values())
    return Spread(entropy + 0.0, entropy / math.log(len(counts)) if len(counts) > 1 else 1.0, math.exp(entropy))


def topic_of(entry: Entry) -> str:
    """Its column `topic`, which may be a class's number, or else the seed that it descends from.

    >>> topic_of(Entry.of_seed("2+2?", topic=0)), len(topic_of(Entry.of_seed("2+2?")))
    ('0', 32)
    """
    topic = entry.columns.get("topic")
    return entry.root if topic is None or topic == "" else str(topic)


def refusals(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many were refused, by the name of the check, in the order of the checks.

    >>> verdict = Verdict("a", False, 4, "exact duplicate", None, None)
    >>> refusals([verdict, verdict, verdict._replace(check=1), verdict._replace(accepted=True, check=None)])
    {'parse': 1, 'exact_duplicate': 2}
    """
    counts = Counter(verdict.check for verdict in verdicts if not verdict.accepted)
    return {name: counts[number] for number, name in NAMES.items() if counts[number]}


def duplicate_share(verdicts: Sequence[Verdict]) -> float:
    """Share of what was judged that failed the checks for duplicates; 0 of none.

    >>> duplicate_share([Verdict("a", False, 5, "", None, None), Verdict("b", True, None, None, None, None)])
    0.5
    """
    return sum(verdict.check in _DUPLICATES for verdict in verdicts) / max(len(verdicts), 1)


def vote_gap(votes: Mapping[str, float], right: Mapping[str, bool]) -> float | None:
    """Mean vote share minus the share of right labels, over prompts that have both: the alarm of Survive-or-Collapse.

    A solver that grows surer without being right more often is collapsing. None without such a prompt.

    Args:
        votes: share of the majority, by the prompt's id.
        right: whether that majority is right.

    Example:
        >>> round(vote_gap({"a": 0.9, "b": 0.7, "c": 1.0}, {"a": True, "b": False}), 3)
        0.3
    """
    both = [name for name in votes if name in right]
    return fmean(votes[name] for name in both) - fmean(right[name] for name in both) if both else None
