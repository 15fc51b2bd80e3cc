"""What the answers of a model look like without labels, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from selfrl.forecast.answered_prompts import Wording
from selfrl.rewards.vote_rule import agreement

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the bins of the majority ratio; unanimity has one of its own
DECIDED = 0.75
REPEATED = 2  # votes without which nobody repeats an answer
ONE_IN = 8  # and the share of the completions that is as good as none


@dataclass(frozen=True)
class Agreement:
    """Prompts by how their completions agree; shares are in 0..1, of prompts unless said otherwise.

    Args:
        prompts: how many were answered.
        failed: those that the back end gave no completions for.
        n: completions a prompt.
        ratio: mean majority ratio.
        histogram: (lower end, upper end, share) of each bin of the majority ratio; the last is unanimity.
        decided: majority ratio 0.75 or more.
        open: neither decided nor hopeless.
        hopeless: nothing to vote on: the most common answer has fewer than two votes, or less than one in eight.
        tied: two answers share the first place.
        split: the second answer has a quarter of the completions or more.
        unanimous: all completions answer the same, or none does: nothing to learn from.
        concentration: of all completions, those that give the most common answer over all prompts.
        no_answer: of all completions, those without a usable answer.
        truncated: of all completions, those cut off at the length limit.
        tokens: mean length of a completion.
        prompt_tokens: mean length of a prompt.
    """

    prompts: int
    failed: int
    n: int
    ratio: float
    histogram: list[tuple[float, float, float]]
    decided: float
    open: float
    hopeless: float
    tied: float
    split: float
    unanimous: float
    concentration: float
    no_answer: float
    truncated: float
    tokens: float
    prompt_tokens: float


def bin_of(ratio: float) -> int:
    """The bin of a majority ratio.

    >>> [bin_of(ratio) for ratio in (0.0, 0.25, 0.74, 0.99, 1.0)]
    [0, 1, 2, 3, 4]
    """
    return sum(ratio >= edge for edge in EDGES[1:])


def bins() -> list[tuple[float, float]]:
    """Lower and upper end of each."""
    return [*pairwise(EDGES), (1.0, 1.0)]


def is_hopeless(votes: Sequence[int], n: int) -> bool:
    """Whether a group has nothing to vote on.

    >>> is_hopeless([1, 1], 16), is_hopeless([2, 1], 16), is_hopeless([3], 32), is_hopeless([], 4)
    (True, False, True, True)
    """
    return max(votes, default=0) < max(REPEATED, n / ONE_IN)


def agreement_of(wordings: Sequence[Wording], failed: int = 0) -> Agreement:
    """Figures of prompts, each in one wording.

    Args:
        wordings: with as many completions each.
        failed: prompts without completions.

    Raises:
        ValueError: for no prompts.
    """
    if not wordings:
        raise ValueError("No prompt was answered: are the prompts too long, or is the endpoint down?")
    n = len(wordings[0].keys)
    ratios = [agreement(wording.keys) for wording in wordings]
    places = [bin_of(ratio) for ratio in ratios]
    votes = [wording.votes for wording in wordings]
    keys = [key for wording in wordings for key in wording.keys]
    said = [generation for wording in wordings for generation in wording.generations]
    hopeless = [is_hopeless(counts, n) for counts in votes]
    decided = [ratio >= DECIDED and not none for ratio, none in zip(ratios, hopeless, strict=True)]
    return Agreement(
        prompts=len(wordings),
        failed=failed,
        n=n,
        ratio=fmean(ratios),
        histogram=[(*ends, places.count(i) / len(places)) for i, ends in enumerate(bins())],
        decided=fmean(decided),
        open=1 - fmean(decided) - fmean(hopeless),
        hopeless=fmean(hopeless),
        tied=fmean(len(counts) > 1 and counts[0] == counts[1] for counts in votes),
        split=fmean(len(counts) > 1 and counts[1] >= n / 4 for counts in votes),
        unanimous=fmean(len(set(wording.keys)) == 1 for wording in wordings),
        concentration=agreement(keys),
        no_answer=fmean(key is None for key in keys),
        truncated=fmean(generation.finish_reason == "length" for generation in said),
        tokens=fmean(generation.completion_tokens for generation in said),
        prompt_tokens=fmean(wording.generations[0].prompt_tokens for wording in wordings),
    )


@dataclass(frozen=True)
class Cost:
    """Completions, and the tokens that are read and written for them; a prompt is read once a group."""

    completions: int
    read: int
    written: int


def cost(found: Agreement, completions: int, a_prompt: int) -> Cost:
    """Cost of so many completions like those seen.

    Args:
        found: mean lengths.
        completions: how many.
        a_prompt: completions a prompt.
    """
    read = completions / a_prompt * found.prompt_tokens
    return Cost(completions, round(read), round(completions * found.tokens))
