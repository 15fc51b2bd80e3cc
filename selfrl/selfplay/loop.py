"""Self-play in rounds: score, select, evolve, gate, mix, train; each stage is on disk before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np

from selfrl.generation import Generator, seed_of
from selfrl.preferences.dpo_rows import preference_pairs
from selfrl.selfplay.answered import Answers
from selfrl.selfplay.creator import Creator, Parent
from selfrl.selfplay.curriculum_settings import CurriculumSettings
from selfrl.selfplay.informativeness import weights_of
from selfrl.selfplay.loop_settings import LoopSettings
from selfrl.selfplay.mixture import mixture
from selfrl.selfplay.pool import Entry, PromptPool
from selfrl.selfplay.round_gate import RoundGate
from selfrl.selfplay.row_form import Row, RowForm
from selfrl.selfplay.selection import SELECTIONS, balanced
from selfrl.selfplay.stage_files import in_parts, once, write_lines

LEAST_ACCEPTANCE = 0.1  # a creator that stays below it
PATIENCE = 3  # for so many rounds proposes no more


class Models(Protocol):
    """What the loop has done with models."""

    @property
    def start(self) -> str:
        """Where the solver starts."""

    @property
    def pairs(self) -> bool:
        """Whether it is trained on pairs of its own answers, as DPO is, and not on prompts."""

    def answer(self, model: str, ids: Sequence[str], rows: Sequence[Row], seed: int) -> list[Answers]:
        """A solver's answers to rows, with what they earn."""

    def proposer(self, folder: Path, solver: str, parents: Sequence[Parent], seed: int) -> str:
        """The model that writes as the policy: the solver, or a proposer that is trained against it in this folder."""

    def writer(self, model: str) -> Generator:
        """A model as one that writes."""

    def train(self, folder: Path, solver: str, rows: Path, seed: int) -> str:
        """Train the solver on a file of rows, or go on with it, and give what came of it."""


