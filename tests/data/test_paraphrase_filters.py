from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.data.paraphrase.filters import Filters, has_diagram, reject_reason
from selfrl.data.paraphrase.numerals import numbers_in
from selfrl.data.paraphrase.prompts import END, START, read_rewrite


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("no number here, just this one", []),
        ("3 and 4", [3, 4]),
        ("3 and 3", [3, 3]),
        ("three", [3]),
        ("Twenty-one pilots", [21]),
        ("twenty one", [21]),
        ("two three", [2, 3]),
        ("five and six", [5, 6]),
        ("twenty and five", [20, 5]),
        ("two hundred and five", [205]),
        ("two hundred five thousand and thirty-two", [205032]),
        ("a hundred", [100]),
        ("one hundred", [100]),
        ("three million", [3000000]),
        ("1,234,567 or 1{,}234", [1234567, 1234]),
        ("3.5 and .5", [Fraction(7, 2), Fraction(1, 2)]),
        ("1/2 cup", [Fraction(1, 2)]),
        (r"\frac{1}{2} and \dfrac{3}{4}", [Fraction(1, 2), Fraction(3, 4)]),
        ("half of them", [Fraction(1, 2)]),
        ("twice as many, a dozen", [2, 12]),
        ("a third", [Fraction(1, 3)]),
        ("50% of $20", [50, 20]),
        ("x2 + 3y", [2, 3]),
        ("fourteen, fifteen", [14, 15]),
        ("ninety-nine", [99]),
        ("none, alone, often, weight", []),
        ("3 dozen", [36]),
        ("1/0", []),
        ("one hour, 1 day", []),
        ("y = -3 and -1/2, 5-3, 10-15", [-3, Fraction(-1, 2), 5, 3, 10, 15]),
        (r"\frac12 of 7", [Fraction(1, 2), 7]),
        ("2½ or 2 1/2", [Fraction(5, 2), Fraction(5, 2)]),
        ("1.5 million, 3 hundred, two dozen", [1500000, 300, 24]),
        ("two-thirds, three-fourths, 2/3", [Fraction(2, 3), Fraction(3, 4), Fraction(2, 3)]),
        ("the third man came in 3rd, first", []),
        ("x² and x^2", [2, 2]),
        ("7" * 150, [int("7" * 100), int("7" * 50)]),
    ],
)
def test_numbers(text: str, numbers: list[Any]) -> None:
    assert numbers_in(text) == Counter(map(Fraction, numbers))


@given(st.integers(2, 99))
def test_a_spelled_number_counts_as_its_digits(n: int) -> None:
    small = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    units = ["zero", "one", *small.split(), "eighteen", "nineteen"]
    tens = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
    word = units[n] if n < 20 else tens[n // 10] + (f"-{units[n % 10]}" if n % 10 else "")
    assert numbers_in(f"He has {word} of them.") == numbers_in(f"He has {n} of them.") == Counter([Fraction(n)])


@given(st.lists(st.integers(2, 10**6), min_size=2, max_size=5), st.data())
def test_reordering_keeps_the_numbers_and_changing_one_does_not(numbers: list[int], data: st.DataObject) -> None:
    told = [f"There were {n} of kind {chr(97 + i)}." for i, n in enumerate(numbers)]
    original = " ".join(told)
    moved = " ".join(data.draw(st.permutations(told)))
    assert numbers_in(moved) == numbers_in(original)
    changed = list(numbers)
    changed[0] += 1
    other = " ".join(f"We saw {n} of kind {chr(97 + i)}." for i, n in enumerate(changed))
    assert reject_reason(original, other, Filters()) == "numbers"


@pytest.mark.parametrize(
    ("original", "paraphrase", "reason"),
    [
        ("Tom has 3 pens and buys 4.", "Ann owns three cards and gets four.", None),
        ("Tom has 3 pens and buys 4.", "tom has 3 pens, and buys 4!", "identical"),
        ("Tom has 3 pens and buys 4.", "Ann owns three cards and gets five.", "numbers"),
        ("Tom has 3 pens and buys 3.", "Ann owns three cards and gets more.", "numbers"),
        ("Tom has 3 pens and buys 4.", "3, 4?", "length"),
        ("Tom has 3 pens and buys 4.", "Ann owns three cards and gets four. " * 3, "length"),
        ("See [asy] draw(A--B); [/asy]: 3?", "In the drawing there are 3 lines: how?", "diagram"),
    ],
)
def test_reasons(original: str, paraphrase: str, reason: str | None) -> None:
    assert reject_reason(original, paraphrase, Filters()) == reason


def test_diagrams_and_markers() -> None:
    assert has_diagram(r"\begin{tikzpicture}")
    assert has_diagram(r"\includegraphics{a.png}")
    assert not has_diagram("Draw a figure with easy steps.")
    assert read_rewrite(f"{START}draft{END} better: {START} Add 2. {END} ok") == "Add 2."
    assert read_rewrite(f"{START} cut off") is None
    assert read_rewrite(f"{END}{START}") is None
    assert read_rewrite(f"{START}  {END}") is None
