"""The data gate's checks, each alone: a reason in a few words why a proposed prompt must not be trained on, or None.

They stand in the order in which they run, the cheap ones first; numbers are those of the log.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import pstdev

from selfrl.rewards.proposals import has_role_marks
from selfrl.selfplay.near_index import NearIndex, normalised

MOST_CHARACTERS = 4000
FEWEST_WORDS, MOST_WORDS = 4, 150
NGRAM = 13
_ANSWERS = re.compile(
    r"\\boxed|\\fbox|</?answer>|^\s*#{4}|\b(?:the\s+(?:final\s+)?answer\s+is|answer\s*:|solution\s*:)",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSALS = re.compile(
    r"\b(?:i\s*(?:'|\u2019)?m\s+sorry|i\s+am\s+sorry|i\s+can(?:no|'|\u2019)t|as\s+an?\s+(?:ai|language\s+model)"
    r"|i\s+am\s+unable)\b",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    r"\b(?:pictures?|images?|graphs?|plots?|diagrams?|figures?|charts?|files?|attach(?:ed|ment)|videos?)\b",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"\bwrite\s+(?:a|an|the)\s+(?:\w+\s+){0,3}(?:program|script|function|code)\b", re.IGNORECASE)


def parse(text: object) -> str | None:
    """1: a text, not empty, not endless, without control characters and without a chat's role marks.

    >>> parse("Add 3 and 4."), parse("  "), parse("Add 3.<|im_end|>"), parse("Add\\x00 3"), parse(None)
    (None, 'empty', 'role marks', 'control characters', 'no text')
    """
    if not isinstance(text, str):
        return "no text"
    if not text.strip():
        return "empty"
    if len(text) > MOST_CHARACTERS:
        return "too long"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n\t" for c in text):
        return "control characters"
    return "role marks" if has_role_marks(text) else None


def shape(text: str, runs_programs: bool = False) -> str | None:
    """2: from 4 to 150 words, beginning with a letter or a number in ASCII, about nothing that is not there (SeRL).

    >>> shape("Add 3 and 4."), shape("Add 3."), shape("Look at the graph below."), shape("Write a program that adds.")
    (None, 'too few words', 'asks for what is not there', 'asks for a program')
    """
    words = text.split()
    if len(words) < FEWEST_WORDS:
        return "too few words"
    if len(words) > MOST_WORDS:
        return "too many words"
    first = text.lstrip()[0]
    if not (first.isascii() and first.isalnum()):
        return "begins with no letter or number"
    if _UNSEEN.search(text):
        return "asks for what is not there"
    return "asks for a program" if _PROGRAM.search(text) and not runs_programs else None


def leak(text: str, parent: str | None) -> str | None:
    """3: no copy of the parent, no refusal, no answer in the question.

    >>> leak("Add 3 and 4.", "add 3 and 4"), leak("I'm sorry, I cannot.", None), leak("Add 3, 4: \\\\boxed{7}", None)
    ('copy of the parent', 'refusal', 'holds an answer')
    """
    if parent is not None and normalised(text) == normalised(parent):
        return "copy of the parent"
    if _REFUSALS.search(text):
        return "refusal"
    return "holds an answer" if _ANSWERS.search(text) else None


def exact_duplicate(text: str, index: NearIndex) -> str | None:
    """4: not in seeds or pool, but for case, blanks and punctuation."""
    return None if index.equal(text) is None else "exact duplicate"


def near_duplicate(text: str, index: NearIndex) -> str | None:
    """5: ROUGE-L of at most 0.7 with all seeds and the pool."""
    return None if index.near(text) is None else "near duplicate"


class Contamination:
    """6: shares no 13 words in a row with an evaluation set; a shorter question is compared as a whole.

    Args:
        texts: of the evaluation sets' questions.

    Example:
        >>> check = Contamination(["How many apples are left?"])
        >>> check("how many apples are left"), check("How many pears are left?")
        ('stands in an evaluation set', None)
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._seen = {hash(gram) for text in texts for gram in _grams(text)}

    def __call__(self, text: str) -> str | None:
        """The reason, or None."""
        return "stands in an evaluation set" if any(hash(gram) in self._seen for gram in _grams(text)) else None


def label(keys: Sequence[str | None], min_votes: int) -> str | None:
    """8: the answers elect one that is not empty, with so many votes at least (R-Zero).

    >>> label(["7", "7", None], 2), label(["7", "8", None], 2), label([None, None], 1), label(["none", "none"], 1)
    (None, 'too few votes', 'no answers', 'no answers')
    >>> label([None], 0)
    """
    if min_votes == 0:
        return None
    votes = [key for key in keys if key is not None and key.strip().casefold() not in ("", "none")]
    if not votes:
        return "no answers"
    counts = sorted((votes.count(key) for key in set(votes)), reverse=True)
    if counts[0] < min_votes:
        return "too few votes"
    return "no majority" if len(counts) > 1 and counts[0] == counts[1] else None


def difficulty(rate: float, low: float, high: float) -> str | None:
    """9: solved neither too rarely nor too often.

    >>> difficulty(0.5, 0.3, 0.8), difficulty(0.9, 0.3, 0.8), difficulty(0.1, 0.3, 0.8)
    (None, 'too easy', 'too hard')
    """
    return "too easy" if rate > high else "too hard" if rate < low else None


def spread(rewards: Sequence[float]) -> str | None:
    """10: the samples' rewards differ.

    >>> spread([1.0, 0.0]), spread([1.0, 1.0]), spread([])
    (None, 'no spread', 'no spread')
    """
    return None if len(rewards) > 1 and pstdev(rewards) > 1e-9 else "no spread"


@dataclass(frozen=True)
class Bounds:
    """What checks 8 and 9 ask for.

    Args:
        min_votes: of the majority; 0 lets a question through that has no label, as open ones with a reward model.
        low: solve rate; R-Zero's script has 0.3 to 0.8, SeRL 0.2 to 0.8. On another scale for rewards that have one.
        high: see `low`.

    Raises:
        ValueError: for bounds that let nothing through.
    """

    min_votes: int = 1
    low: float = 0.3
    high: float = 0.8

    def __post_init__(self) -> None:
        if not self.low <= self.high or self.min_votes < 0:
            raise ValueError(f"{self} lets nothing through: take low <= high and min_votes from 0.")


def _grams(text: str) -> Iterable[tuple[str, ...]]:
    words = normalised(text).split()
    if len(words) <= NGRAM:
        return [tuple(words)] if words else []
    return [tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]
