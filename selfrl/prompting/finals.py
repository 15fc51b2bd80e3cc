"""Which of the prompts that stand at the end is the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfrl.preferences.ranking import bradley_terry
from selfrl.prompting.results import STANDING, Comparison, Round, champion_of


def strengths(numbers: Sequence[int], comparisons: Sequence[Comparison]) -> dict[int, float]:
    """Bradley–Terry log-strengths of rounds from all votes among them; ties are half a vote for both.

    Args:
        numbers: of the rounds.
        comparisons: of any rounds; those of others are left out.
    """
    place = {number: i for i, number in enumerate(numbers)}
    wins = np.zeros((len(numbers), len(numbers)))
    for comparison in comparisons:
        if comparison.one in place and comparison.two in place:
            one, two, tally = place[comparison.one], place[comparison.two], comparison.tally
            wins[one, two] += tally.one + tally.ties / 2
            wins[two, one] += tally.two + tally.ties / 2
    return dict(zip(numbers, bradley_terry(wins).tolist(), strict=True))


def contenders(rounds: Sequence[Round], comparisons: Sequence[Comparison], most: int) -> list[Round]:
    """Rounds whose prompt won or tied, the initial one among them: the last winner and the strongest others.

    Args:
        rounds: all of them.
        comparisons: what the rounds found.
        most: how many at most.
    """
    standing = [r for r in rounds if r.outcome in STANDING]
    champion = champion_of(rounds)
    strength = strengths([r.number for r in standing], comparisons)
    others = sorted((r for r in standing if r is not champion), key=lambda r: (-strength[r.number], -r.number))
    return sorted([champion, *others[: most - 1]], key=lambda r: r.number)


def best_of(finalists: Sequence[int], champion: int, comparisons: Sequence[Comparison]) -> int:
    """The finalist with the highest strength over all votes; the last winner's number where none is higher.

    Args:
        finalists: numbers of the rounds that met.
        champion: of the last winner, one of them.
        comparisons: of rounds and finals.
    """
    strength = strengths(finalists, comparisons)
    best = max(strength.values())
    return champion if strength[champion] > best - 1e-9 else max(strength, key=lambda number: strength[number])
