"""A run of prompt optimisation as it stands in `results.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfrl.files import write_whole
from selfrl.preferences.verdicts import Tally, Vote
from selfrl.prompting.roles import RoleName, Usage

FILE = "results.json"
VERSION = 1

Outcome = Literal["start", "won", "lost", "tied", "no prompt", "same prompt", "no answers", "no verdict"]
STANDING: tuple[Outcome, ...] = ("start", "won", "tied")  # what a later comparison may still find to be the best


@dataclass
class Answer:
    """The executor's output on a question; `cut` at its length limit."""

    text: str
    cut: bool = False


@dataclass
class Ballot:
    """A verdict on two rounds' outputs.

    Args:
        vote: "one" for the first of the two rounds, "two" for the second, "tie", or None if it could not be read.
        swapped: whether the second round's outputs were shown first.
        reply: what the evaluator said; None if the call failed.
    """

    vote: Vote | None
    swapped: bool
    reply: str | None


@dataclass
class Comparison:
    """Verdicts on the outputs of two rounds, `one` and `two` by their numbers."""

    one: int
    two: int
    ballots: list[Ballot]

    @property
    def tally(self) -> Tally:
        """The votes, counted."""
        return Tally.of([ballot.vote for ballot in self.ballots])


@dataclass
class Round:
    """One round; what has not happened yet is None.

    Args:
        number: from 1, the initial prompt.
        prompt: the prompt tried; None if the optimiser gave none.
        modification: the optimiser's sentence on what is new.
        analysis: its reasons.
        answers: the executor's outputs on the samples, None for those that failed.
        comparison: with the best prompt so far (`one`), of this round's (`two`).
        outcome: what came of it.
        usage: of each role.
        seconds: wall time.
    """

    number: int
    prompt: str | None = None
    modification: str | None = None
    analysis: str | None = None
    answers: list[Answer | None] | None = None
    comparison: Comparison | None = None
    outcome: Outcome | None = None
    usage: dict[RoleName, Usage] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class HeldOut:
    """The best prompt (`two`) against the initial one (`one`) on questions that no round has seen.

    Args:
        questions: their places in the task.
        one: the initial prompt's outputs.
        two: the best prompt's.
        ballots: two a question, one in either order.
        usage: of each role.
    """

    questions: list[int]
    one: list[Answer | None]
    two: list[Answer | None]
    ballots: list[list[Ballot]]
    usage: dict[RoleName, Usage]

    @property
    def won(self) -> int:
        """Questions on which the best prompt has more votes."""
        return sum(t.two > t.one for t in self.tallies)

    @property
    def lost(self) -> int:
        """Questions on which the initial one has."""
        return sum(t.one > t.two for t in self.tallies)

    @property
    def tallies(self) -> list[Tally]:
        """The votes on each question."""
        return [Tally.of([ballot.vote for ballot in ballots]) for ballots in self.ballots]


@dataclass
class Run:
    """A whole run.

    Args:
        begun: what decides its course: task, settings, roles, templates; a run resumes only with the same.
        samples: places of the questions that the rounds work with, the same ones throughout.
        rounds: in order.
        finalists: rounds whose prompts meet once more at the end.
        finals: their comparisons.
        finals_usage: of each role; also of the endings before further rounds were asked for.
        best: number of the best prompt's round; None until the finals are over.
        heldout: the check on other questions, if there are any.
        done: whether everything is over.
    """

    begun: dict[str, Any]
    samples: list[int]
    rounds: list[Round] = field(default_factory=list)
    finalists: list[int] = field(default_factory=list)
    finals: list[Comparison] | None = None
    finals_usage: dict[RoleName, Usage] = field(default_factory=dict)
    best: int | None = None
    heldout: HeldOut | None = None
    done: bool = False

    @property
    def champion(self) -> Round:
        """The last round that won against the best before it; the first, if none did."""
        return next(r for r in reversed(self.rounds) if r.outcome in ("start", "won"))

    @property
    def initial_prompt(self) -> str:
        """Where the run started."""
        return str(self.begun["task"]["prompt"])

    @property
    def best_prompt(self) -> str:
        """The best prompt so far."""
        best = self.champion if self.best is None else self.rounds[self.best - 1]
        assert best.prompt is not None
        return best.prompt

    @property
    def comparisons(self) -> list[Comparison]:
        """All that were made of rounds."""
        return [r.comparison for r in self.rounds if r.comparison is not None] + (self.finals or [])

    @property
    def usage(self) -> dict[RoleName, Usage]:
        """Of each role, summed over the whole run."""
        parts = [r.usage for r in self.rounds] + [self.finals_usage]
        return summed([*parts, *([self.heldout.usage] if self.heldout else [])])


