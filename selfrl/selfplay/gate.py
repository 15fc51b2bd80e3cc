"""The data gate between who writes prompts and who trains on them: mandatory, logged, and closed where it fails.

A strict gate decides over stability, whatever the reward (Survive-or-Collapse, 2605.22217): without it no reward is
enough, and the training's own figures look well for long after what is held out has fallen.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

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
    """

    id: str
    text: str
    parent: str | None = None
    keys: tuple[str | None, ...] | None = None
    rewards: tuple[float, ...] | None = None
    program: str | None = None

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
    """Judges proposals by the checks that can be made of them, in order, and logs every verdict.

    Before the solver was asked (`keys` and `rewards` are None) checks 1 to 7 run; what passes is asked, and judged
    again by all. An accepted text of the first stage is not in the index yet: call [`admit`] with what enters the pool.

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

    @property
    def ungated(self) -> bool:
        """Whether the run must be marked so."""
        return self.mode == "off"

    def judge(self, proposals: Sequence[Proposal]) -> list[Verdict]:
        """A verdict each, in order; two that are equal in one call are duplicates of each other only once admitted."""
        verdicts = [self._verdict(proposal) for proposal in proposals]
        for verdict in verdicts:
            self.counts["in"] += 1
            self.counts["out" if verdict.accepted else f"reject/{verdict.check}"] += 1
            self.counts["leaked"] += verdict.leaked
        if self.log is not None:
            with self.log.open("a") as file:
                file.writelines(json.dumps(verdict._asdict()) + "\n" for verdict in verdicts)
        return verdicts

    def admit(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        """Know what entered the pool, under its places there."""
        self.index.add_many(numbers, texts)

    def figures(self) -> dict[str, float]:
        """What a log line shows: all counts, and the share that was let through."""
        shares = {"acceptance": self.counts["out"] / max(self.counts["in"], 1)}
        return {f"gate/{name}": float(value) for name, value in {**self.counts, **shares}.items()}

    def _verdict(self, item: Proposal) -> Verdict:
        check, why = (None, None) if self.mode == "off" else self._first_failing(item)
        leaked = check is not None and self.mode == "leaky" and self._rng.random() < self.leak_rate
        known = [key for key in item.keys or () if key is not None]
        share = max(map(known.count, known)) / len(item.keys or ()) if known else None
        return Verdict(item.id, check is None or leaked, check, why, item.solve_rate, share, leaked)

    def _first_failing(self, item: Proposal) -> tuple[int | None, str | None]:
        for number, check in self._checks(item):
            try:
                why = check()
            except Exception as error:  # whatever a hostile text does to a check: closed
                why = f"the check failed ({type(error).__name__})"
            if why is not None:
                return number, why
        return None, None

    def _checks(self, item: Proposal) -> list[tuple[int, Callable[[], str | None]]]:
        checks: list[tuple[int, Callable[[], str | None]]] = [
            (1, lambda: parse(item.text)),
            (2, lambda: shape(item.text)),
            (3, lambda: leak(item.text, item.parent)),
        ]
        if self.mode == "syntax":
            return checks
        checks += [
            (4, lambda: exact_duplicate(item.text, self.index)),
            (5, lambda: near_duplicate(item.text, self.index)),
            (6, lambda: self.contamination(item.text)),
        ]
        if item.program is not None:
            checks.append((7, lambda: "programs are not run"))
        if item.keys is not None:
            keys = item.keys
            checks.append((8, lambda: label(keys, self.bounds.min_votes)))
        if item.rewards is not None:
            rate, rewards = item.solve_rate, item.rewards
            if rate is None:
                return [*checks, (9, lambda: "no rewards")]
            checks += [
                (9, lambda: difficulty(rate, self.bounds.low, self.bounds.high)),
                (10, lambda: spread(rewards)),
            ]
        return checks


def described(gate: Gate) -> dict[str, object]:
    """What a run's record holds of its gate.

    >>> described(Gate(NearIndex([].__getitem__), Contamination([])))["mode"]
    'strict'
    """
    return {"mode": gate.mode, "leak_rate": gate.leak_rate, "ungated": gate.ungated, **asdict(gate.bounds)}
