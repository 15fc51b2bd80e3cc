"""The data gate between who writes prompts and who trains on them: mandatory, logged, and closed where it fails.

A strict gate decides over stability, whatever the reward (Survive-or-Collapse, 2605.22217): without it no reward is
enough, and the training's own figures look well for long after what is held out has fallen.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from selfrl.rewards.program_check import program_reason
from selfrl.rewards.program_item import COLUMN, ProgramItem
from selfrl.selfplay.gate_checks import (
    Bounds,
    Contamination,
    difficulty,
    exact_duplicate,
    label,
    leak,
    near_duplicate,
    parse,
    shape,
    spread,
)
from selfrl.selfplay.near_index import NearIndex
from selfrl.selfplay.pool import Entry

Check = tuple[int, Callable[[], str | None]]
Mode = Literal["strict", "syntax", "leaky", "off"]
NAMES = {
    1: "parse",
    2: "shape",
    3: "leak",
    4: "exact_duplicate",
    5: "near_duplicate",
    6: "contamination",
    7: "executable",
    8: "label",
    9: "difficulty",
    10: "spread",
}


@dataclass(frozen=True)
class Proposal:
    """What a creator proposes, with what is known of it so far.

    Args:
        id: of its log row.
        text: what is asked; whatever a creator gave, a text or not.
        parent: text of the prompt that it was made from.
        keys: merged answer keys of the solver's samples; None before it was asked.
        rewards: of these samples.
        program: for items that are answered by running one.
        inputs: that it is run with, each the arguments of one call as literals.
    """

    id: str
    text: str
    parent: str | None = None
    keys: tuple[str | None, ...] | None = None
    rewards: tuple[float, ...] | None = None
    program: str | None = None
    inputs: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        entry: Entry,
        parent: str | None = None,
        keys: Sequence[str | None] | None = None,
        rewards: Sequence[float] | None = None,
    ) -> Proposal:
        """An entry of a pool, with its program if it is about one."""
        item = ProgramItem.from_columns(entry.columns) if entry.columns.get(COLUMN) else None
        program, inputs = (None, ()) if item is None else (item.program, item.inputs)
        known = tuple(keys) if keys else None
        return cls(entry.id, entry.text, parent, known, tuple(rewards) if rewards else None, program, inputs)

    @property
    def solve_rate(self) -> float | None:
        """Mean reward of the samples; None before it was asked."""
        return sum(self.rewards) / len(self.rewards) if self.rewards else None


class Verdict(NamedTuple):
    """One row of the log.

    Args:
        id: of the proposal.
        accepted: whether it may be trained on.
        check: number of the first check that it failed; None if it failed none.
        why: in a few words.
        solve_rate: of the samples, if it was asked.
        label_share: share of the samples that gave the most common answer.
        leaked: whether it was let through though a check failed.
    """

    id: str
    accepted: bool
    check: int | None
    why: str | None
    solve_rate: float | None
    label_share: float | None
    leaked: bool = False


class Gate:
    """Judges proposals twice, in the order of the checks, and logs every verdict.

    [`judge`] has checks 1 to 7, of what was written; what passes is asked, and [`judge_answers`] has the others, of the
    solver's samples. What passed the first is in the index only once [`admit`] says so.

    Args:
        index: of seeds and pool.
        contamination: of the evaluation sets' questions.
        bounds: for label and difficulty.
        mode: "strict" has all checks, "syntax" the first three, "leaky" lets a rejected item through with probability
            `leak_rate`, "off" lets everything through.
        leak_rate: for "leaky".
        seed: of what leaks.
        log: file that gets one JSON line a verdict.
        i_know_this_collapses: must be True for "off"; the run is marked ungated.

    Raises:
        ValueError: for an unknown mode, a leak rate without "leaky" or outside 0 and 1, or "off" without knowing.

    Example:
        >>> gate = Gate(NearIndex(["Add 3 and 4, then 5."].__getitem__), Contamination([]))
        >>> [gate.judge([Proposal("a", text)])[0].why for text in ("Add 3.", "How many days has a year?")]
        ['too few words', None]
        >>> gate.counts["reject/2"], gate.counts["in"]
        (1, 2)
    """

    def __init__(
        self,
        index: NearIndex,
        contamination: Contamination,
        bounds: Bounds | None = None,
        mode: Mode = "strict",
        leak_rate: float = 0.0,
        seed: int = 0,
        log: Path | None = None,
        i_know_this_collapses: bool = False,
    ) -> None:
        if mode not in ("strict", "syntax", "leaky", "off"):
            raise ValueError(f"The gate has no mode {mode!r}: choose strict, syntax, leaky or off.")
        if not 0 <= leak_rate <= 1 or (leak_rate > 0) != (mode == "leaky"):
            raise ValueError(f"The gate's leak_rate is {leak_rate} in the mode {mode}: only leaky has one, up to 1.")
        if mode == "off" and not i_know_this_collapses:
            raise ValueError("A gate that is off lets training collapse: say i_know_this_collapses, or take strict.")
        self.index, self.contamination, self.bounds = index, contamination, bounds or Bounds()
        self.mode, self.leak_rate, self.log = mode, leak_rate, log
        self.counts: Counter[str] = Counter()
        self._rng = random.Random(f"gate/{seed}")
        self._leaked: set[str] = set()

    @property
    def ungated(self) -> bool:
        """Whether the run must be marked so."""
        return self.mode == "off"

    def judge(self, proposals: Sequence[Proposal]) -> list[Verdict]:
        """A verdict on what was written, one each; two that are equal in one call do not count as duplicates."""
        self.counts["in"] += len(proposals)
        return self._logged([self._verdict(proposal, self._checks(proposal)) for proposal in proposals])

    def judge_answers(self, proposals: Sequence[Proposal]) -> list[Verdict]:
        """A verdict on the solver's samples of what passed, one each; without samples it is refused."""
        verdicts = self._logged([self._verdict(proposal, self._answer_checks(proposal)) for proposal in proposals])
        self.counts["out"] += sum(verdict.accepted for verdict in verdicts)
        return verdicts

    def admit(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        """Know what entered the pool, under its places there."""
        self.index.add_many(numbers, texts)

    def figures(self) -> dict[str, float]:
        """What a log line shows: all counts, and the share that was not refused."""
        refused = sum(count for name, count in self.counts.items() if name.startswith("reject/"))
        acceptance = 1 - (refused - self.counts["leaked"]) / max(self.counts["in"], 1)
        return {f"gate/{name}": float(value) for name, value in {**self.counts, "acceptance": acceptance}.items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        version, numbers, gauss = self._rng.getstate()
        return {
            "counts": dict(self.counts),
            "rng": [version, list(numbers), gauss],
            "leaked": sorted(self._leaked),
            "logged": self.log.stat().st_size if self.log is not None and self.log.exists() else 0,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state; log rows that were written after it are taken away."""
        self.counts, self._leaked = Counter(state["counts"]), set(state["leaked"])
        version, numbers, gauss = state["rng"]
        self._rng.setstate((version, tuple(numbers), gauss))
        if self.log is not None and self.log.exists():
            os.truncate(self.log, min(state["logged"], self.log.stat().st_size))

    def _logged(self, verdicts: list[Verdict]) -> list[Verdict]:
        for verdict in verdicts:
            if verdict.check is not None:
                self.counts[f"reject/{verdict.check}"] += 1
                self.counts["leaked"] += verdict.leaked
        if self.log is not None:
            with self.log.open("a") as file:
                file.writelines(json.dumps(verdict._asdict()) + "\n" for verdict in verdicts)
        return verdicts

    def _verdict(self, item: Proposal, checks: Sequence[Check]) -> Verdict:
        check, why = (None, None) if self.mode == "off" else _first_failing(checks)
        leaked = check is not None and self._leaks(item.id)
        known = [key for key in item.keys or () if key is not None]
        share = max(map(known.count, known)) / len(item.keys or ()) if known else None
        return Verdict(item.id, check is None or leaked, check, why, item.solve_rate, share, leaked)

    def _leaks(self, name: str) -> bool:
        """Whether an invalid item is let through: decided once, so that it is so in both stages."""
        if self.mode == "leaky" and name not in self._leaked and self._rng.random() < self.leak_rate:
            self._leaked.add(name)
        return name in self._leaked

    def _checks(self, item: Proposal) -> list[Check]:
        checks: list[Check] = [(1, lambda: parse(item.text))]
        if item.program is None:  # questions about programs have our words, and say where the answer goes
            checks += [(2, lambda: shape(item.text)), (3, lambda: leak(item.text, item.parent))]
        if self.mode == "syntax":
            return checks
        checks += [
            (4, lambda: exact_duplicate(item.text, self.index)),
            (5, lambda: near_duplicate(item.text, self.index)),
            (6, lambda: self.contamination(item.text)),
        ]
        program = item.program
        if program is not None:
            checks.append((7, lambda: program_reason(program, item.inputs)))
        return checks

    def _answer_checks(self, item: Proposal) -> list[Check]:
        if self.mode == "syntax":
            return []
        keys, rate, rewards = item.keys, item.solve_rate, item.rewards or ()
        low, high = self.bounds.low, self.bounds.high
        return [
            (8, lambda: label(keys or (), self.bounds.min_votes)),
            (9, lambda: "no rewards" if rate is None else difficulty(rate, low, high)),
            (10, lambda: spread(rewards)),
        ]


def _first_failing(checks: Sequence[Check]) -> tuple[int | None, str | None]:
    for number, check in checks:
        try:
            why = check()
        except Exception as error:  # whatever a hostile text does to a check: closed
            why = f"the check failed ({type(error).__name__})"
        if why is not None:
            return number, why
    return None, None


def described(gate: Gate) -> dict[str, object]:
    """What a run's record holds of its gate.

    >>> described(Gate(NearIndex([].__getitem__), Contamination([])))["mode"]
    'strict'
    """
    return {"mode": gate.mode, "leak_rate": gate.leak_rate, "ungated": gate.ungated, **asdict(gate.bounds)}