def summed(parts: Iterable[dict[RoleName, Usage]]) -> dict[RoleName, Usage]:
    """Usage by role, added up."""
    found: dict[RoleName, Usage] = {}
    for part in parts:
        for name, usage in part.items():
            found[name] = found.get(name, Usage()) + usage
    return found


def write_run(folder: Path, run: Run) -> None:
    """Write `results.json`, whole or not at all; with what follows from it, for people and other programs."""
    folder.mkdir(parents=True, exist_ok=True)
    extra: dict[str, Any] = {"version": VERSION}
    if run.rounds and run.rounds[0].outcome is not None:
        extra |= {"best_prompt": run.best_prompt, "usage": {name: asdict(u) for name, u in run.usage.items()}}
    write_whole(folder / FILE, json.dumps({**extra, **asdict(run)}, indent=1) + "\n")


def read_run(folder: str | Path) -> Run:
    """Read a run's folder.

    Raises:
        ValueError: if it holds no run.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}: give a folder that `selfrl optimize` wrote.")
    try:
        return _run_of(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} was not written by this version of `selfrl optimize`: give another folder."
        ) from error


def read_prompts(source: str) -> tuple[str, str]:
    """The initial and the best prompt of a run.

    Raises:
        ValueError: if the folder holds no run that has begun.
    """
    run = read_run(source)
    if not run.rounds or run.rounds[0].outcome is None:
        raise ValueError(f"The run {source} has no prompt yet: let its first round end.")
    return run.initial_prompt, run.best_prompt


def read_prompt(source: str) -> str:
    """The best prompt of a run's folder, or the text of a file.

    Raises:
        ValueError: if it is neither, or the text is blank.
    """
    path = Path(source)
    if path.is_dir():
        return read_prompts(source)[1]
    if not path.is_file():
        raise ValueError(f"The prompt {source} does not exist: give a folder of `selfrl optimize`, or a text file.")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"The prompt {source} is no text file: give one, or a folder of `selfrl optimize`.") from error
    if not text:
        raise ValueError(f"The prompt {source} is blank: write it.")
    return text


def _run_of(plain: dict[str, Any]) -> Run:
    if plain["version"] != VERSION:
        raise KeyError("version")
    rounds = [
        Round(
            **{
                **r,
                "answers": None if r["answers"] is None else _answers(r["answers"]),
                "comparison": None if r["comparison"] is None else _comparison(r["comparison"]),
                "usage": _usage(r["usage"]),
            }
        )
        for r in plain["rounds"]
    ]
    heldout = plain["heldout"]
    return Run(
        begun=plain["begun"],
        samples=plain["samples"],
        finalists=plain["finalists"],
        rounds=rounds,
        finals=None if plain["finals"] is None else [_comparison(c) for c in plain["finals"]],
        finals_usage=_usage(plain["finals_usage"]),
        best=plain["best"],
        heldout=None
        if heldout is None
        else HeldOut(
            heldout["questions"],
            _answers(heldout["one"]),
            _answers(heldout["two"]),
            [[Ballot(**b) for b in ballots] for ballots in heldout["ballots"]],
            _usage(heldout["usage"]),
        ),
        done=plain["done"],
    )


def _answers(plain: list[Any]) -> list[Answer | None]:
    return [None if a is None else Answer(**a) for a in plain]


def _comparison(plain: dict[str, Any]) -> Comparison:
    return Comparison(plain["one"], plain["two"], [Ballot(**b) for b in plain["ballots"]])


def _usage(plain: dict[RoleName, Any]) -> dict[RoleName, Usage]:
    return {name: Usage(**usage) for name, usage in plain.items()}
