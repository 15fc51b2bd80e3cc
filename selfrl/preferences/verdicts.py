"""Verdicts of a judge that sees every pair in both orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from selfrl.answers.extract import after_thought
from selfrl.generation import Message, Prompt

Verdict = Literal["first", "second", "tie"]
Vote = Literal["one", "two", "tie"]
Item = TypeVar("Item")

_WORDS: dict[str, Verdict] = {
    "a": "first",
    "b": "second",
    **dict.fromkeys(("a>b", "a>>b", "b<a", "b<<a"), "first"),
    **dict.fromkeys(("b>a", "b>>a", "a<b", "a<<b"), "second"),
    **dict.fromkeys(
        ("c", "a=b", "b=a", "a tie", "it is a tie", "it s a tie", "tie", "neither", "equal", "both", "neutral"), "tie"
    ),
}
_NOUN = r"(?:output|response|assistant|answer|option|model)"
_TAG = re.compile(r"<choice>([^<]*)", re.IGNORECASE)
_BRACKETS = re.compile(r"\[\[([ABC]|tie|[AB](?:>{1,2}|<{1,2}|=)[AB])\]\]", re.IGNORECASE)
_JOINED = re.compile(r"\s*(?:,|/|\bor\b|\band\b|\s)+\s*")
_LABEL = re.compile(r"\b(?:choice|verdict|winner|decision|preference)\b[\s*]*(?:is\b)?[\s*:]*([^.\n]+)", re.IGNORECASE)
_PRAISED = re.compile(
    rf"\b{_NOUN} ([AB]) (?:wins|(?:is|was) (?:(?:clearly|much|slightly|the) )*(?:better|best|winner|superior|stronger"
    rf"|preferred))\b|\b(?:better|best|winner|prefer|choose|pick|favou?r)\b[^.\n]{{0,40}}?"
    rf"\b{_NOUN} ([AB])\b",
    re.IGNORECASE,
)
_VOTES: dict[bool, dict[Verdict, Vote]] = {
    False: {"first": "one", "second": "two", "tie": "tie"},
    True: {"first": "two", "second": "one", "tie": "tie"},
}


def read_verdict(reply: str | None) -> Verdict | None:
    """The verdict in a judge's reply.

    It is, after any thought, what the last <choice> says, closed or cut off; else the last [[A]]; else what follows
    "choice:", "verdict:" or "winner:"; else the one assistant that is called better; else the reply itself if it is
    nothing but a verdict. A is the first, B the second; C, tie, neither, equal, both and neutral are a tie. None is a
    reply that says neither, or several, or no reply.

    >>> read_verdict("<analysis>B is short.</analysis> <choice>A</choice>"), read_verdict(" b. "), read_verdict("Tie")
    ('first', 'second', 'tie')
    >>> read_verdict("My verdict: [[B]]"), read_verdict("Assistant A is better."), read_verdict("Choice: B")
    ('second', 'first', 'second')
    >>> read_verdict("A good answer, but B is better") is None, read_verdict("<choice>A or B</choice>") is None
    (True, True)
    """
    after = None if reply is None else after_thought(reply)
    if reply is None or after is None:
        return None
    reply = reply[slice(*after)]
    if tags := list(_TAG.finditer(reply)):
        return _word(tags[-1][1])
    if brackets := list(_BRACKETS.finditer(reply)):
        last = brackets[-1]
        before = [b for b in brackets if _JOINED.fullmatch(reply, b.end(), last.start()) and b[1] != last[1]]
        return None if before else _word(last[1])
    if labels := list(_LABEL.finditer(reply)):
        return _word(labels[-1][1])
    praised = {(match[1] or match[2]).lower() for match in _PRAISED.finditer(reply)}
    return _WORDS[praised.pop()] if len(praised) == 1 else _word(reply)


def _word(said: str) -> Verdict | None:
    """What a text says that is nothing but a verdict."""
    words = re.sub(r"[\s*().\"'`:_\[\]]+", " ", said).strip().casefold()
    return _WORDS.get(re.sub(rf"^{_NOUN} (?=[abc]$)", "", words))


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
