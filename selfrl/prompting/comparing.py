"""Two sets of outputs side by side, and what votes on them make of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from selfrl.prompting.prompt_task import Example
from selfrl.prompting.run_record import Answer, Comparison, Outcome

Answers = Sequence[Answer | None]


class Shown(NamedTuple):
    """Two sets of outputs on the same questions, as an evaluator sees them."""

    examples: Sequence[Example]
    one: Sequence[str]
    two: Sequence[str]

    @classmethod
    def of(cls, examples: Sequence[Example], one: Answers | None, two: Answers | None) -> Shown:
        """The outputs on those of the examples that both answered."""
        found = in_common(one, two)
        return cls([examples[i] for i in found], [a for a, _ in found.values()], [b for _, b in found.values()])


def in_common(one: Answers | None, two: Answers | None) -> dict[int, tuple[str, str]]:
    """Both texts of the questions that were answered twice, by their places."""
    pairs = zip(one or [], two or [], strict=True)
    return {i: (a.text, b.text) for i, (a, b) in enumerate(pairs) if a is not None and b is not None}


def outcome_of(comparison: Comparison) -> Outcome:
    """What the votes on the best (one) and a new prompt (two) make of the new one.

    >>> from selfrl.prompting.run_record import Ballot
    >>> votes = [Ballot(vote, False, "") for vote in ("two", "two", "tie", None)]
    >>> outcome_of(Comparison(1, 2, votes))  # 2 of 4 are no majority
    'tied'
    """
    tally = comparison.tally
    if tally.one + tally.two + tally.ties == 0:
        return "no verdict"
    outcomes: dict[str | None, Outcome] = {"two": "won", "one": "lost", None: "tied"}
    return outcomes[tally.winner]
