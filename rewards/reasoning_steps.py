"""Reasoning steps in a completion, each with the confidence that it expresses."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from selfrl.answers import answer_key, canonical_key
from selfrl.answers.extract import boxed
from selfrl.answers.limits import MAX_ANSWER

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
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|\n")
_WORD = re.compile(r"\w+")
_LIST_NUMBER = re.compile(r"\d{1,3}\.(?:\s{1,9}(?=\S)|$)")
_TAG = re.compile(r"</?\w{1,20}>")
_QUANTITY = re.compile(
    r"[-$]{0,2}\d{1,30}(?:,\d{3}){0,9}(?:\.\d{1,30})?(?:/\d{1,30})?(?=[,;:]?\s(?:[A-Za-z]{2}|$)|[,;:]$)"
)
_CLAUSE_START = re.compile(r"(?:[^\w\s%)}\]]|\b(?:and|but|so|though|yet))\s{0,9}$", re.IGNORECASE)
_BESIDE = 3  # words that a sentence of confidence may hold after its phrase: "I am sure of this."


class Step(NamedTuple):
    """A step: where it stands in the text, and its expressed level, 0..4, or None."""

    start: int
    end: int
    level: int | None


def split_steps(text: str, phrases: Mapping[str, int] = PHRASES) -> list[Step]:
    r"""A completion's sentences as steps, without the phrases that say how sure they are.

    A sentence ends at `.`, `!` or `?` before a blank, or at the line's end. A phrase counts at the start of a clause:
    "41, but I am sure" expresses certainty, "I doubt I am sure" does not. It gives its level to what stands before it
    in its sentence, else to the step before, else, with more than three words behind it, to those. The last phrase
    counts; "I'm" is "I am".

    No steps are: an answer in a box on its own, which repeats the last step; headings, `#### 41` among them; tags on
    their own; signs without a letter or digit. Only the first 100,000 characters are read.

    >>> text = r"34 + 7 = 41. I'm sure. So the answer is 41, I think so. \boxed{41}"
    >>> [(text[s.start:s.end], s.level) for s in split_steps(text)]
    [('34 + 7 = 41.', 4), ('So the answer is 41', 2)]
    """
    pattern, levels = _pattern(tuple(phrases.items()))
    text = text[:MAX_TEXT]
    steps: list[Step] = []
    for start, end in _sentences(text):
        level, clauses = None, []
        for match in pattern.finditer(text, start, end):
            clause = _CLAUSE_START.search(text, max(start, match.start() - 20), match.start())
            if clause or match.start() == start:
                level = levels[_plain(match[0])]
                clauses.append((clause.start() if clause else start, match.end()))
        if clauses:
            states = _WORD.search(text, start, clauses[0][0]) is not None
            behind = len(_WORD.findall(text, clauses[-1][1], end))
            if states and behind <= _BESIDE:
                end = clauses[0][0]
            elif not states and behind > _BESIDE:
                start = clauses[-1][1]
            elif not states:
                if steps:
                    steps[-1] = steps[-1]._replace(level=level)
                continue
        sentence = text[start:end]
        if _is_step(sentence.strip()):
            start += len(sentence) - len(sentence.lstrip())
            steps.append(Step(start, start + len(sentence.strip()), level))
    return steps


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences start and end, a list's number belonging to what follows it."""
    start = 0
    for match in [*_SENTENCE_END.finditer(text), None]:
        end = match.end() if match else len(text)
        sentence = text[start:end]
        if match and match[0] == "." and _LIST_NUMBER.fullmatch(sentence.lstrip()):
            continue
        if sentence.strip():
            yield start + len(sentence) - len(sentence.lstrip()), end
        start = end


def _is_step(sentence: str) -> bool:
    words = _WORD.findall(sentence)
    if not words or sentence.startswith("#") or _TAG.fullmatch(sentence):
        return False
    box = boxed(sentence)
    return box is None or not {*_WORD.findall(" ".join(sentence.rsplit(box, 1)))} <= {"boxed", "fbox"}


@functools.lru_cache(maxsize=8)
def _pattern(phrases: tuple[tuple[str, int], ...]) -> tuple[re.Pattern[str], dict[str, int]]:
    levels = {_plain(phrase): level for phrase, level in phrases}
    longest_first = sorted(levels, key=len, reverse=True)
    words = "|".join(map(re.escape, longest_first)).replace(r"i\ am\ ", r"i(?:\ a|['’])m\ ")
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE), levels


def _plain(phrase: str) -> str:
    return phrase.strip().lower().replace("’", "'").replace("i'm ", "i am ")


def step_key(text: str) -> str:
    """What a step says, for comparison: the key of the answer it states, else of what follows its last "=" (a number
    without the words behind it), else of its last number, else its words.

    >>> step_key("She sold 48/2 = 24 clips in May."), step_key("So 7"), step_key("It is a Cat!")
    ('24', '7', 'it is a cat')
    >>> step_key("y = 2x + 3."), step_key("y = 5x + 3.")
    ('2x+3', '5x+3')
    """
    number = _LIST_NUMBER.match(text)
    text = text[number.end() :] if number and number.end() < len(text) else text
    key = answer_key(text)
    if key is None and "=" in text:
        result = text[-MAX_ANSWER:].rpartition("=")[2].strip().rstrip(".,;:!?*$")
        result = result.removesuffix(r"\)").removesuffix(r"\]").strip()
        quantity = _QUANTITY.match(result)
        key = canonical_key(quantity[0] if quantity else result)
    elif key is None:
        key = answer_key(text, last_number=True)
    return key or " ".join(_WORD.findall(text.lower()))


def agreed_steps(chains: Sequence[Sequence[str]]) -> list[str]:
    """Step keys that more than half of a group's chains hold, as often as more than half of them do.

    Chains without a step do not count.

    >>> agreed_steps([["41", "30", "41"], ["41", "31", "41"], ["41"], []])
    ['41', '41']
    """
    speaking = [Counter(chain) for chain in chains if chain]
    held = Counter((key, i) for chain in speaking for key, count in chain.items() for i in range(count))
    return [key for (key, _), count in held.items() if 2 * count > len(speaking)]
