r"""Problems that a model has wrong habits with: its majority is often wrong, and the right answer a frequent minority.

A problem that begins with a loss is read as a gain in three of its five wordings, so its paraphrase may be read
rightly. In a problem that begins with a gain a carry is forgotten, in whatever words.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from selfrl.data.finetune import Example
from selfrl.data.problems import NAMES, THINGS, WORDINGS, Problem, Split, draw_problems, solution, worked

MISREAD = (0, 1, 3)  # wordings of a loss
HABIT, NOISE = 0.58, 0.10  # how often a habit wins, and how often any sum goes wrong
WORDING_COUNT = len(WORDINGS["add"])


class Told(NamedTuple):
    """A problem in one of its wordings."""

    problem: Problem
    wording: int

    def prompt(self, rng: random.Random) -> str:
        """With a name and a thing."""
        return self.problem.tell(self.wording, rng.choice(NAMES), rng.choice(THINGS)) + "\n"

    @property
    def habit(self) -> str | None:
        """Which habit it meets: "misread", "carry", or None.

        >>> Told(Problem("sub", (52, 17)), 0).habit, Told(Problem("add", (35, 27)), 2).habit
        ('misread', 'carry')
        """
        first, second = self.problem.numbers[:2]
        if self.problem.structure.startswith("sub"):
            return "misread" if self.wording in MISREAD else None
        return "carry" if first % 10 + second % 10 >= 10 else None

    def wrong(self) -> str:
        r"""The solution by habit.

        >>> Told(Problem("sub_add", (52, 17, 20)), 0).wrong()
        '52 + 17 = 69. 69 + 20 = 89. \\boxed{89}'
        >>> Told(Problem("add_sub", (35, 27, 11)), 0).wrong()
        '35 + 27 = 52. 52 - 11 = 41. \\boxed{41}'
        """
        first, second, *rest = self.problem.numbers
        result = first + second - (10 if self.habit == "carry" else 0)
        signs = "".join(sign for _, sign, *_ in self.problem.steps()[1:])
        steps = [(first, "+", second, result), *worked((result, *rest), signs)]
        sums = " ".join(f"{left} {sign} {right} = {total}." for left, sign, right, total in steps)
        return rf"{sums} \boxed{{{steps[-1][3]}}}"


def example(rng: random.Random) -> Example:
    """A problem of the training split and a solution: by habit, right, or wrong by chance."""
    told = Told(next(draw_problems("train", rng)), rng.randrange(WORDING_COUNT))
    by_habit = told.habit is not None and rng.random() < HABIT
    return told.prompt(rng), told.wrong() if by_habit else solution(told.problem, rng, NOISE)


def rows(split: Split, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Problems with a paraphrase each, all distinct: prompt, paraphrase, answer, and the habit that each wording meets.

    >>> sorted(next(rows("train", 1, 0)))
    ['answer', 'habit', 'paraphrase', 'paraphrase_habit', 'prompt']
    """
    rng = random.Random(f"habits-{split}-{seed}")
    drawn = draw_problems(split, rng)
    seen: set[Problem] = set()
    while len(seen) < count:
        problem = next(drawn)
        if problem in seen:
            continue
        seen.add(problem)
        told, again = (Told(problem, wording) for wording in rng.sample(range(WORDING_COUNT), 2))
        yield {
            "prompt": told.prompt(rng),
            "paraphrase": again.prompt(rng),
            "answer": str(problem.answer),
            "habit": told.habit,
            "paraphrase_habit": again.habit,
        }
