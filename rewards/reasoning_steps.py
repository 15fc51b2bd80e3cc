"""Reasoning steps in a completion, each with the confidence that it expresses."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from selfrl.answers import answer_key

LEVELS = 5
MAX_TEXT = 100_000
# Level 0 is a guess, level 4 certainty.
PHRASES: Mapping[str, int] = {
    "I am guessing": 0,
    "this is a guess": 0,
    "I have no idea": 0,
    "I am not sure": 1,
    "I am unsure": 1,
    "this is uncertain": 1,
    "I think so": 2,
    "this is probable": 2,
    "I am somewhat confident": 2,
    "I am fairly confident": 3,
    "I am confident": 3,
    "this is likely": 3,
    "I am certain": 4,
    "I am sure": 4,
    "I am very confident": 4,
    "there is no doubt": 4,
}
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]*")
_WORD = re.compile(r"\w+")


class Step(NamedTuple):
    """A step: where it stands in the text, and its expressed level, 0..4, or None."""

    start: int
    end: int
    level: int | None


def split_steps(text: str, phrases: Mapping[str, int] = PHRASES) -> list[Step]:
    """A completion's sentences as steps.

    A sentence ends at `.`, `!` or `?` before a blank, or at the line's end. One that is a phrase, with at most three
    words beside it, is no step: it gives the step before it its level. A longer one gives it to itself. The last phrase
    counts. Only the first 100,000 characters are read.

    >>> text = "34 + 7 = 41. I am sure. So the answer is 41, I think so."
    >>> [(text[s.start:s.end], s.level) for s in split_steps(text)]
    [('34 + 7 = 41.', 4), ('So the answer is 41, I think so.', 2)]
    """
    pattern, levels = _pattern(tuple(phrases.items()))
    steps: list[Step] = []
    for match in _SENTENCE.finditer(text[:MAX_TEXT]):
        sentence = match.group()
        words = len(_WORD.findall(sentence))
        if words == 0:
            continue
        start = match.start() + len(sentence) - len(sentence.lstrip())
        found = pattern.findall(sentence.lower())
        level = levels[found[-1]] if found else None
        if found and words - sum(len(_WORD.findall(phrase)) for phrase in found) <= 3:
            if steps:
                steps[-1] = steps[-1]._replace(level=level)
        else:
            steps.append(Step(start, match.start() + len(sentence.rstrip()), level))
    return steps


@functools.lru_cache(maxsize=8)
def _pattern(phrases: tuple[tuple[str, int], ...]) -> tuple[re.Pattern[str], dict[str, int]]:
    levels = {phrase.lower(): level for phrase, level in phrases}
    longest_first = sorted(levels, key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")\b"), levels


def step_key(text: str) -> str:
    """What a step says, for comparison: the key of its answer or last number, else its words.

    >>> step_key("34 + 7 = 41."), step_key("It is a Cat!")
    ('41', 'it is a cat')
    """
    return answer_key(text, last_number=True) or " ".join(_WORD.findall(text.lower()))


def agreed_steps(chains: Sequence[Sequence[str]]) -> set[str]:
    """Step keys that more than half of a group's chains hold; chains without a step do not count.

    >>> sorted(agreed_steps([["41", "30"], ["41", "31"], ["41"], []]))
    ['41']
    """
    speaking = [set(chain) for chain in chains if chain]
    return {key for key in set().union(*speaking) if sum(key in chain for chain in speaking) > len(speaking) / 2}