class EvolveLoop:
    """Rounds of a curriculum that evolves with its solver.

    A run that was killed is run again: every stage whose output is on disk is read, and the others go on. Nothing is
    scored, written, judged or trained twice, but for the part of a stage (`chunk` prompts, or what came after the last
    checkpoint) that was under way.

    Args:
        folder: of the run.
        dataset: the seeds.
        creator: writes new prompts.
        curriculum: how prompts are selected, gated and mixed.
        settings: the schedule.
        models: what asks and trains.
        evaluation: questions that must not be trained on.
        seed: of all that is drawn.
        say: told in a line what each stage came to.

    Raises:
        ValueError: for seeds that self-play cannot evolve, or that are not those of the run in the folder.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Any,
        creator: Creator,
        curriculum: CurriculumSettings,
        settings: LoopSettings,
        models: Models,
        evaluation: Sequence[str] = (),
        seed: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder, self.creator, self.curriculum, self.settings = folder, creator, curriculum, settings
        self.models, self.evaluation, self.seed, self.say = models, list(evaluation), seed, say
        self.form = RowForm(dataset.column_names, dataset[0]["prompt"])
        rows = RowForm.unique(dataset)
        seeds = [self.form.entry(row) for row in rows]
        self.pool = PromptPool(seeds)
        self.seeds = {entry.id: row for entry, row in zip(seeds, rows, strict=True)}
        self._low = 0  # rounds in a row whose creator was mostly refused
        if list((folder / "pool").glob("prompts-*.parquet")):
            before = PromptPool.load(folder / "pool").entries[: len(seeds)]
            if before != seeds:
                raise ValueError(f"The seeds are not those that {folder} began with: name another folder with --out.")
        self.pool.save(folder / "pool")

    def run(self) -> str:
        """All rounds that are missing; gives the model that the last one left."""
        model = self.models.start
        for number in range(1, self.settings.rounds + 1):
            model = self._round(number, model)
        return model

    def _round(self, number: int, model: str) -> str:
        folder, seed = self.folder / "rounds" / f"{number:03d}", seed_of(self.seed, "round", number)
        clock = _Clock(lambda line: self.say(f"round {number}: {line}"))
        candidates = self._candidates(number, seed)
        if self.settings.fresh:
            model = self._fresh(folder / "fresh", candidates, model, seed)
            clock.lap("fresh", f"trained on {len(candidates)} fresh prompts")
        scored = self._asked(folder / "scored", candidates, model, seed)
        clock.lap("score", f"{len(scored)} prompts scored")
        stopped = self._low >= PATIENCE
        gate = RoundGate(folder, self.pool, self.curriculum.gate, self.evaluation, seed)
        chosen = [] if stopped else self._selected(folder, candidates, scored, seed)
        children = self._children(folder, chosen, model, seed) if chosen else []
        clock.lap("evolve", f"{len(chosen)} selected, {len(children)} children")
        passed = gate.passed(children)
        answered = self._asked(folder / "answered", passed, model, seed)
        clock.lap("answer", f"{len(passed)} of their texts passed and were answered")
        accepted = gate.accepted(children, passed, answered, lambda items: self._again(folder, items, model, seed))
        places = self.pool.add(accepted)
        self._count(answered)
        self.pool.save(self.folder / "pool")
        if not stopped:
            self._low = self._low + 1 if len(accepted) < LEAST_ACCEPTANCE * max(len(children), 1) else 0
        file = self._mixed(folder, candidates, chosen, accepted, {**scored, **answered}, seed)
        clock.lap("mix", f"{len(accepted)} accepted")
        model = self.models.train(folder / "train", model, file, seed)
        clock.lap("train", f"trained, {model}")
        once(
            folder / "round.json",
            lambda: {
                "round": number,
                "mode": self.curriculum.gate.mode,
                "ungated": self.curriculum.gate.mode == "off",
                "stopped_proposing": stopped,
                "accepted": len(places),
                "seconds": clock.laps,
            },
        )
        return model

    def _candidates(self, number: int, seed: int) -> list[Entry]:
        """Prompts of a round, in the pool's order."""
        if self.settings.fresh:
            seeds = list(self.seeds)
            start = (number - 1) * self.settings.fresh
            names = dict.fromkeys(seeds[(start + i) % len(seeds)] for i in range(self.settings.fresh))
            return [self.pool[name] for name in names]
        entries = self.pool.entries
        wanted = min(self.settings.candidates or len(entries), len(entries))
        places = np.random.default_rng([seed, 0]).choice(len(entries), wanted, replace=False)
        return [entries[place] for place in sorted(places)]

    def _fresh(self, folder: Path, entries: Sequence[Entry], model: str, seed: int) -> str:
        """Train on the round's seeds as they are."""
        scored = self._asked(folder / "scored", entries, model, seed) if self.models.pairs else {}
        file = folder / "training.jsonl"
        if not file.exists():
            write_lines(file, self._training(entries, scored))
        return self.models.train(folder / "train", model, file, seed)

    def _asked(self, folder: Path, entries: Sequence[Entry], model: str, seed: int) -> dict[str, Answers]:
        """The solver's answers, by the ids of the prompts; the pool has counted them."""

        def ask(part: Sequence[Entry], number: int) -> list[dict[str, Any]]:
            rows = [self._row(entry) for entry in part]
            own = seed_of(seed, folder.name, number)
            return [a.to_json() for a in self.models.answer(model, [entry.id for entry in part], rows, own)]

        answers = {row["id"]: Answers.from_json(row) for row in in_parts(folder, entries, self.settings.chunk, ask)}
        self._count(answers)
        return answers

    def _again(self, folder: Path, entries: Sequence[Entry], model: str, seed: int) -> dict[str, Answers]:
        return self._asked(folder / "rejudged", entries, model, seed_of(seed, "again"))

    def _count(self, answers: Mapping[str, Answers]) -> None:
        for name, answer in answers.items():
            rewards = answer.rewards
            if name in self.pool and rewards:
                place = self.pool.place(name)
                self.pool.scored([place] * len(rewards), rewards)

    def _selected(
        self, folder: Path, entries: Sequence[Entry], scored: Mapping[str, Answers], seed: int
    ) -> list[Parent]:
        """Those to evolve, by how informative they were."""

        samples = [scored[entry.id].samples for entry in entries]
        if not any(group and all(sample.reward is not None for sample in group) for group in samples):
            none = {"chosen": [], "filled": 0, "degenerate": False, "dropped": len(entries)}
            once(folder / "selected.json", lambda: none)
            return []  # every prompt has an answer that no reward could score
        weights = weights_of([[sample.reward for sample in group] for group in samples], self.curriculum.measure)
        dropped = set(weights.dropped)
        kept = [entry for i, entry in enumerate(entries) if i not in dropped]
        values = [value for i, value in enumerate(weights.values) if i not in dropped]
        if self.settings.topic is not None:
            values = balanced(values, [str(entry.columns.get(self.settings.topic)) for entry in kept])
        self.pool.weigh([self.pool.place(entry.id) for entry in kept], values)

        def select() -> dict[str, Any]:
            count = min(max(int(self.settings.subset * len(entries)), 1), len(kept))
            drawn = SELECTIONS[self.settings.selection](values, count, np.random.default_rng([seed, 1]))
            return {
                "chosen": [kept[i].id for i in drawn.chosen],
                "filled": drawn.filled,
                "degenerate": weights.degenerate,
                "dropped": len(weights.dropped),
            }

        chosen = once(folder / "selected.json", select)["chosen"]
        return [Parent(self.pool[name], fmean(scored[name].rewards)) for name in chosen]

    def _children(self, folder: Path, parents: Sequence[Parent], model: str, seed: int) -> list[Entry]:
        """What the creator makes of them, each prompt once."""
        writer = model
        if self.creator.needs_policy:
            writer = self.models.proposer(folder / "proposer", model, parents, seed)

        def create(part: Sequence[Parent], number: int) -> list[dict[str, Any]]:
            policy = self.models.writer(writer) if self.creator.needs_policy else None
            return [asdict(child) for child in self.creator.create(part, seed_of(seed, "children", number), policy)]

        written = [Entry(**row) for row in in_parts(folder / "children", parents, self.settings.chunk, create)]
        return list({child.id: child for child in written if child.id not in self.pool}.values())

    def _mixed(
        self,
        folder: Path,
        entries: Sequence[Entry],
        chosen: Sequence[Parent],
        accepted: Sequence[Entry],
        answers: Mapping[str, Answers],
        seed: int,
    ) -> Path:
        """The file that is trained on: evolved prompts, then those that they were made from, then others."""
        file = folder / "training.jsonl"

        def mix() -> dict[str, Any]:
            rng = np.random.default_rng([seed, 2])
            first = {parent.entry.id: parent.entry for parent in chosen}
            others = [entry for entry in entries if entry.id not in first]
            originals = [*first.values(), *(others[i] for i in rng.permutation(len(others)))]
            total = self.settings.prompts or len(entries)
            mixed = mixture(accepted, originals, self.curriculum.evolved_share, total, rng)
            rows = self._training(mixed.items, answers)
            write_lines(file, rows)
            return {
                "prompts": len(mixed.items),
                "evolved": mixed.evolved,
                "seeds": len(mixed.items) - mixed.evolved,
                "evolved_share": mixed.evolved_share,
                "rows": len(rows),
            }

        once(folder / "mix.json", mix)
        return file

    def _training(self, entries: Sequence[Entry], answers: Mapping[str, Answers]) -> list[Row]:
        """Rows of prompts, or best against worst answer to each; those without a difference give none."""
        rows = [self._row(entry) for entry in entries]
        if not self.models.pairs:
            return rows
        samples = [answers[entry.id].samples for entry in entries]
        texts = [[self.form.answer(sample.text) for sample in group] for group in samples]
        return preference_pairs(
            [row["prompt"] for row in rows], texts, [[s.reward for s in group] for group in samples]
        )

    def _row(self, entry: Entry) -> Row:
        return self.seeds.get(entry.id) or self.form.row(entry)


class _Clock:
    """Seconds of each stage; stages that were read from disk take next to none."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.laps: dict[str, float] = {}
        self._say, self._last = say, time.perf_counter()

    def lap(self, name: str, line: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = round(now - self._last, 2), now
        self._say(f"{line} ({self.laps[name]:.0f} s)")
