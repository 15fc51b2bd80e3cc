"""Has a prompt been seen before, exactly or nearly? Among a million, in milliseconds, and none is missed.

Two texts of n and m words with ROUGE-L above `most` share more than most (n + m) / 2 words. An inverted index of
bitmaps, one for each hash of a word and a bit for each text, is added up over the words asked for: bit by bit, so one
operation counts for 8 texts and more. Texts that share enough words are compared in order, many at once.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selfrl.text import MAX_WORDS, rouge_l

NEAR = 0.7  # ROUGE-L above which two prompts are one (SeRL, 2505.20347)
_WORDS = re.compile(r"\w+")
_CODES = 1 << 16  # of words, from 1; 0 fills up. Words that share a code, or a map, only cost a comparison
_MAPS = 1 << 10
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
_AT_ONCE = 1 << 13  # texts that are added or compared together, to bound what it takes
_LIMB = 63  # words of the asked text in an integer of 64 bits: one bit is left for the carry
# Longest texts of the shelves: among texts of about one length it is known well how many words must be shared.
_LENGTHS = sorted({min(round(1.2**k), MAX_WORDS) for k in range(31)})


def normalised(text: str) -> str:
    """A text without what makes no other prompt of it: case, blanks, punctuation, and spellings of one character.

    >>> normalised("  What is 2 + 2?\\n") == normalised("what is 2+2")
    True
    """
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))


class NearIndex:
    """Finds earlier texts that are equal, or nearly so, to a new one; texts count as [`normalised`] gives them.

    The search is exact: no text with a ROUGE-L above `most` is missed, and each is confirmed by
    [`selfrl.text.rouge_l`]. A text of n words takes 136 + 2 n bytes.

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
        for start in range(0, len(texts), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            self._add(numbers[part], texts[part])

    def _add(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        fresh: dict[int, list[tuple[int, list[int]]]] = {}
        for number, text in zip(numbers, texts, strict=True):
            plain = normalised(text)
            if self._numbers.setdefault(_digest(plain), number) == number and self.most < 1 and plain:
                codes = _codes(plain)
                fresh.setdefault(_LENGTHS[bisect_left(_LENGTHS, len(codes))], []).append((number, codes))
        for longest, rows in fresh.items():
            self._shelves.setdefault(longest, _Shelf(longest)).extend(rows)

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
        if not codes:
            return
        maps = _hashed(np.array([codes], np.uint16))[1]
        found = []
        for shelf in self._shelves.values():
            total = len(codes) + shelf.shortest
            shared = int(self.most * total / 2)
            shared += 2 * shared / total <= self.most  # the fewest that suffice
            if shared <= min(len(codes), shelf.longest):
                rows = shelf.sharing(maps, shared)
                found += [(shelf, rows[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
        if not found:
            return
        places = _places(codes)
        for shelf, rows in found:
            near = 2 * _common(places, shelf.codes[rows]) / (len(codes) + shelf.lengths[rows]) > self.most
            yield from shelf.numbers[rows[near]].tolist()


class _Shelf:
    """Texts of about one length.

    Args:
        longest: words that a text has at most.

    Attributes:
        numbers, lengths: (texts,).
        codes: of the words, (texts, longest).
        maps: (maps, texts / 8), a bit for each text that has a word of this hash.
    """

    def __init__(self, longest: int) -> None:
        self.longest = self.shortest = longest
        self.size = 0
        self.numbers = np.zeros(0, np.int64)
        self.lengths = np.zeros(0, np.int64)
        self.codes = np.zeros((0, longest), np.uint16)
        self.maps = np.zeros((_MAPS, 0), np.uint8)

    def extend(self, texts: Sequence[tuple[int, list[int]]]) -> None:
        """Add texts: number, and codes of words."""
        end = self.size + len(texts)
        if end > len(self.numbers):
            room = -(-max(end, 2 * self.size) // 8) * 8
            self.numbers, self.lengths, self.codes = (
                _grown(a, room, 0) for a in (self.numbers, self.lengths, self.codes)
            )
            self.maps = _grown(self.maps, room // 8, 1)
        self.numbers[self.size : end] = [number for number, _ in texts]
        self.lengths[self.size : end] = [len(codes) for _, codes in texts]
        self.codes[self.size : end] = [codes + [0] * (self.longest - len(codes)) for _, codes in texts]
        rows, maps = _hashed(self.codes[self.size : end])
        rows += self.size
        np.bitwise_or.at(self.maps, (maps, rows >> 3), np.left_shift(1, rows & 7).astype(np.uint8))
        self.shortest = min(self.shortest, int(self.lengths[self.size : end].min()))
        self.size = end

    def sharing(self, maps: NDArray[np.int64], least: int) -> NDArray[np.int64]:
        """Rows of the texts that stand in so many of some maps at least."""
        enough = np.full(self.maps.shape[1], 255, np.uint8)
        for k, bits in enumerate(_summed(self.maps[maps])):
            enough = bits & enough if least >> k & 1 else bits | enough
        places = np.flatnonzero(enough)
        some, bit = np.nonzero(np.unpackbits(enough[places, None], axis=1, bitorder="little"))
        return places[some] * 8 + bit


def _grown(array: NDArray, room: int, axis: int) -> NDArray:
    shape = list(array.shape)
    shape[axis] = room
    grown = np.zeros(shape, array.dtype)
    grown[tuple(map(slice, array.shape))] = array
    return grown


def _summed(rows: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The sums of bits over rows: their lowest bits, then their second, and so on.

    As adders do it: of three rows one of the same worth remains, and one of twice that is carried.
    """
    while len(rows):
        carried = []
        while len(rows) > 1:
            third = max(len(rows) // 3, 1)
            one, other, rest = rows[:third], rows[third : 2 * third], rows[2 * third :]
            odd, both = one ^ other, one & other
            if len(rest):
                both |= odd & rest[:third]
                odd ^= rest[:third]
            carried.append(both)
            rows = np.concatenate([odd, rest[third:]])
        yield rows[0]
        rows = np.concatenate([*carried, rows[:0]])


def _codes(plain: str) -> list[int]:
    """A number for each word that ROUGE-L reads."""
    words = plain.split()[:MAX_WORDS]
    return [zlib.crc32(word.encode("utf-8", "surrogatepass")) % (_CODES - 1) + 1 for word in words]


def _hashed(codes: NDArray[np.uint16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each word of texts (texts, words) the row and the map: a word's second occurrence has another one."""
    ordered = np.sort(codes, axis=1).astype(np.uint64)
    places = np.arange(codes.shape[1])
    first = np.ones(codes.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    occurrence = places - np.maximum.accumulate(np.where(first, places, 0), axis=1)
    mixed = (ordered * np.uint64(MAX_WORDS) + occurrence.astype(np.uint64)) * _MIX
    mixed = ((mixed ^ (mixed >> np.uint64(32))) * _MIX) >> np.uint64(32)
    real = np.nonzero(ordered)
    return real[0], mixed[real].astype(np.int64) % _MAPS


def _places(codes: Sequence[int]) -> NDArray[np.uint64]:
    """Where each word stands in a text, as bits (limbs, codes)."""
    places = np.zeros((-(-len(codes) // _LIMB), _CODES), np.uint64)
    for place, code in enumerate(codes):
        places[place // _LIMB, code] |= np.uint64(1 << place % _LIMB)
    return places


def _common(places: NDArray[np.uint64], codes: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Length of the longest common subsequence of a text, see [`_places`], with each of some others (texts, words).

    Hyyrö, "Bit-parallel LCS-length computation revisited" (2004): at each word of the others an addition carries out of
    the highest bit where the length grows.
    """
    full = np.uint64((1 << _LIMB) - 1)
    states = [np.full(len(codes), full) for _ in places]
    length = np.zeros(len(codes), np.uint64)
    for column in codes.T:
        carry = np.zeros(len(codes), np.uint64)
        for k, of_code in enumerate(places):
            match = of_code[column] & states[k]
            total = states[k] + match + carry
            carry = total >> np.uint64(_LIMB)
            states[k] = (total | (states[k] ^ match)) & full
        length += carry
    return length.astype(np.int64)


def _digest(plain: str) -> int:
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:8])
