"""Verdicts of a judge that sees every pair in both orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from selfrl.generation import Message, Prompt
from selfrl.preferences.templates import read_tag

Verdict = Literal["first", "second", "tie"]
Vote = Literal["one", "two", "tie"]
Item = TypeVar("Item")

_WORDS: dict[str, Verdict] = {
    **dict.fromkeys(("a", "output a", "response a", "[[a]]"), "first"),
    **dict.fromkeys(("b", "output b", "response b", "[[b]]"), "second"),
    **dict.fromkeys(("c", "tie", "neither", "equal", "both", "neutral", "[[c]]"), "tie"),
}
_VOTES: dict[bool, dict[Verdict, Vote]] = {
    False: {"first": "one", "second": "two", "tie": "tie"},
    True: {"first": "two", "second": "one", "tie": "tie"},
}


def read_verdict(reply: str | None) -> Verdict | None:
    """The verdict in a judge's reply: what its last <choice> says, or the reply itself if it is nothing but that.

    A is the first, B the second; C, tie, neither, equal, both and neutral are a tie. None is a reply that says
    neither, or no reply.

    >>> read_verdict("<analysis>B is short.</analysis> <choice>A</choice>"), read_verdict(" b. "), read_verdict("Tie")
    ('first', 'second', 'tie')
    >>> read_verdict("A good answer, but B is better") is None
    True
    """
    if reply is None:
        return None
    said = read_tag(reply, "choice") or reply
    return _WORDS.get(re.sub(r"[\s*().\"'`:_]+", " ", said).strip().casefold())


def balanced_votes(
    pairs: Sequence[tuple[Item, Item]],
    request: Callable[[Item, Item], list[Message]],
    ask: Callable[[list[Prompt]], Sequence[str | None]],
    repeats: int = 1,
) -> list[list[tuple[Vote | None, str | None]]]:
    """Votes on pairs, each pair judged `repeats` times in either order, so that a liking for a position cancels.

    Args:
        pairs: what to compare.
        request: the judge's prompt for a pair as it is shown.
        ask: the judge's reply to each prompt; None where it failed. Called once.
        repeats: how often each order is asked.

    Returns:
        For each pair 2 x `repeats` votes with the reply they were read from. They alternate: pair as given, pair
        swapped. "one" and "two" are the pair's members, whatever the order they were shown in; None is a verdict that
        could not be read.

    Raises:
        ValueError: for another number of replies than of prompts.

    Example:
        >>> likes_first = lambda prompts: ["A"] * len(prompts)
        >>> [(votes)] = balanced_votes([("x", "y")], lambda a, b: [], likes_first)
        >>> [vote for vote, _ in votes]
        ['one', 'two']
    """
    prompts: list[Prompt] = [
        request(*shown) for pair in pairs for _ in range(repeats) for shown in (pair, (pair[1], pair[0]))
    ]
    replies = list(ask(prompts))
    if len(replies) != len(prompts):
        raise ValueError(f"The judge gave {len(replies)} replies to {len(prompts)} prompts: it must give one each.")
    verdicts = [read_verdict(reply) for reply in replies]
    votes = [None if v is None else _VOTES[i % 2 == 1][v] for i, v in enumerate(verdicts)]
    calls = 2 * repeats
    return [list(zip(votes[i : i + calls], replies[i : i + calls], strict=True)) for i in range(0, len(votes), calls)]


@dataclass(frozen=True)
class Tally:
    """Counted votes on one pair.

    Args:
        one: for the first member.
        two: for the second.
        ties: for neither.
        unread: verdicts that could not be read.
    """

    one: int
    two: int
    ties: int
    unread: int

    @classmethod
    def of(cls, votes: Sequence[Any]) -> Tally:
        """Count votes.

        >>> Tally.of(["one", "one", "tie", None])
        Tally(one=2, two=0, ties=1, unread=1)
        """
        return cls(*(votes.count(vote) for vote in ("one", "two", "tie", None)))

    @property
    def winner(self) -> Literal["one", "two"] | None:
        """Who has more than half of all votes, ties and unread ones among them.

        >>> Tally(1, 0, 3, 0).winner is None, Tally(0, 3, 0, 1).winner
        (True, 'two')
        """
        calls = self.one + self.two + self.ties + self.unread
        if 2 * self.one > calls:
            return "one"
        return "two" if 2 * self.two > calls else None
