"""Models for a self-play loop that cost nothing, and remember what they were asked."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfrl.generation import Generator
from selfrl.selfplay.answered import Answers, Sample
from selfrl.selfplay.stage_files import once, read_lines


class Ledger:
    """Models that answer by a coin of the seed, and note everything they are asked to do in a file."""

    start = "start"

    def __init__(self, folder: Path, pairs: bool = False, rate: float = 0.5) -> None:
        self.folder, self.pairs, self.rate = folder, pairs, rate

    def answer(self, model: str, ids: Sequence[str], rows: Sequence[Any], seed: int) -> list[Answers]:
        self._note("answer", model, *ids)
        found = []
        for name, row in zip(ids, rows, strict=True):
            rng = random.Random(f"{seed}/{name}")
            keys = [row["answer"] if rng.random() < self.rate else "0" for _ in range(4)]
            samples = tuple(Sample(f"It is {key}.", key, float(key != "0")) for key in keys)
            found.append(Answers(name, samples, 0.5, True))
        return found

    def proposer(self, folder: Path, solver: str, parents: Sequence[Any], seed: int) -> str:
        return solver

    def writer(self, model: str) -> Generator:
        raise AssertionError("no creator here writes")

    def train(self, folder: Path, solver: str, rows: Path, seed: int) -> str:
        def train() -> dict[str, Any]:
            self._note("train", solver, *(json.dumps(row["prompt"]) for row in read_lines(rows)))
            return {"model": str(folder)}

        return str(once(folder / "trained.json", train)["model"])

    def calls(self) -> Counter[str]:
        file = self.folder / "ledger"
        return Counter(file.read_text().split("\n")[:-1]) if file.exists() else Counter()

    def _note(self, *what: str) -> None:
        with (self.folder / "ledger").open("a") as file:
            file.write(" ".join(what).replace(str(self.folder), "") + "\n")
