"""Histories of prompts as a grid: what became of each prompt's label from visit to visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfrl.monitor.records_file import SeenPrompt

MOST_PROMPTS = 200
MOST_VISITS = 100
LONGEST_LABEL = 80
NEW, SAME, FLIPPED, NONE = range(4)


@dataclass(frozen=True)
class PromptGrid:
    """What is shown of a run's prompts.

    Args:
        prompts: how many there are.
        visits: the most of one prompt.
        rows: the prompts visited most, the most visited first: of each the last visits, the oldest first, as
            [state, step, label, whether it is right, majority ratio, mean reward].
    """

    prompts: int
    visits: int
    rows: list[list[list[Any]]]

    @property
    def note(self) -> str:
        """What is left out; empty if nothing is."""
        parts = []
        if self.prompts > MOST_PROMPTS:
            parts.append(f"the {MOST_PROMPTS} prompts visited most of {self.prompts:,}")
        if self.visits > MOST_VISITS:
            parts.append(f"the last {MOST_VISITS} visits to each")
        return f"Shown: {' and '.join(parts)}." if parts else ""


def label_states(labels: Sequence[str | None]) -> list[int]:
    """What became of a label at each visit: as before, flipped, none, or new where there was none to compare with.

    >>> label_states(["4", "4", "5", None, "5"]) == [NEW, SAME, FLIPPED, NONE, NEW]
    True
    """
    before = [None, *labels]
    return [
        NONE if now is None else NEW if last is None else SAME if now == last else FLIPPED
        for last, now in zip(before, labels, strict=False)
    ]


def prompt_grid(batches: Sequence[tuple[int, Sequence[SeenPrompt]]]) -> PromptGrid:
    """The grid of a run's scored batches, in their order."""
    seen: dict[str, list[tuple[int, SeenPrompt]]] = {}
    for step, prompts in batches:
        for prompt in prompts:
            seen.setdefault(prompt.prompt_id, []).append((step, prompt))
    most = sorted(seen.values(), key=len, reverse=True)
    return PromptGrid(len(seen), len(most[0]) if most else 0, [_row(visits) for visits in most[:MOST_PROMPTS]])


def _row(visits: Sequence[tuple[int, SeenPrompt]]) -> list[list[Any]]:
    states = label_states([prompt.label for _, prompt in visits])
    row: list[list[Any]] = [
        [
            state,
            step,
            None if prompt.label is None else prompt.label[:LONGEST_LABEL],
            prompt.label_is_right,
            prompt.majority_ratio,
            prompt.reward,
        ]
        for state, (step, prompt) in zip(states, visits, strict=True)
    ]
    return row[-MOST_VISITS:]
