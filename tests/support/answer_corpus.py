"""The corpus of answers by kind, in tests/answers/corpus: what is asked, and whether it is answered rightly."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from selfrl.answers import answer_key, canonical_key, equivalent, extract
from selfrl.answers.symbolic import keys_equivalent
from selfrl.eval.extraction import find
from selfrl.eval.grading import grade_choice
from selfrl.preferences.verdicts import read_verdict
from selfrl.rewards import MajorityVoteReward

FOLDER = Path(__file__).parents[1] / "answers" / "corpus"
WINNERS = {"first": "A", "second": "B", "tie": "tie", None: None}


class Case(NamedTuple):
    """One question to the code: its kind, what it says, and what tells whether the code is right."""

    kind: str
    text: str
    is_right: Callable[[], bool]


def cases() -> Iterator[Case]:
    """Every case of every file."""
    for file in sorted(FOLDER.glob("*.yaml")):
        for entry in yaml.safe_load(file.read_text()):
            for check, ask in CHECKS.items():
                for item in entry.get(check, ()):
                    for text, is_right in ask(item):
                        yield Case(f"{entry['issue']}. {entry['kind']}", f"{check}: {text}", is_right)


Asked = Iterator[tuple[str, Callable[[], bool]]]


def same(texts: list[str]) -> Asked:
    """The first equals every other, both ways; each has a key, and keeps it."""
    for text in texts[1:]:
        yield f"{texts[0]} ~ {text}", lambda text=text: _equal(texts[0], text) is True


def different(pair: list[str]) -> Asked:
    """Two texts are certainly unequal."""
    yield f"{pair[0]} | {pair[1]}", lambda: _equal(*pair) is False


def keyed(text: str) -> Asked:
    """A text has a key, which is its own."""
    yield text, lambda: _has_stable_key(text)


def reads(pair: list[str | None]) -> Asked:
    """A completion states this answer."""
    yield f"{pair[0]!r} -> {pair[1]}", lambda: _reads(answer_key(pair[0] or ""), pair[1])


def last_number(pair: list[str]) -> Asked:
    """This is a text's last number."""
    yield f"{pair[0]!r} -> {pair[1]}", lambda: _reads(answer_key(pair[0], last_number=True), pair[1])


def choices(pair: list[str | None]) -> Asked:
    """A completion chooses this option, and no other, under the rules of multiple-choice tasks."""
    text, option = pair

    def is_right() -> bool:
        answer = find(text or "", ["boxed", "choice_is", "answer_is"])
        right = [o for o in "ABCD" if grade_choice([answer], o, {})[0].correct]
        return right == ([option] if option else [])

    yield f"{text!r} -> {option}", is_right


def verdicts(pair: list[str | None]) -> Asked:
    """A judge's reply says this."""
    yield f"{pair[0]!r} -> {pair[1]}", lambda: WINNERS[read_verdict(pair[0])] == pair[1]


def votes(case: dict[str, Any]) -> Asked:
    """A group elects this answer, and every completion is rewarded so."""
    completions = [rf"\boxed{{{answer}}}" for answer in case["answers"]]

    def is_right() -> bool:
        rewards = MajorityVoteReward()(["?"] * len(completions), completions)
        return rewards == case["rewards"] and extract(completions[rewards.index(1)]) is not None

    yield " ".join(case["answers"]), is_right


CHECKS: dict[str, Callable[[Any], Asked]] = {
    check.__name__: check for check in (same, different, keyed, reads, last_number, choices, verdicts, votes)
}


def _equal(a: str, b: str) -> bool | None:
    one, other = equivalent(a, b), equivalent(b, a)
    return one if one == other and _has_stable_key(a) and _has_stable_key(b) else None


def _has_stable_key(text: str) -> bool:
    key = canonical_key(text)
    return key is not None and canonical_key(key) == key


def _reads(key: str | None, expected: str | None) -> bool:
    return key is None if expected is None else keys_equivalent(key, canonical_key(expected)) is True
