"""Has a prompt been seen before, exactly or nearly? Among a million, in milliseconds, and none is missed.

Two texts of n and m words with ROUGE-L above `most` share more than most (n + m) / 2 words, so fewer than (1 - most)
(n + m) words stand in one alone. Sketches show this cheaply: each word flips a bit, and the bits in which two sketches
differ are never more than the words in which the texts do. A short sketch of each text is read, a longer one of those
that pass, and what is left is compared in order, many texts at once.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selfrl.text import MAX_WORDS, rouge_l

NEAR = 0.7  # ROUGE-L above which two prompts are one (SeRL, 2505.20347)
_WORDS = re.compile(r"\w+")
_CODES = 1 << 16  # of words; two words with one code only cost a comparison
_SCANNED, _COMPARED = 1 << 15, 1 << 13  # texts at a time: what they take fits a processor's cache
_LIMB = 63  # positions of the asked text in an integer of 64 bits: one is left for the carry
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
_ALL = np.uint64((1 << _LIMB) - 1)


def normalised(text: str) -> str:
    """A text without what makes no other prompt of it: case, blanks, punctuation, and spellings of one character.

    >>> normalised("  What is 2 + 2?\\n") == normalised("what is 2+2")
    True
    """
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))


class NearIndex:
    """Finds earlier texts that are equal, or nearly so, to a new one; texts count as [`normalised`] gives them.

    The search is exact: no text with a ROUGE-L above `most` is missed, and each is confirmed by
    [`selfrl.text.rouge_l`]. It reads 8 bytes of every text of about the same length.

    Args:
        text_of: gives the text that was added under a number, so that none is kept twice.
        most: ROUGE-L above which two texts are one; at 1 only equal ones are, and no more is kept than their digests.

    Raises:
        ValueError: for `most` outside 0 and 1.

    Example:
        >>> texts = ["Add 3 and 4, then take 2 away.", "Name the longest river."]
        >>> index = NearIndex(texts.__getitem__)
        >>> for number, text in enumerate(texts):
        ...     index.add(number, text)
        >>> index.equal("name the longest river"), index.near("Add 3 and 4, then take 5 away."), index.near("Add 9.")
        (1, 0, None)
    """

    def __init__(self, text_of: Callable[[int], str], *, most: float = NEAR) -> None:
        if not 0 <= most <= 1:
            raise ValueError(f"most is {most}: a ROUGE-L above which two texts are one lies between 0 and 1.")
        self.text_of = text_of
        self.most = most
        self._numbers: dict[int, int] = {}
        self._shelves: dict[int, _Shelf] = {}  # by the texts' number of words

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, text: str) -> None:
        """Know a text from now on under a number."""
        self.add_many([number], [text])

    def add_many(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        """Know many."""
        fresh: dict[int, tuple[list[int], list[list[int]]]] = {}
        for number, text in zip(numbers, texts, strict=True):
            plain = normalised(text)
            digest = _digest(plain)
            if digest in self._numbers:
                continue
            self._numbers[digest] = number
            codes = _codes(plain) if self.most < 1 else []
            if codes:
                of_length = fresh.setdefault(len(codes), ([], []))
                of_length[0].append(number)
                of_length[1].append(codes)
        for length, (ours, rows) in fresh.items():
            shelf = self._shelves.setdefault(length, _Shelf(length))
            shelf.extend(np.array(ours, np.int64), np.array(rows, np.uint16))

    def equal(self, text: str) -> int | None:
        """The number of the first text that is the same but for case, blanks and punctuation."""
        return self._numbers.get(_digest(normalised(text)))

    def near(self, text: str) -> int | None:
        """The number of a text that says nearly the same; None if there is none."""
        plain = normalised(text)
        same = self._numbers.get(_digest(plain))
        if same is not None or self.most == 1:
            return same
        for number in self._candidates(_codes(plain)):
            if rouge_l(plain, normalised(self.text_of(number))) > self.most:
                return number
        return None

    def _candidates(self, codes: list[int]) -> Iterator[int]:
        """Numbers of the texts whose words' codes, in order, are near those asked for."""
        asked = np.array([codes], np.uint16)
        sketches: dict[int, NDArray[np.uint64]] = {}
        found = []
        for length, shelf in self._shelves.items():
            total = len(codes) + length
            shared = int(self.most * total / 2)
            shared += 2 * shared / total <= self.most  # the fewest that suffice
            if shared <= min(len(codes), length):
                if shelf.width not in sketches:
                    sketches[shelf.width] = _sketched(asked, shelf.width)
                rows = shelf.alike(sketches[shelf.width], total - 2 * shared)
                found += [(shelf, part) for part in np.split(rows, range(_COMPARED, len(rows), _COMPARED)) if len(part)]
        for shelf, rows in found:
            common = _common(codes, shelf.codes[rows])
            near = 2 * common / (len(codes) + shelf.length) > self.most
            yield from shelf.numbers[rows[near]].tolist()


