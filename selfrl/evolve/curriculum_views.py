"""A run of `selfrl evolve`, read back for people: one view a round, of whatever is on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from selfrl.selfplay.answered import Answers
from selfrl.selfplay.curriculum_figures import (
    Descent,
    Spread,
    dead_mass,
    descent,
    duplicate_share,
    mean_learnability,
    rate_counts,
    refusals,
    topic_of,
    topic_spread,
    vote_gap,
)
from selfrl.selfplay.gate import Verdict
from selfrl.selfplay.pool import Entry, PromptPool
from selfrl.selfplay.stage_files import read_lines


class Example(NamedTuple):
    """A prompt and what was made of it.

    Args:
        parent: its text.
        child: its text.
        operator: what made it.
        refused: why it was; None if it was accepted.
    """

    parent: str
    child: str
    operator: str
    refused: str | None


@dataclass(frozen=True)
class RoundView:
    """One round.

    Args:
        number: from 1.
        record: what the finished round says of itself; empty before.
        rates: mean reward of each scored prompt.
        bins: how many fall into each of [`selfrl.selfplay.curriculum_figures.BINS`]; None for rewards that are no
            rates.
        children: how many were written.
        accepted: how many may be trained on.
        refused: how many not, by check.
        duplicates: share of what was judged that was there already.
        rejudged: accepted prompts that were asked again.
        overturned: how many of these would then be refused.
        descent: of the accepted.
        topics: of the accepted; None without any.
        words: mean length of the accepted.
        vote_share: mean share of the majority, over the prompts that have a gold answer if any has.
        right: share of these majorities that are right; None without a gold answer.
        gap: vote share minus right.
        mix: what was trained on.
        examples: some children, accepted ones first.
    """

    number: int
    record: dict[str, Any]
    rates: list[float]
    bins: list[int] | None
    children: int
    accepted: int
    refused: dict[str, int]
    duplicates: float
    rejudged: int
    overturned: int
    descent: Descent
    topics: Spread | None
    words: float
    vote_share: float | None
    right: float | None
    gap: float | None
    mix: dict[str, Any]
    examples: list[Example]

    @property
    def acceptance(self) -> float | None:
        """Share of the children that were accepted; None before the gate is through, or without any."""
        return None if not self.children or not self.mix else self.accepted / self.children

    @property
    def dead(self) -> float | None:
        """Share of scored prompts that are always or never solved; None for rewards that are no rates."""
        return None if self.bins is None else dead_mass(self.rates)

    @property
    def learnability(self) -> float | None:
        """Mean of 4 p (1 − p); None for rewards that are no rates."""
        return None if self.bins is None else mean_learnability(self.rates)


def read_run(folder: Path) -> tuple[PromptPool, list[RoundView]]:
    """The pool and the rounds of a run.

    Raises:
        ValueError: for a folder that holds none.
    """
    pool = PromptPool.load(folder / "pool")
    known = {entry.id: entry for entry in pool}
    return pool, [_view(path, known) for path in sorted((folder / "rounds").glob("[0-9]*"))]


def _view(folder: Path, known: dict[str, Entry]) -> RoundView:
    scored = [Answers.from_json(row) for row in _parts(folder / "scored")]
    children = [Entry(**row) for row in _parts(folder / "children")]
    of_texts, of_answers = (_log(folder / name) for name in ("gate-texts.jsonl", "gate-answers.jsonl"))
    verdicts = of_texts + of_answers
    gate = _json(folder / "accepted.json")
    accepted = [known[name] for name in gate.get("accepted", []) if name in known]
    rates = [fmean(answers.rewards) for answers in scored if answers.rewards]
    votes = {a.id: a.vote_share for a in scored if a.vote_share is not None}
    right = {a.id: a.label_right for a in scored if a.label_right is not None and a.id in votes}
    told = [votes[name] for name in right] or list(votes.values())
    return RoundView(
        number=int(folder.name),
        record=_json(folder / "round.json"),
        rates=rates,
        bins=rate_counts(rates),
        children=len({child.id for child in children}),
        accepted=len(accepted),
        refused=refusals(verdicts),
        duplicates=duplicate_share(of_texts),
        rejudged=gate.get("rejudged", 0),
        overturned=gate.get("overturned", 0),
        descent=descent(accepted),
        topics=topic_spread(map(topic_of, accepted)) if accepted else None,
        words=fmean(len(entry.text.split()) for entry in accepted) if accepted else 0.0,
        vote_share=fmean(told) if told else None,
        right=fmean(right.values()) if right else None,
        gap=vote_gap(votes, right),
        mix=_json(folder / "mix.json"),
        examples=_examples(children, verdicts, known),
    )


def _examples(children: Sequence[Entry], verdicts: Sequence[Verdict], known: dict[str, Entry]) -> list[Example]:
    """Children with what they were made from, the accepted ones first."""
    texts = {**{name: entry.text for name, entry in known.items()}, **{child.id: child.text for child in children}}
    refused = {verdict.id: verdict.why or "" for verdict in verdicts if not verdict.accepted}
    found = [
        Example(texts.get(child.parent or "", ""), child.text, child.operator, refused.get(child.id))
        for child in children
        if child.id in refused or child.id in known
    ]
    return sorted(found, key=lambda example: example.refused is not None)


def _log(path: Path) -> list[Verdict]:
    """Verdicts of a log that may be written to: what follows the last line's end is not whole yet."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [Verdict(**json.loads(line)) for line in text.split("\n")[:-1]]


def _parts(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("part-*.jsonl")) for row in read_lines(file)]


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
