"""Chains of sums for the packaged tiny model, from easier than its own problems to far beyond them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from datasets import Dataset

from selfrl.data.problems import Split, split_of, worked

TERMS = (2, 3, 4, 5, 6, 7, 8)  # numbers in a chain, by level
LARGEST = (9, 19, 39, 69, 99, 199, 499)  # of the numbers, by level
HELD_OUT_TERMS = (4, 5, 6)
HELD_OUT_LARGEST = 99


@dataclass(frozen=True)
class Chain:
    """Numbers that are added and subtracted one after the other; no result on the way is negative.

    Args:
        numbers: the first, then each operand.
        signs: + or -, one an operand.
    """

    numbers: tuple[int, ...]
    signs: str

    def steps(self) -> list[tuple[int, str, int, int]]:
        """The sums as `(left, sign, right, result)`.

        >>> Chain((31, 42, 7), "+-").steps()
        [(31, '+', 42, 73), (73, '-', 7, 66)]
        """
        return worked(self.numbers, self.signs)

    @property
    def answer(self) -> int:
        """The last result."""
        return self.steps()[-1][3]

    @property
    def split(self) -> Split:
        """The split that owns these numbers, whatever their order."""
        return split_of(self.numbers)

    @property
    def text(self) -> str:
        """The question, in words that the packaged model knows.

        >>> Chain((31, 42, 7, 5), "+-+").text
        'Add 31 and 42, then subtract 7, then add 5.'
        >>> Chain((42, 31), "-").text
        'Subtract 31 from 42.'
        """
        first, second, *rest = self.numbers
        start = f"Add {first} and {second}" if self.signs[0] == "+" else f"Subtract {second} from {first}"
        words = {"+": "add", "-": "subtract"}
        steps = [f"then {words[sign]} {number}" for sign, number in zip(self.signs[1:], rest, strict=True)]
        return ", ".join([start, *steps]) + "."


def draw_chains(terms: int, largest: int, split: Split, rng: random.Random) -> Iterator[Chain]:
    """Endless chains of a split, of so many numbers up to a largest one.

    Raises:
        ValueError: at the first draw, for fewer than two terms or a largest number below 1.
    """
    if terms < 2 or largest < 1:
        raise ValueError(f"A chain of {terms} numbers up to {largest} is none: take two or more, up to 1 or more.")
    while True:
        numbers = tuple(rng.randint(1, largest) for _ in range(terms))
        chain = Chain(numbers, "".join(rng.choice("+-") for _ in numbers[1:]))
        if chain.split == split and all(result >= 0 for *_, result in chain.steps()):
            yield chain


def tiny_chains(split: Split, count: int, seed: int = 0) -> Dataset:
    """Chains as columns prompt, answer, levels: easy ones to train on, hard ones with other numbers to measure by.

    Args:
        split: "train" has two or three numbers up to 39; "heldout" four to six up to 99.
        count: number of rows, all distinct.
        seed: of the draw.

    Example:
        >>> row = tiny_chains("train", 1)[0]
        >>> row["answer"].isdigit(), sorted(row["levels"])
        (True, ['largest', 'terms'])
    """
    rng = random.Random(f"chains-{split}-{seed}")
    found: dict[Chain, dict[str, int]] = {}
    while len(found) < count:
        if split == "train":
            levels = {"terms": rng.randrange(2), "largest": rng.randrange(3)}
            terms, largest = TERMS[levels["terms"]], LARGEST[levels["largest"]]
        else:
            terms, largest = rng.choice(HELD_OUT_TERMS), HELD_OUT_LARGEST
            levels = {"terms": TERMS.index(terms), "largest": LARGEST.index(largest)}
        found.setdefault(next(draw_chains(terms, largest, split, rng)), levels)
    rows = [{"prompt": c.text + "\n", "answer": str(c.answer), "levels": levels} for c, levels in found.items()]
    return Dataset.from_list(rows)
