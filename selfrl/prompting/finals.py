"""Which of the prompts that stand at the end is the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfrl.preferences.ranking import bradley_terry
from selfrl.prompting.run_record import STANDING, Comparison, Run


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


def contenders(run: Run, most: int) -> list[int]:
    """Rounds whose prompt won or tied, the initial one among them: the last winner and the strongest others.

    Args:
        run: its rounds are over.
        most: how many at most.

    Returns:
        their numbers, in order.
    """
    standing = [r.number for r in run.rounds if r.outcome in STANDING]
    champion = run.champion.number
    strength = strengths(standing, run.comparisons)
    others = sorted((number for number in standing if number != champion), key=lambda n: (-strength[n], -n))
    return sorted([champion, *others[: most - 1]])


def best_of(run: Run) -> int:
    """The finalist with the highest strength over all votes; the last winner's number where none is higher."""
    strength, champion = strengths(run.finalists, run.comparisons), run.champion.number
    best = max(strength.values())
    return champion if strength[champion] > best - 1e-9 else max(strength, key=lambda number: strength[number])
