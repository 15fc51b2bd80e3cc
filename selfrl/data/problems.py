"""Procedural arithmetic word problems in several wordings, for the packaged tiny model.

A problem is a structure (which sums to do) and its numbers. Each structure is told in five wordings, every one
in another scenario, so two wordings of one problem are a real paraphrase pair: the same numbers and answer,
other words. The split follows from the numbers alone, and the last wording of each structure belongs to the
held-out split only.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Split = Literal["train", "heldout"]

NAMES = ("Tom", "Ann", "Max", "Eva", "Sam", "Mia", "Ben", "Zoe")
THINGS = ("apples", "coins", "books", "cards", "stones", "pens", "shells", "stamps")

# {a} {b} {c} are numbers, {n} a name, {t} a thing. Wordings of one structure share neither scenario nor phrasing.
WORDINGS: dict[str, tuple[str, ...]] = {
    "add": (
        "{n} has {a} {t} and buys {b} more. How many {t} does {n} have now?",
        "A bus carries {a} people. At a stop {b} people get on. How many people ride the bus?",
        "Find the sum of {a} and {b}.",
        "A farmer picked {a} kg of corn on Monday, then {b} kg on Friday. What is the total weight?",
        "The red tank holds {a} litres, the blue tank holds {b} litres. How much do both hold together?",
    ),
    "sub": (
        "{n} has {a} {t} and gives away {b}. How many {t} are left?",
        "A train carries {a} people. At a stop {b} people get off. How many people stay on the train?",
        "Subtract {b} from {a}.",
        "A rope is {a} metres long. A sailor cuts off {b} metres. How long is the rest?",
        "The price was {a} dollars, it fell by {b} dollars. What is the price now?",
    ),
    "add_sub": (
        "{n} has {a} {t}, finds {b} more and loses {c}. How many {t} does {n} have now?",
        "A bus carries {a} people. Then {b} people get on and {c} get off. How many people ride the bus?",
        "Add {a} and {b}, then subtract {c}.",
        "A shop had {a} kg of rice, received {b} kg and sold {c} kg. What weight is left?",
        "The tank held {a} litres. Rain brought {b} litres, a leak took {c} litres. How much does it hold now?",
    ),
    "sub_add": (
        "{n} has {a} {t}, loses {b} and finds {c} more. How many {t} does {n} have now?",
        "A train carries {a} people. Then {b} people get off and {c} get on. How many people stay on the train?",
        "Subtract {b} from {a}, then add {c}.",
        "A farmer had {a} hens, sold {b} and bought {c}. What is the total now?",
        "The price was {a} dollars. It fell by {b} dollars, then rose by {c} dollars. What is the price now?",
    ),
}
HELD_OUT_WORDING = 4


def split_of(numbers: Sequence[int]) -> Split:
    """The split that owns these numbers, whatever their order.

    >>> split_of((30, 25, 11)) == split_of((11, 25, 30))
    True
    """
    key = ",".join(map(str, sorted(numbers)))
    return "heldout" if zlib.crc32(key.encode()) % 8 == 0 else "train"


def worked(numbers: Sequence[int], signs: str) -> list[tuple[int, str, int, int]]:
    """Sums one after the other, as `(left, sign, right, result)`.

    >>> worked((30, 25, 11), "+-")
    [(30, '+', 25, 55), (55, '-', 11, 44)]
    """
    left, steps = numbers[0], []
    for sign, right in zip(signs, numbers[1:], strict=True):
        result = left + right if sign == "+" else left - right
        steps.append((left, sign, right, result))
        left = result
    return steps


class Sums(Protocol):
    """Numbers that are added and subtracted one after the other."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first, then each operand."""

    def steps(self) -> list[tuple[int, str, int, int]]:
        """The sums as `(left, sign, right, result)`."""


@dataclass(frozen=True)
class Problem:
    """One problem: `structure` names the sums, `numbers` are their operands in order."""

    structure: str
    numbers: tuple[int, ...]

    @property
    def split(self) -> Split:
        """The split that owns this problem's numbers, whatever their order and structure."""
        return split_of(self.numbers)

    @property
    def answer(self) -> int:
        """The right answer."""
        return self.steps()[-1][3]

    def steps(self) -> list[tuple[int, str, int, int]]:
        """The sums as `(left, sign, right, result)`.

        >>> Problem("add_sub", (30, 25, 11)).steps()
        [(30, '+', 25, 55), (55, '-', 11, 44)]
        """
        signs = {"add": "+", "sub": "-", "add_sub": "+-", "sub_add": "-+"}[self.structure]
        return worked(self.numbers, signs)

    def tell(self, wording: int, name: str, thing: str) -> str:
        """The problem's text in one of its five wordings.

        >>> Problem("sub", (52, 17)).tell(2, "Tom", "pens")
        'Subtract 17 from 52.'
        """
        fields = dict(zip("abc", self.numbers, strict=False))
        return WORDINGS[self.structure][wording].format(n=name, t=thing, **fields)


def wordings_of(split: Split) -> tuple[int, ...]:
    """The wordings a split may use: the train split never shows the held-out one."""
    count = len(WORDINGS["add"])
    return tuple(w for w in range(count) if split == "heldout" or w != HELD_OUT_WORDING)


def told(problem: Problem, split: Split, rng: random.Random) -> str:
    """A prompt: the problem in one of the split's wordings, with a name and a thing, all drawn."""
    return problem.tell(rng.choice(wordings_of(split)), rng.choice(NAMES), rng.choice(THINGS)) + "\n"


def draw_problems(split: Split, rng: random.Random) -> Iterator[Problem]:
    """Endless problems of a split, two-digit operands, no negative result at any step.

    Raises:
        ValueError: at the first draw, for another split.
    """
    if split not in get_args(Split):
        raise ValueError(f"The packaged problems have no split {split!r}: draw from {' or '.join(get_args(Split))}.")
    while True:
        structure = rng.choice(tuple(WORDINGS))
        numbers = tuple(rng.randint(10, 99) for _ in structure.split("_"))
        problem = Problem(structure, (rng.randint(10, 99), *numbers))
        if problem.split == split and all(result >= 0 for *_, result in problem.steps()):
            yield problem


def solution(problem: Sums, rng: random.Random | None = None, noise: float = 0.0) -> str:
    r"""A worked solution ending in `\boxed{}`; with `noise`, each sum goes wrong with that probability.

    A wrong sum is off by a little, by ten, or has a digit changed, and later sums build on it: the errors are
    spread over many values, so the right answer stays the most common one.

    >>> solution(Problem("add_sub", (30, 25, 11)))
    '30 + 25 = 55. 55 - 11 = 44. \\boxed{44}'
    """
    parts, left = [], problem.numbers[0]
    for _, sign, right, _ in problem.steps():
        result = left + right if sign == "+" else left - right
        if rng is not None and rng.random() < noise:
            result = _slip(result, rng)
        parts.append(f"{left} {sign} {right} = {result}.")
        left = result
    return " ".join([*parts, rf"\boxed{{{left}}}"])


def _slip(value: int, rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.4:
        wrong = value + rng.choice((-2, -1, 1, 2))
    elif kind < 0.7:
        wrong = value + rng.choice((-20, -10, 10, 20))
    else:
        digits = list(str(value))
        place = rng.randrange(len(digits))
        digits[place] = str(rng.choice([d for d in range(10) if str(d) != digits[place]]))
        wrong = int("".join(digits))
    return wrong if wrong >= 0 else value + 1
