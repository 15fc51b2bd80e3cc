"""Has a prompt been seen before, exactly or nearly? Among a million, in milliseconds."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence

from rensa import RMinHash, RMinHashLSH

from selfrl.text import rouge_l

NEAR = 0.7  # ROUGE-L above which two prompts are one (SeRL, 2505.20347)
PERMUTATIONS, BANDS, SEED = 63, 21, 1
# Two texts with ROUGE-L above 0.7 share at least 0.54 of their words: 21 bands of 3 miss 3 % of those at the border.
_LEAST_SHARED = 0.5
MOST_COMPARED = 64  # candidates of a prompt whose texts are compared word by word, the likeliest first
_WORDS = re.compile(r"\w+")


def normalised(text: str) -> str:
    """A text without what makes no other prompt of it: case, blanks, punctuation, and spellings of one character.

    >>> normalised("  What is 2 + 2?\\n") == normalised("what is 2+2")
    True
    """
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))


class NearIndex:
    """Finds earlier texts that are equal, or nearly so (ROUGE-L above 0.7), to a new one.

    Candidates come from MinHash signatures of the texts' words in a locality-sensitive index, and are then compared.

    Args:
        text_of: gives the text that was added under a number, so that none is kept twice.

    Example:
        >>> texts = ["Add 3 and 4, then take 2 away.", "Name the longest river."]
        >>> index = NearIndex(texts.__getitem__)
        >>> for number, text in enumerate(texts):
        ...     index.add(number, text)
        >>> index.equal("name the longest river"), index.near("Add 3 and 4, then take 5 away."), index.near("Add 9.")
        (1, 0, None)
    """

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self.text_of = text_of
        self._numbers: dict[int, int] = {}
        self._buckets = RMinHashLSH(_LEAST_SHARED, PERMUTATIONS, BANDS)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, text: str) -> None:
        """Know a text from now on under a number."""
        self.add_many([number], [text])

    def add_many(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        """Know many."""
        plain = [normalised(text) for text in texts]
        for number, text in zip(numbers, plain, strict=True):
            self._numbers.setdefault(_digest(text), number)
        signatures = RMinHash.from_token_sets([_words(text) for text in plain], PERMUTATIONS, SEED)
        for number, signature in zip(numbers, signatures, strict=True):
            self._buckets.insert(number, signature)

    def equal(self, text: str) -> int | None:
        """The number of the first text that is the same but for case, blanks and punctuation."""
        return self._numbers.get(_digest(normalised(text)))

    def near(self, text: str) -> int | None:
        """The number of a text that says nearly the same; None if there is none."""
        same = self.equal(text)
        if same is not None:
            return same
        words = set(_words(normalised(text)))
        signature = RMinHash.from_token_sets([list(words)], PERMUTATIONS, SEED)[0]
        shared = []
        for number in self._buckets.query(signature):
            other = set(_words(normalised(self.text_of(number))))
            overlap = len(words & other) / max(len(words | other), 1)
            if overlap >= _LEAST_SHARED:
                shared.append((-overlap, number))
        for _, number in sorted(shared)[:MOST_COMPARED]:
            if rouge_l(text, self.text_of(number)) > NEAR:
                return number
        return None


def _words(plain: str) -> list[str]:
    return plain.split() or [""]


def _digest(plain: str) -> int:
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:8])
