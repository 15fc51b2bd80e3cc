"""The numbers a text states, spelled-out ones counted."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_UNITS = {word: i for i, word in enumerate(_SMALL.split())}
_TENS = {word: 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {
    **{"half": 2, "halves": 2, "quarter": 4, "quarters": 4},
    **{name: i for i, name in enumerate("third fourth fifth sixth seventh eighth ninth tenth".split(), 3)},
}
_PARTS |= {name + "s": i for name, i in _PARTS.items() if name.endswith("th") or name == "third"}
# Multiples are numbers too: "twice as many" may become "2 times as many".
_MULTIPLES = {"twice": 2, "double": 2, "doubled": 2, "thrice": 3, "triple": 3, "tripled": 3}
_VULGAR = str.maketrans(
    {"½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "−": "-", "²": "^2", "³": "^3"}
)

_DIGITS = r"(?:\d{1,3}(?:(?:,|\{,\})\d{3}){1,30}(?:\.\d{1,100})?|\d{1,100}(?:\.\d{1,100})?|\.\d{1,100})"
_TOKEN = re.compile(
    r"(?P<sign>(?:(?<=[\s=(\[{,$:<>&])|^)-(?=[\d.\\]))?"
    r"(?:\\[dt]?frac\s*(?:\{\s*(?P<n>\d{1,100})\s*\}|(?P<n1>\d))\s*(?:\{\s*(?P<d>\d{1,100})\s*\}|(?P<d1>\d))"
    r"|(?:(?P<whole>\d{1,100})\s+)?(?P<top>\d{1,100})\s*/\s*(?P<bottom>\d{1,100})"
    rf"|(?P<ordinal>\d{{1,100}}(?:st|nd|rd|th)\b)|(?P<digits>{_DIGITS})|(?P<word>[a-z]+))",
    re.IGNORECASE,
)


def numbers_in(text: str) -> Counter[Fraction]:
    r"""Multiset of the numbers in a text, but for 1.

    Digits with sign, decimals, thousands separators, `a/b`, mixed numbers, `\frac{a}{b}`, `\frac12`; words as in
    "twenty-one", "two hundred and five", "1.5 million", "two dozen", "half", "two-thirds", "twice". Ordinals are not
    counted. Nor is 1, as "one" mostly is a pronoun ("the other one") and comes and goes with the wording.

    Example:
        >>> sorted(numbers_in("Two hundred and five men ate 1,500 eggs, half of them boiled."))
        [Fraction(1, 2), Fraction(205, 1), Fraction(1500, 1)]
    """
    found: Counter[Fraction] = Counter()
    run = _Run(found)
    end = 0
    before = ""
    text = text.translate(_VULGAR)
    for match in _TOKEN.finditer(text):
        if not re.fullmatch(r"[\s-]*", text[end : match.start()]):
            run.close()
            before = ""
        end = match.end()
        word = (match["word"] or "").casefold()
        if not word:
            run.close()
            if not match["ordinal"]:
                run.start(_value(match))
        elif word in _UNITS or word in _TENS:
            run.add(_UNITS.get(word, _TENS.get(word, 0)))
        elif word in _SCALES:
            run.scale(_SCALES[word])
        elif word in _PARTS and (run.is_open or word in ("half", "quarter") or word.endswith("s") or before == "a"):
            run.part(_PARTS[word])
        elif word != "and" or not run.may_continue:
            run.close()
            if word in _MULTIPLES:
                found[Fraction(_MULTIPLES[word])] += 1
        before = word
    run.close()
    found.pop(Fraction(1), None)
    return found


class _Run:
    """Neighbouring words that may make one number: "two hundred and five", but not "two three"."""

    def __init__(self, found: Counter[Fraction]) -> None:
        self.found = found
        self._reset()

    def _reset(self) -> None:
        self.total, self.current = Fraction(0), Fraction(0)
        self.is_open = self.is_digits = False

    @property
    def may_continue(self) -> bool:
        """Whether "and" may join what follows: after a hundred or more."""
        return (
            self.is_open and not self.is_digits and bool(self.total or self.current >= 100) and not self.current % 100
        )

    def start(self, value: Fraction) -> None:
        """A number in digits, which only a scale or a part may follow."""
        self.current, self.is_open, self.is_digits = value, True, True

    def add(self, value: int) -> None:
        """A number word below 100."""
        room = self.current % 100
        fits = (room == 0 and (self.current or self.total)) or (room >= 20 and room % 10 == 0 and 0 < value < 10)
        if self.is_open and (self.is_digits or not fits):
            self.close()
        self.current += value
        self.is_open = True

    def scale(self, factor: int) -> None:
        """Dozen, hundred, thousand …"""
        amount = (self.current or Fraction(1)) * factor
        if factor <= 100 or self.is_digits:
            self.current = amount
        else:
            self.total, self.current = self.total + amount, Fraction(0)
        self.is_open, self.is_digits = True, False

    def part(self, of: int) -> None:
        """Halves, thirds, quarters …"""
        self.found[(self.total + self.current if self.is_open else Fraction(1)) / of] += 1
        self._reset()

    def close(self) -> None:
        """Count the number and begin anew."""
        if self.is_open:
            self.found[self.total + self.current] += 1
        self._reset()


def _value(match: re.Match[str]) -> Fraction:
    sign = -1 if match["sign"] else 1
    if match["digits"]:
        return sign * Fraction(match["digits"].replace("{,}", "").replace(",", ""))
    top = int(match["top"] or match["n"] or match["n1"])
    bottom = int(match["bottom"] or match["d"] or match["d1"])
    return sign * (int(match["whole"] or 0) + (Fraction(top, bottom) if bottom else Fraction(top)))