class _Shelf:
    """The texts of one length: numbers, codes of words (texts, words), and sketches (see [`_sketched`])."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.width = 1 << ((length - 1) // 30).bit_length()  # of more words each bit is flipped by many, and says less
        self.size = 0
        self.numbers = np.empty(0, np.int64)
        self.codes = np.empty((0, length), np.uint16)
        self.sketches = np.empty((5 * self.width, 0), np.uint64)

    def extend(self, numbers: NDArray[np.int64], codes: NDArray[np.uint16]) -> None:
        end = self.size + len(numbers)
        if end > len(self.numbers):
            room = max(end, 2 * self.size) - self.size
            kept = slice(self.size)
            self.numbers = np.concatenate([self.numbers[kept], np.empty(room, np.int64)])
            self.codes = np.concatenate([self.codes[kept], np.empty((room, self.length), np.uint16)])
            self.sketches = np.concatenate([self.sketches[:, kept], np.empty((5 * self.width, room), np.uint64)], axis=1)
        self.numbers[self.size : end] = numbers
        self.codes[self.size : end] = codes
        self.sketches[:, self.size : end] = _sketched(codes, self.width)
        self.size = end

    def alike(self, sketch: NDArray[np.uint64], most: int) -> NDArray[np.int64]:
        """Rows of the texts whose sketches differ from one (5 width, 1) in so many bits at most."""
        short, long = slice(self.width), slice(self.width, None)
        found = []
        for start in range(0, self.size, _SCANNED):
            part = self.sketches[:, start : min(start + _SCANNED, self.size)]
            rows = np.flatnonzero(_apart(part[short], sketch[short]) <= most)
            near = _apart(part[long].take(rows, axis=1), sketch[long]) <= most
            found.append(rows[near] + start)
        return np.concatenate(found)


def _apart(sketches: NDArray[np.uint64], sketch: NDArray[np.uint64]) -> NDArray[np.integer]:
    counts = np.bitwise_count(sketches ^ sketch)
    return counts[0] if len(counts) == 1 else counts.sum(axis=0, dtype=np.uint16)


def _codes(plain: str) -> list[int]:
    """A number for each word that ROUGE-L reads."""
    return [zlib.crc32(word.encode("utf-8", "surrogatepass")) % _CODES for word in plain.split()[:MAX_WORDS]]


def _sketched(codes: NDArray[np.uint16], width: int) -> NDArray[np.uint64]:
    """Sketches (5 width, texts) of texts (texts, words): a short one of `width` integers, and one four times as long.

    A word flips a bit in each, its second occurrence another one.
    """
    ordered = np.sort(codes, axis=1).astype(np.uint64)
    places = np.arange(codes.shape[1])
    first = np.ones(codes.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    occurrence = places - np.maximum.accumulate(np.where(first, places, 0), axis=1)
    mixed = (ordered * np.uint64(MAX_WORDS) + occurrence.astype(np.uint64)) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    bit = np.uint64(1) << (mixed >> np.uint64(58))
    rows = []
    for length in (width, 4 * width):
        limb = (mixed >> np.uint64(48)) % np.uint64(length)
        rows += [np.bitwise_xor.reduce(np.where(limb == k, bit, np.uint64(0)), axis=1) for k in range(length)]
    return np.stack(rows)


def _common(asked: list[int], codes: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Length of the longest common subsequence with each of some texts (texts, words).

    In bits (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): a zero is a word of the asked text at which the
    length grows.
    """
    limbs = range(-(-len(asked) // _LIMB))
    at = np.zeros((len(limbs), _CODES), np.uint64)  # where in the asked text a word stands
    for place, code in enumerate(asked):
        at[place // _LIMB, code] |= np.uint64(1 << place % _LIMB)
    state = [np.full(len(codes), _ALL) for _ in limbs]
    for column in codes.T:
        carry = np.zeros(len(codes), np.uint64)
        for k in limbs:
            match = at[k, column] & state[k]
            total = state[k] + match + carry
            carry = total >> np.uint64(_LIMB)
            state[k] = (total | (state[k] ^ match)) & _ALL
    return sum((_LIMB - np.bitwise_count(limb).astype(np.int64) for limb in state), np.zeros(len(codes), np.int64))


def _digest(plain: str) -> int:
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:8])
