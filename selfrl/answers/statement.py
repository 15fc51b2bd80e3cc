"""What a sentence such as "the answer is 5, because …" states: the value, without what is said about it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from selfrl.answers.limits import MAX_ANSWER

TRIED = 20  # of the last statements of a text

_MARKS = r"(?:[\s:]|\*{1,3}(?=\s)){0,9}"
_STATES = (
    r"\b(?:NOUNS)[\s*_]{0,9}"
    r"(?:[,(]?\s?\b(?:to|for|in|of|from|we|i|you|that|which|as|rounded|expressed|here)\b[^.:=\n]{1,80}?[\s,)*]{1,3})?"
    r"(?:\b(?:is|are|was|equals|(?:would|will|must|should|can|could|may|might|(?:turn|come|work)s\sout\sto)\s+be)\b"
    rf"|\bof(?=\s*[-$\\\d*(])|[:=]){_MARKS}"
    rf"|^[ \t#*_]{{0,9}}(?:the\s)?(?:final\s|correct\s)?(?:NOUNS)[ \t:*_]{{0,9}}\n{_MARKS}"
)
_ANSWER_STATES = re.compile(_STATES.replace("NOUNS", "answers?"), re.IGNORECASE | re.MULTILINE)
_CHOICE_STATES = re.compile(_STATES.replace("NOUNS", "answers?|choice|option"), re.IGNORECASE | re.MULTILINE)
_FILLER = re.compile(
    r"[\s,]*(?:(?:indeed|therefore|thus|hence|simply|just|exactly|precisely|actually|clearly|then|now|also|still|only"
    r"|definitely|obviously|certainly|approximately|roughly|about|around|either|equal to|given by|in fact|of course"
    r"|found to be|the following|as follows|a total of)\b[\s,:*]*)+",
    re.IGNORECASE,
)
# "right" alone is a remark, "right triangle" an answer
_REMARK = re.compile(
    r"(?:(?:very|quite|probably|likely|not|surely|really|already|both|all)\s)*"
    r"(?:(?:right|good|fine|known|shown|done|here|there|the same)"
    r"|(?:(?:in)?(?:correct|accurate|valid|consistent|complete)|wrong|obvious|clear|unique|ok|okay|reasonable|plausible"
    r"|confirmed|verified|simple|easy|hard|straightforward|found|obtained|given|below|above|as follows|supported"
    r"|unclear|unknown to me|what|that|because)\b.*)"
    r"|not\s+[-$\\\d].*|",
    re.IGNORECASE | re.DOTALL,
)
# said of an answer; an answer itself only where no other is stated
_PROPERTY = re.compile(
    r"(?:(?:always|never|also|indeed|not|an?|of course|already|still)\s)*(?:non-?)?(?:positive|negative|zero|even|odd"
    r"|prime|integer|integral|whole|natural|real|rational|irrational|finite|exact|close|small|large|less|more|greater|smaller"
    r"|larger|bigger|between|within|divisible|number|fraction|decimal|multiple|in|at|on|to|by)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_CLAUSE = re.compile(
    r"[,;:]?\s+(?:because|since|as|which|so|hence|thus|therefore|but|namely|meaning|instead|rather|whereas|although"
    r"|due to|i\.e\.|e\.g\.|that is|given that|considering"
    r"|and (?:not|we|the|it|this|that|so|I|they|hence|thus))(?=\s|,|$)"
    r"|[,;]\s+(?:the|we|it|this|that|they|he|she|I|you|just|after|using|by|with|in|from|not|obtained|found|rounded"
    r"|assuming|where|when|while|whose|who|for|if|all|both|each|only|after|is|are)\b"
    r"|;\s+(?=[a-zA-Z]{3})"
    r"|\s+\((?=[a-z]{2,})|\s+[–—]+\s+(?=[a-zA-Z]{2})|\s+--?\s+(?=[a-zA-Z']{2,}\s[a-zA-Z]{2,})"
)
_SENTENCE_END = re.compile(r"(?<!\\)[.!?](?:\s|$)|[。！？]|\n")  # "\! " is a LaTeX blank
_ABBREVIATION = re.compile(r"\b(?:sq|cu|approx|i\.e|e\.g|Dr|Mrs?|Ms|St|Mt)\.$", re.IGNORECASE)
# A dollar sign before a blank, or a second one before a digit, is money.
_MATH = (
    r"(?:\$\$[^$]{1,1000}\$\$|\$(?!\s)(?:[^$\\]|\\.){1,1000}(?<!\s)\$(?!\d)"
    r"|\\\((?:(?!\\\)).){1,1000}\\\)|\\\[(?:(?!\\\]).){1,1000}\\\])"
)
_FORMULAS = re.compile(rf"{_MATH}(?:(?:,|\s(?:and|or)|,\s(?:and|or))\s{_MATH}){{0,20}}", re.DOTALL)
_GOES_ON = re.compile(
    r"\s*(?:[-+*/=<>^_\\$%\d]|\((?![a-zA-Z])"
    r"|(?:hundred|thousand|million|billion|trillion|dozens?|percent|times|to|plus|minus|out|or|over|squared|cubed"
    r"|factorial|below)\b)"
)


def stated(text: str) -> tuple[int, int] | None:
    """Where the last statement of an answer has its value, as (start, end); None if nothing is stated.

    A remark ("the answer is correct") states nothing: the statement before it counts.

    >>> text = "The answer is indeed 5, because 2 + 3 = 5. I am sure that this answer is correct."
    >>> text[slice(*stated(text))]
    '5'
    """
    found = list(statements(text))
    values = [span for span in found if not _PROPERTY.fullmatch(text[slice(*span)].strip(" *_.,"))]
    return next(iter([*values, *found]), None)


def statements(text: str, choice: bool = False) -> Iterator[tuple[int, int]]:
    """Where the statements of an answer, or also of a choice, have their values; the last first."""
    states = _CHOICE_STATES if choice else _ANSWER_STATES
    for match in reversed(deque(states.finditer(text), maxlen=TRIED)):
        if (span := _value(text, match.end())) is not None:
            yield span


def _value(text: str, start: int) -> tuple[int, int] | None:
    rest = text[start : start + MAX_ANSWER + 1]
    if filler := _FILLER.match(rest):
        start += filler.end()
        rest = rest[filler.end() :]
    start += len(rest) - len(rest.lstrip())
    rest = rest.lstrip()
    if emphasis := re.match(r"[*_]{1,3}(?=\$|\\[(\[])", rest):
        start += emphasis.end()
        rest = rest[emphasis.end() :]
    formulas = _FORMULAS.match(rest)
    end = _sentence_end(rest, formulas.end() if formulas else 0)
    if formulas:
        # "$3$ hours and $20$ minutes" is one answer
        after = rest[formulas.end() : end]
        if not _GOES_ON.match(after) and not re.search(_MATH, after, re.DOTALL):
            return start, start + formulas.end()
    answer = rest[:end]
    if _REMARK.fullmatch(answer.strip(" *_.,")):
        return None
    if clause := _CLAUSE.search(answer, 1):
        answer = answer[: clause.start()]
    if answer.count("**") == 1:  # of a mark that opened before
        answer = answer.rstrip().removesuffix("**")
    return None if _REMARK.fullmatch(answer.strip(" *_.,")) else (start, start + len(answer))


def _sentence_end(text: str, start: int) -> int:
    for match in _SENTENCE_END.finditer(text, start):
        if not (match[0].startswith(".") and _ABBREVIATION.search(text, 0, match.start() + 1)):
            return match.start()
    return len(text)
