"""Which paraphrases to keep."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selfrl.data.paraphrase.numerals import numbers_in

REASONS = ("failed", "no_markers", "diagram", "identical", "length", "numbers", "answers")

_DIAGRAM = re.compile(r"\[asy\]|\\begin\{(?:tikzpicture|asy|picture)|\\includegraphics|!\[|<image>", re.IGNORECASE)


@dataclass(frozen=True)
class Filters:
    """Bounds of a paraphrase's length, in its original's characters."""

    min_length_ratio: float = 0.5
    max_length_ratio: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_length_ratio <= self.max_length_ratio:
            raise ValueError(
                f"Length ratios {self.min_length_ratio} to {self.max_length_ratio}: "
                "the first must not exceed the second."
            )


def has_diagram(text: str) -> bool:
    """Whether a text holds a drawing, which a rewriter loses.

    >>> has_diagram("In the figure [asy] draw((0,0)--(1,1)); [/asy]"), has_diagram("Draw 3 cards.")
    (True, False)
    """
    return _DIAGRAM.search(text) is not None


def reject_reason(original: str, paraphrase: str, filters: Filters) -> str | None:
    """Why a paraphrase is dropped ("diagram", "identical", "length", "numbers"), or None to keep it.

    The numbers must be the same as a multiset: a rewriter that drops or changes one changes the answer, and measured
    on the Co-rewarding authors' released pairs that happens in about three of ten.

    Example:
        >>> reject_reason("Tom has three pens.", "Ann owns 3 cards.", Filters()) is None
        True
        >>> reject_reason("Tom has three pens.", "Ann owns 4 cards.", Filters())
        'numbers'
    """
    if has_diagram(original) or has_diagram(paraphrase):
        return "diagram"
    if _plain(original) == _plain(paraphrase):
        return "identical"
    ratio = len(paraphrase) / max(len(original), 1)
    if not filters.min_length_ratio <= ratio <= filters.max_length_ratio:
        return "length"
    if numbers_in(original) != numbers_in(paraphrase):
        return "numbers"
    return None


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())
