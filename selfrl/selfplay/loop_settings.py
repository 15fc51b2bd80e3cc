"""How a self-play run in rounds is set."""

from __future__ import annotations

from dataclasses import dataclass

from selfrl.selfplay.selection import SELECTIONS
from selfrl.suggest import refuse_unknown


@dataclass(frozen=True)
class LoopSettings:
    """The schedule of rounds; the defaults are eva's (2411.00062), but for one round.

    Args:
        rounds: of score, select, evolve, gate, mix, train.
        samples: responses to a prompt; one alone makes every solve rate 0 or 1.
        temperature: of the responses.
        top_p: of the responses.
        max_tokens: length limit of a response.
        candidates: prompts that a round scores, drawn from the pool anew each round; all of it if not given.
        subset: share of them that is selected to be evolved.
        selection: "proportional", "greedy" or "stratified", see [`selfrl.selfplay.selection`].
        topic: column by whose values the weights are balanced.
        fresh: seeds that each round trains on first, the next ones every time, and of which it then evolves; 0 leaves
            this phase out.
        prompts: that a round trains on; as many as were scored if not given.
        chunk: prompts in one file of a stage; what a kill can cost.

    Raises:
        ValueError: for numbers that cannot be, or an unknown selection.
    """

    rounds: int = 1
    samples: int = 6
    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 2048
    candidates: int | None = None
    subset: float = 0.25
    selection: str = "proportional"
    topic: str | None = None
    fresh: int = 0
    prompts: int | None = None
    chunk: int = 64

    def __post_init__(self) -> None:
        refuse_unknown("selection", self.selection, SELECTIONS, "of a curriculum")
        if self.samples < 2:
            raise ValueError(f"samples is {self.samples}: take 2 or more, one response has no spread.")
        counts = {"rounds": self.rounds, "chunk": self.chunk, "max_tokens": self.max_tokens}
        counts |= {"candidates": self.candidates or 1, "prompts": self.prompts or 1, "fresh": self.fresh + 1}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} is too small: take {0 if name == 'fresh' else 1} or more.")
        if not 0 < self.subset <= 1:
            raise ValueError(f"subset is {self.subset}: it must lie above 0 and be at most 1.")
