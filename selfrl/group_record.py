"""What one generation batch tells of each prompt, and what is remembered of it over the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KEPT_VISITS = 16


class GroupVote(NamedTuple):
    """What a voting reward elected for one group.

    Args:
        rows: the group's row numbers in the global batch, processes' rows in the order of their ranks.
        keys: merged answer keys, one a row; None for no usable answer.
        label: what these rows are rewarded by; None without one.
        label_is_right: against the gold answer; None without label or gold answer, or if it could not be decided.
    """

    rows: tuple[int, ...]
    keys: tuple[str | None, ...]
    label: str | None
    label_is_right: bool | None = None


@dataclass(frozen=True)
class GroupRecord:
    """One prompt's group in one scored batch, over all processes; the same on every process.

    Args:
        prompt_id: digest of the row's prompt and images, without a system prompt that the trainer put before it.
        step: optimizer steps made before.
        keys: merged answer keys; empty if nobody asked for a vote.
        label: what elects right and wrong; None without one.
        label_is_right: against the gold answer; None if that is not known.
        rewards: weighted sum of the rewards; None for a completion that no reward scored.
        lengths: tokens a completion.
        cut_off: whether each completion ended at the length limit.
        signals: mean over tokens of each token signal that a reward asked for; None where it could not be computed.
        task: the row's pretext task, see [`selfrl.rewards.pretext.task_of`]; None without one.
        stage: of that task, in a curriculum.
        rows: the group's row numbers in the batch, processes' rows in the order of their ranks.
        repetition: share of repeated n-grams of tokens in each completion; empty if nobody listens.
    """

    prompt_id: str
    step: int
    keys: tuple[str | None, ...]
    label: str | None
    label_is_right: bool | None
    rewards: tuple[float | None, ...]
    lengths: tuple[int, ...]
    cut_off: tuple[bool, ...]
    signals: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    task: str | None = None
    stage: int | None = None
    rows: tuple[int, ...] = ()
    repetition: tuple[float, ...] = ()

    @property
    def votes(self) -> Counter[str]:
        """Votes by key, the first seen first."""
        return Counter(key for key in self.keys if key is not None)

    @property
    def majority_ratio(self) -> float | None:
        """Share of the most common key among all completions; None if nobody asked for a vote.

        >>> record = GroupRecord("a", 0, ("4", "4", "5", None), "4", None, (1.0, 1.0, 0.0, 0.0), (3,) * 4, (False,) * 4)
        >>> record.majority_ratio, record.solve_rate, record.abstentions
        (0.5, 0.5, 0)
        """
        return max(self.votes.values(), default=0) / len(self.keys) if self.keys else None

    @property
    def abstentions(self) -> int:
        """Completions that no reward scored."""
        return sum(reward is None for reward in self.rewards)

    @property
    def solve_rate(self) -> float | None:
        """Mean reward of the scored completions; None without any, or if one lies outside 0 and 1."""
        known = [reward for reward in self.rewards if reward is not None]
        return sum(known) / len(known) if known and all(0 <= reward <= 1 for reward in known) else None


class Visit(NamedTuple):
    """What is remembered of one visit to a prompt."""

    step: int
    label: str | None
    majority_ratio: float | None
    solve_rate: float | None


class PromptHistory:
    """The last visits to every prompt, by its id, and how many there were.

    Args:
        kept: visits that are kept of each prompt; older ones are only counted.

    Example:
        >>> history = PromptHistory()
        >>> history.add(GroupRecord("a", 3, ("4", "4"), "4", None, (1.0, None), (3, 3), (False, False)))
        >>> history.visits("a"), history.last("a")
        (1, [Visit(step=3, label='4', majority_ratio=1.0, solve_rate=1.0)])
    """

    def __init__(self, kept: int = KEPT_VISITS) -> None:
        self.kept = kept
        self._counts: Counter[str] = Counter()
        self._last: dict[str, list[Visit]] = {}

    def add(self, record: GroupRecord) -> None:
        """Remember a visit."""
        visits = self._last.setdefault(record.prompt_id, [])
        visits.append(Visit(record.step, record.label, record.majority_ratio, record.solve_rate))
        del visits[: -self.kept]
        self._counts[record.prompt_id] += 1

    def visits(self, prompt_id: str) -> int:
        """How often a prompt was visited."""
        return self._counts[prompt_id]

    def last(self, prompt_id: str) -> list[Visit]:
        """Its last visits, the oldest first."""
        return list(self._last.get(prompt_id, ()))

    def __len__(self) -> int:
        return len(self._last)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"counts": dict(self._counts), "last": {name: list(map(list, v)) for name, v in self._last.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._counts = Counter(state["counts"])
        self._last = {name: [Visit(*visit) for visit in visits] for name, visits in state["last"].items()}
