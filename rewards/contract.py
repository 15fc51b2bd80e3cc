"""What a reward is: what it may declare, what it is handed, what None means, and how it logs.

A reward is a picklable callable with TRL's signature, `reward(prompts, completions, completion_ids, **columns)`, that
returns one float a completion, in order. **None abstains**: the completion counts neither as good nor as bad, in no
mean and in no advantage. It never stands for 0.

A reward may declare, as attributes of its class or of the instance:

| attribute | what it says |
| --- | --- |
| `__name__` | what TRL logs it as; [`BaseReward`] takes the class's |
| `columns` | columns of the data that it cannot do without |
| `signals` | token signals, which the trainers of selfrl compute in a forward pass that runs anyway |
| `needs_teacher` | it wants a teacher's completions |
| `needs_policy` | it wants to let the policy generate |
| `abstains` | it returns None by design, so nobody need be warned of a batch where all do |

It is handed lists with one entry a completion:

| column | entry |
| --- | --- |
| every column of the data | as it stands in the row |
| `log_prob`, `entropy`, `self_certainty`, `margin` | float32 tensor (T,) of the completion's tokens; None if unscored |
| `token_texts` | T texts whose concatenation is the completion; special tokens are empty |
| `vocab_size` | a whole number |
| `teacher_completions` | list of a teacher's texts |
| `voter_completions` | list of texts of further voters for the prompt; absent without `num_generations_vote` |
| `policy` | a [`selfrl.generation.Generator`], the same in every entry |
| `batch_records` | a [`BatchRecords`], the same in every entry; absent under TRL's own trainers |

Beside them, once a call: `trainer_state`, `log_metric(name, value)`, `log_extra(column, values)`.

A group is what [`groups_of`] says, for every reward.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from selfrl.answers import read_answer
from selfrl.answers.keys import KeyMode, ReadAnswer
from selfrl.conversation import completion_text, prompt_id
from selfrl.group_record import GroupVote, PromptHistory

Metrics = dict[str, float]


class Reward(Protocol):
    """Anything that TRL calls for rewards; see the module for what else it may declare."""

    @property
    def __name__(self) -> str:
        """What it is logged as."""

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order; None abstains."""


class BatchRecords(Protocol):
    """What selfrl's trainers keep of a generation batch, and share between its rewards."""

    @property
    def history(self) -> PromptHistory:
        """Earlier visits to each prompt; to be read only."""

    @property
    def prompt_ids(self) -> Sequence[str]:
        """Ids of this process's rows in the history: equal prompts share one, whatever system prompt they get."""

    def answers(self, texts: Sequence[str], mode: KeyMode) -> list[ReadAnswer]:
        """The answers of this process's completions, read once a batch however many rewards ask."""

    def cast(self, votes: Sequence[GroupVote]) -> None:
        """Take the votes of all processes' groups; every process calls it, and the first reward that votes counts."""


def groups_of(ids: Iterable[Hashable]) -> list[tuple[int, ...]]:
    """Row numbers of each group: all rows of the global batch with an equal id, wherever they stand.

    The id is the row's in [`Batch.prompt_ids`]; for a reward that joins paraphrases, its (`pair_id`, `view`). Groups
    come in the order of their first rows.

    >>> groups_of(["a", "a", "b", "a"])
    [(0, 1, 3), (2,)]
    """
    groups: dict[Hashable, list[int]] = {}
    for row, name in enumerate(ids):
        groups.setdefault(name, []).append(row)
    return [tuple(rows) for rows in groups.values()]


class Scores(NamedTuple):
    """What a reward made of a batch.

    Args:
        rewards: one a completion of this process, in order; None abstains.
        metrics: figures to log, by their names without the reward's.
        extras: columns for TRL's table of completions, one entry a completion of this process.
    """

    rewards: list[float | None]
    metrics: Mapping[str, float] = {}
    extras: Mapping[str, Sequence[Any]] = {}


