"""The gate of one round: texts first, then the solver's answers; both verdicts on disk."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfrl.selfplay.answered import Answers
from selfrl.selfplay.curriculum_settings import GateSettings
from selfrl.selfplay.gate import Gate, Proposal
from selfrl.selfplay.pool import Entry, PromptPool, forebear
from selfrl.selfplay.stage_files import once

REJUDGED = 0.01  # of the accepted


class RoundGate:
    """Judges a round's children, see [`selfrl.selfplay.gate.Gate`].

    Args:
        folder: of the round; `gate-texts.jsonl` and `gate-answers.jsonl` get a line a verdict.
        pool: as it is before the round's children enter.
        settings: of the gate.
        evaluation: questions that must not be trained on.
        seed: of what leaks, and of what is judged again.
    """

    def __init__(
        self, folder: Path, pool: PromptPool, settings: GateSettings, evaluation: Sequence[str], seed: int
    ) -> None:
        self.folder, self.pool, self.settings = folder, pool, settings
        self.evaluation, self.seed = evaluation, seed

    def passed(self, children: Sequence[Entry]) -> list[Entry]:
        """Those whose texts may go on; each is known to the ones after it."""

        def judge() -> dict[str, Any]:
            texts = [entry.text for entry in self.pool]
            gate = self._opened("gate-texts.jsonl", texts, self.evaluation)
            gate.admit(range(len(texts)), texts)
            written = {child.id: child for child in children}
            names = []
            for child in children:
                parent = written.get(child.parent or "") or self.pool[child.parent or ""]
                (verdict,) = gate.judge([Proposal.of(child, parent.text)])
                if verdict.accepted:
                    names.append(child.id)
                    texts.append(child.text)
                    gate.admit([len(texts) - 1], [child.text])
            return {"passed": names, "gate": gate.state()}

        known = set(once(self.folder / "passed.json", judge)["passed"])
        return [child for child in children if child.id in known]

    def accepted(
        self,
        children: Sequence[Entry],
        passed: Sequence[Entry],
        answered: Mapping[str, Answers],
        again: Callable[[Sequence[Entry]], Mapping[str, Answers]],
    ) -> list[Entry]:
        """Those whose answers may be trained on, each under its nearest forebear that may.

        Args:
            children: all that were written.
            passed: those that [`passed`] gave.
            answered: the solver's answers to them.
            again: asks the solver once more, for the share that is judged twice.
        """

        def judge() -> dict[str, Any]:
            gate = self._opened("gate-answers.jsonl", [], [])  # no text is looked at again
            gate.load({**once(self.folder / "passed.json", dict)["gate"], "logged": 0})
            verdicts = gate.judge_answers([_answered(child, answered[child.id]) for child in passed])
            names = [verdict.id for verdict in verdicts if verdict.accepted]
            return {"accepted": names, "figures": gate.figures(), **self._judged_again(passed, set(names), again)}

        names = set(once(self.folder / "accepted.json", judge)["accepted"])
        written = {child.id: child for child in children}
        known = PromptPool(self.pool.entries)
        for child in passed:
            if child.id in names:
                known.add([child.under(forebear(child, written, known))])
        return known.entries[len(self.pool) :]

    def _judged_again(
        self, passed: Sequence[Entry], names: set[str], again: Callable[[Sequence[Entry]], Mapping[str, Answers]]
    ) -> dict[str, int]:
        """How many of a random share of the accepted would be refused on other answers."""
        rng = random.Random(f"{self.seed}/again")
        drawn = [child for child in passed if child.id in names and rng.random() < REJUDGED]
        answers = again(drawn)
        verdicts = self.settings.open(lambda place: "", []).judge_answers(
            [_answered(child, answers[child.id]) for child in drawn]
        )
        return {"rejudged": len(drawn), "overturned": sum(not verdict.accepted for verdict in verdicts)}

    def _opened(self, log: str, texts: Sequence[str], evaluation: Sequence[str]) -> Gate:
        """A gate with an empty log: what an earlier try wrote is judged again."""
        path = self.folder / log
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return self.settings.open(texts.__getitem__, evaluation, self.seed, path)


def _answered(child: Entry, answers: Answers) -> Proposal:
    return Proposal.of(child, keys=[sample.key for sample in answers.samples], rewards=answers.rewards)
