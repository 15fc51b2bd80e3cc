"""One record of each prompt's group: made once a scored batch, handed to listeners, remembered over the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from selfrl.answers import read_answer
from selfrl.answers.keys import KeyMode, ReadAnswer
from selfrl.checkpoint import Part
from selfrl.conversation import row_id
from selfrl.distributed import gathered
from selfrl.group_record import GroupRecord, GroupVote, PromptHistory
from selfrl.monitor.diagnostics import repetition
from selfrl.monitor.watch import RecordCallback
from selfrl.rewards import MajorityVoteReward
from selfrl.rewards.contract import groups_of
from selfrl.rewards.reward_sums import weighted_sums
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup

Listener = Callable[[Sequence[GroupRecord]], dict[str, float] | None]


class ScoredBatch:
    """What the rewards of one batch share: answers, read once, and the vote of the first that votes.

    Args:
        history: of the prompts so far; rewards read it.
        prompt_ids: of this process's rows.
    """

    def __init__(self, history: PromptHistory, prompt_ids: Sequence[str]) -> None:
        self.history, self.prompt_ids = history, prompt_ids
        self.votes: list[GroupVote] | None = None
        self._answers: dict[KeyMode, list[ReadAnswer]] = {}

    def answers(self, texts: Sequence[str], mode: KeyMode = "canonical") -> list[ReadAnswer]:
        """Answers of this process's completions, in order; `texts` are the same whoever asks."""
        if mode not in self._answers:
            self._answers[mode] = [read_answer(text, mode=mode) for text in texts]
        return self._answers[mode]

    def cast(self, votes: Sequence[GroupVote]) -> None:
        """Tell what was elected in the groups of all processes."""
        if self.votes is None:
            self.votes = list(votes)


class Facts(NamedTuple):
    """What a record holds of one completion beside its rewards."""

    prompt_id: str
    length: int
    cut_off: bool
    signals: dict[str, float | None]
    task: str | None = None
    stage: int | None = None
    repetition: float | None = None


class Records(GroupTrainer):
    """Mixin over a TRL group trainer: a [`selfrl.group_record.GroupRecord`] of every prompt in every training batch.

    Listeners get the records of all processes' prompts, on every process, and may return figures to log. Keys, votes
    and labels are those of the first reward that votes; where none does, a majority vote is taken if there is a
    listener, and only then. A [`selfrl.monitor.watch.RecordCallback`] among `callbacks` listens, and its state is in
    every checkpoint. `history` keeps the last visits of each prompt, in every checkpoint too. With `log_completions`,
    TRL's table has the columns `key` and `label` of each completion.

    Rewards are handed the column `batch_records`, see [`selfrl.rewards.contract.BatchRecords`].
    """

    history: PromptHistory

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.history = PromptHistory()
        self._listeners: list[Listener] = []
        self.checkpoint.register(Part("history", self.history.state, self.history.load, required=False))
        for callback in setup.options.get("callbacks") or ():
            if isinstance(callback, RecordCallback):
                self.add_listener(callback.hear)
                self.checkpoint.register(Part(callback.part, callback.state, callback.load, required=False))

    def add_listener(self, listener: Listener) -> None:
        """Hand the records of every training batch to `listener` from now on."""
        self._listeners.append(listener)

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        self._prompt_ids = [row_id(row) for row in inputs]
        self._tasks = [(row.get("task"), row.get("stage")) for row in inputs]
        return super()._generate_and_score_completions(inputs)

    def _calculate_rewards(
        self, inputs: Rows, prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        if getattr(self, "environments", None):  # what is asked follows from the environment, not from the row alone
            self._prompt_ids = [row_id({**row, "prompt": prompt}) for row, prompt in zip(inputs, prompts, strict=True)]
        batch = ScoredBatch(self.history, self._prompt_ids)
        rows = [{**row, "batch_records": batch} for row in inputs]
        rewards_NF = super()._calculate_rewards(rows, prompts, completions, completion_ids_list)
        if batch.votes is None and self._listeners and self.model.training:
            golds = [row.get("answer") for row in inputs]
            MajorityVoteReward()(prompts, completions, batch_records=[batch] * len(inputs), answer=golds)
        if self.log_completions:
            self._log_votes(batch.votes or (), len(inputs))
        if not self.model.training:
            return rewards_NF
        facts, _ = gathered(self._facts(completion_ids_list))
        sums_N = weighted_sums(rewards_NF, self.reward_weights).tolist()
        rewards = [None if math.isnan(value) else value for value in sums_N]
        records = records_of(facts, rewards, batch.votes, self.state.global_step)
        for record in records:
            self.history.add(record)
        for listener in self._listeners:
            for name, value in (listener(records) or {}).items():
                self._metrics["train"][name].append(value)
        return rewards_NF

    def _log_votes(self, votes: Sequence[GroupVote], rows: int) -> None:
        """Each completion's key, and what its group is rewarded by, for TRL's table of completions.

        In every batch, so that the table's columns stay equally long.
        """
        start = self.accelerator.process_index * rows
        voted = {row: (key, vote.label) for vote in votes for row, key in zip(vote.rows, vote.keys, strict=True)}
        mine = [voted.get(row, (None, None)) for row in range(start, start + rows)]
        for column, values in zip(("key", "label"), zip(*mine, strict=True), strict=True):
            if column not in self._pending_extra_logs:  # a reward's own column of that name stays
                self._log_completion_extra(column, list(map(_writable, values)))

    def _facts(self, completion_ids: list[list[int]]) -> list[Facts]:
        """Of this process's completions."""
        means = self._signal_means()
        return [
            Facts(
                name,
                len(ids),
                self._is_cut_off(ids),
                {signal: values[i] for signal, values in means.items()},
                *task,
                repetition(ids) if self._listeners else None,
            )
            for i, (name, ids, task) in enumerate(zip(self._prompt_ids, completion_ids, self._tasks, strict=True))
        ]


def _writable(text: str | None) -> str | None:
    """Without lone surrogates, which a table cannot hold."""
    return None if text is None else str(text).encode("utf-8", "replace").decode()


def records_of(
    facts: Sequence[Facts], rewards: Sequence[float | None], votes: Sequence[GroupVote] | None, step: int
) -> list[GroupRecord]:
    """Records of the groups of a batch.

    Args:
        facts: of the completions of all processes.
        rewards: of these, in the same order.
        votes: of their groups; None where nobody voted, and groups are those of equal prompts.
        step: optimizer steps made.
    """
    if votes is None:
        votes = [GroupVote(tuple(rows), (), None) for rows in groups_of([fact.prompt_id for fact in facts])]
    records = []
    for vote in votes:
        members = [facts[row] for row in vote.rows]
        records.append(
            GroupRecord(
                prompt_id=members[0].prompt_id,
                step=step,
                keys=vote.keys,
                label=vote.label,
                label_is_right=vote.label_is_right,
                rewards=tuple(rewards[row] for row in vote.rows),
                lengths=tuple(fact.length for fact in members),
                cut_off=tuple(fact.cut_off for fact in members),
                signals={name: tuple(fact.signals[name] for fact in members) for name in members[0].signals},
                task=members[0].task,
                stage=members[0].stage,
                rows=vote.rows,
                repetition=tuple(fact.repetition for fact in members if fact.repetition is not None),
            )
        )
    return records
