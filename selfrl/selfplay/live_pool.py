"""The online form: a pool that a running trainer draws its prompts from, and that learns from what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from selfrl.conversation import row_id
from selfrl.generation import Generator, seed_of
from selfrl.group_record import GroupRecord
from selfrl.selfplay.creator import Creator, Parent
from selfrl.selfplay.curriculum_settings import CurriculumSettings
from selfrl.selfplay.gate import Proposal
from selfrl.selfplay.informativeness import MEASURES
from selfrl.selfplay.pool import Entry, PromptPool, forebear
from selfrl.selfplay.row_form import Row, RowForm
from selfrl.selfplay.selection import gumbel_top_k

UNTRIED = 1.0  # weight of a prompt that was not visited: what nobody tried is tried first
FLOOR = 1e-3  # of a visited prompt, so that each may come again


class LivePool:
    """Gives a group trainer its prompts, and makes new ones of those that teach it most.

    The trainer's data are the seeds. Each batch is drawn by weight, a share of it among what was evolved. A prompt's
    weight is its informativeness when it was visited last, smoothed over its visits. Every `every` batches `parents`
    prompts are selected by weight and evolved. The gate judges a child twice: its text before it enters the pool, and
    the answers and rewards of its first group before a gradient is taken of them. A child that is refused then is never
    drawn again.

    Args:
        creator: writes new prompts.
        settings: of selection, gate and mixture.
        every: batches between two evolutions.
        parents: prompts that are evolved each time.
        memory: share of a weight that the next visit keeps.
        evaluation: questions that must not be trained on.

    Raises:
        ValueError: for numbers below 1, or a memory outside 0 and 1.

    Example:
        >>> from selfrl.data.sum_chains import tiny_chains
        >>> from selfrl.selfplay.procedural_creator import ProceduralCreator
        >>> from selfrl.selfplay.curriculum_settings import GateSettings
        >>> pool = LivePool(ProceduralCreator("chains"), CurriculumSettings(gate=GateSettings(near=1.0)))
        >>> pool.start(tiny_chains("train", 8), seed=0)
        >>> len(pool.draw(0, 4)), len(pool)
        (4, 8)
    """

    def __init__(
        self,
        creator: Creator,
        settings: CurriculumSettings | None = None,
        every: int = 1,
        parents: int = 8,
        memory: float = 0.5,
        evaluation: Sequence[str] = (),
    ) -> None:
        if every < 1 or parents < 1 or not 0 <= memory < 1:
            raise ValueError(
                f"every is {every}, parents {parents}, memory {memory}: they must be 1 or more, and from 0 to below 1."
            )
        if settings is not None and settings.measure == "inverse_mean":
            raise ValueError("inverse_mean ranks prompts of one round, and here there are none: take another measure.")
        self.creator, self.settings = creator, settings or CurriculumSettings()
        self.every, self.parents, self.memory, self.evaluation = every, parents, memory, list(evaluation)

    @property
    def needs_policy(self) -> bool:
        """Whether [`propose`] must be handed the model in training."""
        return self.creator.needs_policy

    def start(self, dataset: Any, seed: int, log: Path | None = None) -> None:
        """Begin with a data set's rows as seeds.

        Raises:
            ValueError: for seeds with pictures or in pairs, that are equal, or that lack a column which the creator
                gives its children.
        """
        self.form = RowForm(dataset.column_names, dataset[0]["prompt"])
        self.seed, self.pool = seed, PromptPool()
        self.gate = self.settings.gate.open(lambda place: self.pool.entries[place].text, self.evaluation, seed, log)
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}  # by the id of the row
        self._draws: dict[int, list[int]] = {}
        self._open: set[int] = set()  # children whose answers were not judged yet
        self._refused: set[int] = set()
        self._steps = 0  # from their seeds, of all prompts that were not refused
        self.batches = 0
        rows = RowForm.unique(dataset)
        self._add([self.form.entry(row) for row in rows], rows)
        self.seeds = len(self.pool)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> Row:
        return self._rows[place]

    @property
    def column_names(self) -> list[str]:
        """Of every row."""
        return self.form.columns

    def draw(self, number: int, count: int) -> list[int]:
        """Places of the prompts of batch `number`: the same whenever it is asked for, also after a resume."""
        if number not in self._draws:
            rng = np.random.default_rng([self.seed, number])
            self._draws[number] = self._drawn(count, rng, set())
        return self._draws[number]

    def replacements(self, seen: set[str], seed: Sequence[int]) -> Iterator[list[Row]]:
        """Further prompts, one at a time, none of them with a row id in `seen`."""
        rng = np.random.default_rng([*seed, 1])
        known = {self._places[name] for name in seen if name in self._places}
        while left := len(self) - len(known | self._refused):
            places = self._drawn(min(16, left), rng, known)
            known |= set(places)
            yield from ([self._rows[place]] for place in places)

    def learn(self, records: Sequence[GroupRecord]) -> tuple[set[str], dict[str, float]]:
        """Move the weights by what became of a batch's prompts.

        Returns:
            ids of prompts whose groups must not be trained on, and figures to log.
        """
        refused: set[str] = set()
        for record in records:
            place = self._places.get(record.prompt_id)
            rewards = [reward for reward in record.rewards if reward is not None]
            if place is None or place in self._refused or not rewards:
                continue
            if place in self._open and not self._judged(place, record, rewards):
                refused.add(record.prompt_id)
                self._refused.add(place)
                self._steps -= self.pool.entries[place].depth
                self.pool.weigh([place], [0.0])
                continue
            self._open.discard(place)
            first = self.pool.visits[place] == 0
            self.pool.scored([place] * len(rewards), rewards)
            measured = MEASURES[self.settings.measure](rewards)
            before = measured if first else float(self.pool.weights[place])
            self.pool.weigh([place], [max(self.memory * before + (1 - self.memory) * measured, FLOOR)])
        self.batches += 1
        return refused, self._figures()

    def propose(self, policy: Generator | None = None) -> list[Entry]:
        """Children of prompts that are selected now; none between two evolutions."""
        tried = np.flatnonzero((self.pool.visits > 0) & (self.pool.weights > 0))
        if self.batches % self.every or not len(tried):
            return []
        rng = np.random.default_rng([self.seed, self.batches, 2])
        chosen = gumbel_top_k(self.pool.weights[tried], min(self.parents, len(tried)), rng).chosen
        rates = self.pool.solve_rates
        places = [int(tried[i]) for i in chosen]
        parents = [Parent(self.pool.entries[place], float(rates[place])) for place in places]
        return self.creator.create(parents, seed_of(self.seed, "evolve", self.batches), policy)

    def admit(self, children: Sequence[Entry]) -> None:
        """Take those into the pool whose texts the gate lets through, one after the other."""
        written = {child.id: child for child in children}
        for child in children:
            parent = forebear(child, written, self.pool)
            (verdict,) = self.gate.judge([Proposal.of(child, self._text_of(child, written))])
            if verdict.accepted and child.id not in self.pool:
                self._add([child.under(parent)], [self.form.row(child)])
                self._open.add(len(self.pool) - 1)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "entries": [asdict(entry) for entry in self.pool.entries[self.seeds :]],
            "scores": [column.tolist() for column in self.pool.scores],
            "open": sorted(self._open),
            "refused": sorted(self._refused),
            "draws": {str(number): places for number, places in self._draws.items()},
            "batches": self.batches,
            "gate": self.gate.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state; the seeds are there already."""
        entries = [Entry(**entry) for entry in state["entries"]]
        self._add(entries, [self.form.row(entry) for entry in entries])
        self.pool.restore(state["scores"])
        self._open, self._refused = set(state["open"]), set(state["refused"])
        self._steps -= sum(self.pool.entries[place].depth for place in self._refused)
        self._draws = {int(number): places for number, places in state["draws"].items()}
        self.batches = state["batches"]
        self.gate.load(state["gate"])

    def _add(self, entries: Sequence[Entry], rows: Any) -> None:
        places = self.pool.add(entries)
        self.pool.weigh(places, [UNTRIED] * len(places))
        self.gate.admit(places, [entry.text for entry in entries])
        for place, row in zip(places, rows, strict=True):
            self._rows.append(row)
            self._steps += self.pool.entries[place].depth
            self._places[row_id(row)] = place

    def _drawn(self, count: int, rng: np.random.Generator, known: set[int]) -> list[int]:
        """So many places by weight, the evolved ones' share first; those of too few evolved ones go to seeds."""
        out = np.zeros(len(self), dtype=bool)
        out[list(known | self._refused)] = True
        free = np.flatnonzero(~out)
        evolved, seeds = free[free >= self.seeds], free[free < self.seeds]
        wanted = min(round(self.settings.evolved_share * count), len(evolved))
        places: list[int] = []
        for part, share in ((evolved, wanted), (seeds, count - wanted)):
            chosen = gumbel_top_k(self.pool.weights[part], min(share, len(part)), rng).chosen
            places += part[chosen].tolist()
        rest = np.setdiff1d(free, places)
        missing = min(count - len(places), len(rest))
        places += rng.choice(rest, missing, replace=False).tolist() if missing else []
        return rng.permutation(np.resize(places, count)).tolist()  # fewer prompts than a batch has come again

    def _judged(self, place: int, record: GroupRecord, rewards: Sequence[float]) -> bool:
        entry = self.pool.entries[place]
        return self.gate.judge_answers([Proposal.of(entry, keys=record.keys, rewards=rewards)])[0].accepted

    def _text_of(self, child: Entry, written: Mapping[str, Entry]) -> str:
        assert child.parent is not None
        return written[child.parent].text if child.parent in written else self.pool[child.parent].text

    def _figures(self) -> dict[str, float]:
        return {
            "pool/prompts": float(len(self)),
            "pool/depth": self._steps / max(len(self) - len(self._refused), 1),
            "pool/refused": float(len(self._refused)),
            **self.gate.figures(),
        }