@dataclass(frozen=True)
class Batch:
    """One process's completions, and what was handed over with them.

    Args:
        prompts: one a completion, as texts or conversations.
        completions: as texts or conversations.
        columns: see the module.
        trainer_state: transformers' `TrainerState`, None outside a trainer.
    """

    prompts: Sequence[Any]
    completions: Sequence[Any]
    columns: Mapping[str, Any] = field(default_factory=dict)
    trainer_state: Any = None
    _read: dict[KeyMode, list[ReadAnswer]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def texts(self) -> list[str]:
        """The completions' texts."""
        return [completion_text(completion) for completion in self.completions]

    @cached_property
    def prompt_ids(self) -> list[str]:
        """A digest that equal prompts share; under selfrl's trainers the one that their history goes by."""
        return list(self.records.prompt_ids) if self.records is not None else [prompt_id(p) for p in self.prompts]

    @property
    def records(self) -> BatchRecords | None:
        """What the trainer shares between rewards; None under TRL's own trainers."""
        column = self.columns.get("batch_records")
        return column[0] if column else None

    def answers(self, mode: KeyMode = "canonical") -> list[ReadAnswer]:
        """The completions' answers, read once; what another reward has read is not read again."""
        if self.records is not None:
            return self.records.answers(self.texts, mode)
        if mode not in self._read:
            self._read[mode] = [read_answer(text, mode=mode) for text in self.texts]
        return self._read[mode]

    def column(self, name: str) -> Sequence[Any]:
        """A column, one entry a completion; all None if it is not there.

        Raises:
            ValueError: if it has another number of entries.
        """
        values = self.columns.get(name)
        if values is None:
            return [None] * len(self.completions)
        if len(values) != len(self.completions):
            raise ValueError(
                f"The column {name!r} has {len(values)} entries for {len(self.completions)} completions: hand over one "
                "for each."
            )
        return values


class _ClassName:
    """The class's name as the name of its instances, which may be given another."""

    def __get__(self, instance: Any, owner: type) -> str:
        return owner.__name__


class BaseReward:
    """Checks what is handed over and logs; a subclass gives `score`, and declares what it needs.

    Raises:
        ValueError: in a call, for a column, a signal, a teacher or a policy that the reward needs and is not handed.

    Example:
        >>> class Brevity(BaseReward):
        ...     def score(self, batch):
        ...         lengths = [len(text) for text in batch.texts]
        ...         return Scores([1 / (1 + length) for length in lengths], {"longest": max(lengths)})
        >>> Brevity()(["2+2?"] * 2, ["4", "It is"], log_metric=print), Brevity().__name__
        Brevity/longest 5
        ([0.5, 0.16666666666666666], 'Brevity')
    """

    __name__: str = _ClassName()  # type: ignore[assignment]
    columns: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    needs_teacher: bool = False
    needs_policy: bool = False
    abstains: bool = False

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        if len(prompts) != len(completions):
            raise ValueError(
                f"{self.__name__} got {len(prompts)} prompts for {len(completions)} completions: hand over one each."
            )
        self._check_handed(columns)
        scores = self.score(Batch(prompts, completions, columns, trainer_state))
        if log_metric is not None:
            for name, value in scores.metrics.items():
                log_metric(f"{self.__name__}/{name}", value)
        if log_extra is not None:
            for name, values in scores.extras.items():
                log_extra(f"{self.__name__}/{name}", list(values))
        return scores.rewards

    def score(self, batch: Batch) -> Scores:
        """The rewards of one process's completions. Several processes call it together, each with its own."""
        raise NotImplementedError

    def _check_handed(self, columns: Mapping[str, Any]) -> None:
        lacking = [name for name in self.columns if columns.get(name) is None]
        if lacking:
            names = " and ".join(map(repr, lacking))
            pairs = {"pair_id", "view"} & set(lacking)
            hint = "expand paraphrase pairs with selfrl.data.pairs.expand_pairs" if pairs else "add or rename it"
            raise ValueError(f"{self.__name__} needs the column{'s' if len(lacking) > 1 else ''} {names}: {hint}.")
        uncomputed = [name for name in self.signals if columns.get(name) is None]
        if uncomputed:
            raise ValueError(
                f"{self.__name__} needs {', '.join(uncomputed)}, which TRL's own trainers do not compute: train with "
                "selfrl.trainers.GRPOTrainer or RLOOTrainer."
            )
        if self.needs_teacher and columns.get("teacher_completions") is None:
            raise ValueError(
                f"{self.__name__} takes its label from a teacher: train with selfrl.trainers.GRPOTrainer or "
                "RLOOTrainer and teacher=TeacherConfig()."
            )
        if self.needs_policy and not columns.get("policy"):
            raise ValueError(
                f"{self.__name__} asks the policy to judge: train with selfrl.trainers.GRPOTrainer, RLOOTrainer or "
                "NFTTrainer, or let another model judge."
            )


def share_abstaining(rewards: Sequence[float | None]) -> float:
    """Share of the rewards that are None; 0 without any.

    >>> share_abstaining([1.0, None])
    0.5
    """
    return sum(reward is None for reward in rewards) / max(len(rewards), 1)
