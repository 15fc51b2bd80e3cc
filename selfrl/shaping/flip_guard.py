"""Weights of prompts by how their label has moved from visit to visit: TTRL-Guard."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from selfrl.group_record import KEPT_VISITS, Visit
from selfrl.shaping.shaper import AdvantageGroup, Shaped, Shaper

LEAST_WEIGHT = 0.1
SHARE_SKIPPED = 0.25  # of a batch's prompts, at most
NO_ANSWER = 0.05  # of the mean bonus
TINY = 1e-6


@dataclass
class PromptState:
    """What is remembered of a prompt beside its visits.

    Args:
        competed: whether its label ever flipped.
        stable: visits at which its steady label was weighed down, at most a window's number.
        supported: whether minorities are supported.
        quiet: visits without a flip since they are.
    """

    competed: bool = False
    stable: int = 0
    supported: bool = False
    quiet: int = 0


@dataclass(frozen=True)
class Look:
    """What one visit shows.

    Args:
        flip: 1 if the label is another one than at the visit before, else 0; 0 at the first visit.
        agreement: share of the label among all completions.
        windowed: mean of it over the last visits.
        visits: how many there were, with this one.
    """

    flip: float
    agreement: float
    windowed: float
    visits: int

    @property
    def again(self) -> bool:
        """Whether there was a visit before."""
        return self.visits > 1


def look(label: str | None, agreement: float, earlier: Sequence[Visit], visits: int, window: int) -> Look:
    """What a visit shows after the earlier ones, of which there were `visits`.

    >>> past = [Visit(0, "5", .6, None), Visit(1, "4", .8, None)]
    >>> look("5", .7, past, visits=2, window=2)
    Look(flip=1.0, agreement=0.7, windowed=0.75, visits=3)
    """
    before = earlier[-1].label if earlier else None
    flip = float(label is not None and before is not None and label != before)
    ratios = [*(visit.majority_ratio or 0.0 for visit in earlier), agreement]
    return Look(flip, agreement, fmean(ratios[-window:]), visits + 1)


def bonuses(votes: Mapping[str, int], label: str | None, count: int, strength: float, divisor: int) -> dict[str, float]:
    """b_a = strength · c(a) / Σ c over the minority: other answers than the label with at least max(1, ⌊count /
    divisor⌋) votes.

    >>> bonuses({"4": 5, "7": 3}, "4", 8, 0.3, divisor=4), bonuses({"4": 7, "7": 1}, "4", 8, 0.3, divisor=4)
    ({'7': 0.3}, {})
    """
    least = max(1, count // divisor)
    minority = {key: n for key, n in votes.items() if key != label and n >= least}
    total = sum(minority.values())
    return {key: strength * n / total for key, n in minority.items()}


class FlipGuard(Shaper):
    r"""Prompt weights, minority support and skipping by the flips of a prompt's label: TTRL-Guard (2605.19444).

    At each visit FR is 1 if the label differs from that of the visit before, MR the label's share.

    - **Weight** w = 1 − `flip_cost` · FR; × (1 − `lock_cost`) if MR > `high_ratio` and FR > `flip_bound`;
      × (1 − `lock_cost` / 2) if the label never flipped in `window` visits or more, whose mean MR is above
      `high_ratio`, and that at most `window` times; at least 0.1.
    - **Skipped**, with the probability `skip_probability`: prompts whose label flipped once and whose mean MR over the
      last `window` visits is above `lock_ratio`; at most a quarter of a batch's prompts.
    - **Minorities** are supported from a flip on until `steady` visits without one: answers other than the label with
      at least G / `minority_divisor` votes share `bonus` · min(FR / `flip_bound`, 1) by their votes, times the mean
      |w · A| of the group. As FR is 0 or 1, a bonus is given on a flip and never between. Completions without an answer
      get a twentieth of the mean bonus.

    Where the paper's abstract and its code disagree there is a choice: `direction="flip"` weighs down where a label
    **flips** (the code), "lock" where it **stays** (the abstract: FR is 1 for an equal label in the weight). Neither is
    proven: no released run had the guard on, as all launch scripts lose its settings, and their comments report
    that the weight hurts two models.

    State is kept by prompt and in every checkpoint. Logged: `flip_guard/flips`, `weight`, `skipped` and `supported`.

    Args:
        direction: "flip" or "lock".
        window: W, visits.
        flip_bound: τ_fr.
        high_ratio: τ_mr.
        flip_cost: λ₁.
        lock_cost: λ₂.
        bonus: β_max; 0 is no support.
        lock_ratio: θ_mr.
        skip_probability: p_skip; 0 is no skipping.
        minority_divisor: of the votes that a minority needs.
        steady: visits without a flip that end the support.
        seed: of what is skipped.

    Raises:
        ValueError: for an unknown direction, a share outside 0 and 1, or a window that is longer than what is kept.

    Example:
        >>> from selfrl.group_record import GroupRecord
        >>> record = GroupRecord("a", 1, (*"44444", *"777"), "4", None, (1.0,) * 5 + (0.0,) * 3, (3,) * 8, (False,) * 8)
        >>> before = [Visit(0, "7", 0.5, 0.5)]
        >>> group = AdvantageGroup(record, (0.724569,) * 5 + (-1.207615,) * 3, (True,) * 8, before, visits=1)
        >>> [round(a, 6) for a in FlipGuard("flip").shape([group]).advantages[0]][4:6]
        [0.253599, -0.327565]
    """

    def __init__(
        self,
        direction: str,
        *,
        window: int = 5,
        flip_bound: float = 0.3,
        high_ratio: float = 0.6,
        flip_cost: float = 0.5,
        lock_cost: float = 0.3,
        bonus: float = 0.3,
        lock_ratio: float = 0.7,
        skip_probability: float = 0.7,
        minority_divisor: int = 4,
        steady: int = 3,
        seed: int = 0,
    ) -> None:
        if direction not in ("flip", "lock"):
            raise ValueError(f"`direction` is {direction!r}: choose flip (the code) or lock (the abstract).")
        if not 1 <= window <= KEPT_VISITS:
            raise ValueError(f"`window` is {window}: it must be from 1 to {KEPT_VISITS}, the visits that are kept.")
        if minority_divisor < 1 or steady < 1:
            raise ValueError(f"minority_divisor {minority_divisor} and steady {steady} must be 1 or more.")
        shares = {"high_ratio": high_ratio, "flip_cost": flip_cost, "lock_cost": lock_cost, "lock_ratio": lock_ratio}
        shares["skip_probability"] = skip_probability
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"`{name}` is {share}: it must lie between 0 and 1.")
        if not 0 < flip_bound < 1:
            raise ValueError(f"`flip_bound` is {flip_bound}: flips are 0 or 1, so it must lie between.")
        self.direction, self.window, self.flip_bound, self.high_ratio = direction, window, flip_bound, high_ratio
        self.flip_cost, self.lock_cost, self.bonus, self.lock_ratio = flip_cost, lock_cost, bonus, lock_ratio
        self.skip_probability, self.minority_divisor = skip_probability, minority_divisor
        self.steady, self.seed = steady, seed
        self._states: dict[str, PromptState] = {}

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        """See the class."""
        most_skipped = max(1, int(SHARE_SKIPPED * len(groups)))
        shaped, weights, flips, supported = [], [], [], []
        skipped = 0
        for group in groups:
            record = group.record
            state = self._states.setdefault(record.prompt_id, PromptState())
            seen = look(record.label, record.majority_ratio or 0.0, group.earlier, group.visits, self.window)
            state.competed = state.competed or seen.flip > self.flip_bound
            weight = self.weight(seen, state)
            if skipped < most_skipped and self._skips(seen, state, record.prompt_id):
                weight, skipped = 0.0, skipped + 1
            self._follow(seen, state)
            strength = self.bonus * min(seen.flip / self.flip_bound, 1.0) if state.supported else 0.0
            shaped.append(self._supported(group, weight, strength))
            weights.append(weight)
            flips.append(seen.flip)
            supported.append(strength > 0)
        figures = {"flips": fmean(flips), "weight": fmean(weights), "supported": fmean(supported)}
        figures["skipped"] = skipped / len(groups)
        return Shaped(shaped, {f"flip_guard/{name}": value for name, value in figures.items()})

    def weight(self, seen: Look, state: PromptState) -> float:
        """w of a visit; counts how often a label that never flipped was weighed down."""
        moved = seen.flip if self.direction == "flip" else (1 - seen.flip) * seen.again
        weight = 1 - self.flip_cost * moved
        if seen.agreement > self.high_ratio and moved > self.flip_bound:
            weight *= 1 - self.lock_cost
        steady = not state.competed and seen.visits >= self.window and seen.windowed > self.high_ratio
        if steady and state.stable < self.window:
            weight *= 1 - self.lock_cost / 2
            state.stable += 1
        return max(weight, LEAST_WEIGHT)

    def _skips(self, seen: Look, state: PromptState, prompt_id: str) -> bool:
        locked = state.competed and seen.visits >= self.window and seen.windowed > self.lock_ratio
        # by prompt and visit, so that neither processes nor a resume change what is drawn
        return locked and random.Random(f"{self.seed}/{prompt_id}/{seen.visits}").random() < self.skip_probability

    def _follow(self, seen: Look, state: PromptState) -> None:
        """Begin or end the support of minorities."""
        if seen.flip > self.flip_bound:
            state.supported, state.quiet = True, 0
        elif state.supported:
            state.quiet += 1
            state.supported = state.quiet < self.steady

    def _supported(self, group: AdvantageGroup, weight: float, strength: float) -> list[float]:
        record = group.record
        weighted = [weight * a for a in group.advantages]
        own = bonuses(record.votes, record.label, len(record.keys), strength, self.minority_divisor) if strength else {}
        if not own:
            return weighted
        counted = [abs(a) for a, trained in zip(weighted, group.trained, strict=True) if trained]
        scale = fmean(counted) + TINY
        nobody = NO_ANSWER * fmean(own.values())
        return [
            a if reward is None else a + scale * (nobody if key is None else own.get(key, 0.0))
            for a, key, reward in zip(weighted, record.keys, record.rewards, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: asdict(state) for name, state in self._states.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._states = {name: PromptState(**values) for name, values in state.items()}
