"""What decides over a curriculum, whichever form it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from selfrl.selfplay.gate import Gate, Mode
from selfrl.selfplay.gate_checks import Bounds, Contamination
from selfrl.selfplay.informativeness import MEASURES
from selfrl.selfplay.near_index import NEAR, NearIndex
from selfrl.suggest import refuse_unknown


@dataclass(frozen=True)
class GateSettings:
    """How the data gate is set, see [`selfrl.selfplay.gate.Gate`].

    Args:
        mode: strict, syntax, leaky or off.
        leak_rate: of "leaky".
        low: least solve rate, or mean reward on another scale.
        high: the largest.
        min_votes: of the majority; 0 where questions have no label.
        near: ROUGE-L above which two prompts are one; 1 lets all through that are not the same, as templates need it.
        i_know_this_collapses: must be True for "off".

    Raises:
        ValueError: for bounds that let nothing through.
    """

    mode: Mode = "strict"
    leak_rate: float = 0.0
    low: float = Bounds.low
    high: float = Bounds.high
    min_votes: int = Bounds.min_votes
    near: float = NEAR
    i_know_this_collapses: bool = False

    def __post_init__(self) -> None:
        self.open(lambda number: "", [])

    def open(
        self, text_of: Callable[[int], str], evaluation: Iterable[str], seed: int = 0, log: Path | None = None
    ) -> Gate:
        """A gate.

        Args:
            text_of: gives the text at a place of the pool.
            evaluation: questions of evaluation sets, none of which may be trained on.
            seed: of what leaks.
            log: file with one line a verdict.

        Raises:
            ValueError: see [`selfrl.selfplay.gate.Gate`].
        """
        return Gate(
            NearIndex(text_of, most=self.near),
            Contamination(evaluation),
            Bounds(self.min_votes, self.low, self.high),
            self.mode,
            self.leak_rate,
            seed,
            log,
            self.i_know_this_collapses,
        )


@dataclass(frozen=True)
class CurriculumSettings:
    """How prompts are selected, gated and mixed.

    Args:
        measure: how informative a prompt is, a name in [`selfrl.selfplay.informativeness.MEASURES`].
        evolved_share: of what is trained on; the rest are seeds.
        gate: of what creators write.

    Raises:
        ValueError: for an unknown measure, or a share outside 0 and 1.
    """

    measure: str = "gap"
    evolved_share: float = 0.8
    gate: GateSettings = field(default_factory=GateSettings)

    def __post_init__(self) -> None:
        refuse_unknown("measure", self.measure, MEASURES, "of a curriculum")
        if not 0 <= self.evolved_share <= 1:
            raise ValueError(f"evolved_share is {self.evolved_share}: it must lie between 0 and 1.")
