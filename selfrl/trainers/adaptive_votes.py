"""More voters where the vote is open, and there alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from selfrl.answers import read_answer
from selfrl.answers.keys import ReadAnswer
from selfrl.distributed import gathered, over_all_processes, shared_out
from selfrl.rewards.contract import Batch as RewardBatch
from selfrl.rewards.contract import groups_of
from selfrl.rewards.prompt_groups import PromptGroupReward
from selfrl.rewards.vote_stopping import further_votes
from selfrl.trainers.trl_surface import GroupTrainer, Rows, Setup


@dataclass(frozen=True)
class VoteBudget:
    """How many vote for a prompt's label, those that are trained on among them.

    Args:
        least: always.
        most: where the vote stays open.

    Raises:
        ValueError: for numbers that leave no vote.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"num_generations_vote is {self.least} to {self.most}: take 1 <= least <= most.")

    @classmethod
    def of(cls, value: Any) -> VoteBudget:
        """From a mapping of `least` and `most`, or JSON of one, as a command line has it.

        Raises:
            ValueError: for anything else.

        Example:
            >>> VoteBudget.of({"least": 8, "most": 64})
            VoteBudget(least=8, most=64)
        """
        try:
            known = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            known = None
        if not isinstance(known, dict) or set(known) != {"least", "most"}:
            raise ValueError(f"num_generations_vote is {value!r}: it must be as {{least: 8, most: 64}}.")
        if not all(isinstance(number, int) for number in known.values()):
            raise ValueError(f"num_generations_vote is {value!r}: least and most must be whole numbers.")
        return cls(**known)


class Ballot(NamedTuple):
    """What one row brings to the vote of its group."""

    group: Any
    answers: tuple[ReadAnswer, ...]
    asked: list[int]  # token ids of the prompt, for the first row of a group on its process


class AdaptiveVotes(GroupTrainer):
    """Mixin over a TRL group trainer: once a group's completions have voted, more voters are drawn for prompts whose
    label is still open, in blocks, up to `num_generations_vote: {least, most}`; see
    [`selfrl.rewards.vote_stopping.is_open`].

    They come from whoever elects the label, the policy or its teacher, by the same back end, and go to the rewards as
    the columns `voter_completions` and `teacher_completions`. They are not trained on. All processes draw alike.
    Logged: `votes/drawn`, voters a prompt, and `votes/saved`, the share of `most` that was not needed.

    Raises:
        ValueError: before a model loads, for numbers that leave no vote, rewards that elect nothing, rows with
            pictures, tools, environments or `rollout_func`.
    """

    _budget: VoteBudget | None = None

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        value = getattr(setup.args, "num_generations_vote", None)  # TRL's own configurations will do, too
        if value is None:
            return
        budget = VoteBudget.of(value)
        electing = _electing(setup.reward_funcs)
        if not electing:
            raise ValueError(
                "num_generations_vote draws voters, but no reward elects a label: drop it, or take one that does."
            )
        for voters in electing:
            each = getattr(setup.teacher, "teacher_rollouts", 1) if voters == "teacher" else 1
            cast = setup.args.num_generations * each
            if budget.least < cast:
                raise ValueError(
                    f"num_generations_vote begins with {budget.least} votes, but {cast} are cast anyway: raise least."
                )
        if foreign := setup.given("tools", "environment_factory", "rollout_func"):
            raise ValueError(f"Further voters cannot answer with {foreign}: drop it, or num_generations_vote.")
        columns = getattr(setup.train_dataset, "column_names", None) or ()
        if {"image", "images"} & set(columns):
            raise ValueError("Further voters are not shown pictures yet: drop num_generations_vote.")

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        value = getattr(self.args, "num_generations_vote", None)
        self._budget = None if value is None else VoteBudget.of(value)
        self._asked_with: tuple[Any, ...] = ()

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        self._asked_with = args
        return super()._generate_single_turn(*args, **kwargs)

    def _calculate_rewards(
        self, inputs: Rows, prompts: Any, completions: Any, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        if self._budget is not None and self.model.training:
            for voters, reward in _electing(self.reward_funcs).items():
                columns = {name: [row.get(name) for row in inputs] for name in inputs[0]}
                further = self._polled(reward, RewardBatch(prompts, completions, columns), self._budget)
                name = "teacher_completions" if voters == "teacher" else "voter_completions"
                inputs = [{**row, name: [*row.get(name, ()), *further.get(i, ())]} for i, row in enumerate(inputs)]
        return super()._calculate_rewards(inputs, prompts, completions, *args, **kwargs)

    def _polled(self, reward: PromptGroupReward, batch: RewardBatch, budget: VoteBudget) -> dict[int, list[str]]:
        """What further voters said, by the row of this process that brings it to the reward."""
        ballots, start = gathered(self._ballots(reward, batch))
        groups = groups_of([ballot.group for ballot in ballots])
        votes = [[answer for row in rows for answer in ballots[row].answers] for rows in groups]
        said: list[list[str]] = [[] for _ in groups]
        still_open: Iterable[int] = range(len(groups))

        def missing(_: Any) -> tuple[list[Any], list[int]]:
            keys = {i: reward.rule.merged(votes[i])[0][0] for i in still_open}
            counts = {i: further_votes(known, budget.least, budget.most) for i, known in keys.items()}
            return [], [i for i, count in counts.items() for _ in range(count)]

        # the main process decides: a comparison that runs out of time may come out differently on each
        while wanted := over_all_processes(missing, [])[1]:
            still_open = dict.fromkeys(wanted)
            asked = [ballots[groups[i][0]].asked for i in wanted]
            for i, text in zip(wanted, self._further_texts(asked, reward.voters == "teacher"), strict=True):
                said[i].append(text)
                votes[i].append(read_answer(text, mode=reward.rule.mode))
        drawn = sum(map(len, votes)) / len(groups)
        self._metrics["train"]["votes/drawn"].append(drawn)
        self._metrics["train"]["votes/saved"].append(1 - drawn / budget.most)
        return {rows[0] - start: texts for rows, texts in zip(groups, said, strict=True)}

    def _ballots(self, reward: PromptGroupReward, batch: RewardBatch) -> list[Ballot]:
        """Of this process's rows."""
        ids, mode = list(reward.group_ids(batch)), reward.rule.mode
        first = {rows[0] for rows in groups_of(ids)}
        if reward.voters == "teacher":
            texts = batch.column("teacher_completions")
            heard = [tuple(read_answer(text, mode=mode) for text in some) for some in texts]
        else:
            heard = [(answer,) for answer in batch.answers(mode)]
        asked = [prompt if i in first else [] for i, prompt in enumerate(self._asked_with[0])]
        return [Ballot(*ballot) for ballot in zip(ids, heard, asked, strict=True)]

    def _further_texts(self, asked: Sequence[list[int]], by_teacher: bool) -> list[str]:
        """One text a prompt, each process doing its share; as many each, for back ends that work in step."""
        spare = asked[:1] * (-len(asked) % self.accelerator.num_processes)
        with self.teacher_voice() if by_teacher else nullcontext(), self._one_each():
            return shared_out([*asked, *spare], self._answers_to)[: len(asked)]

    def _answers_to(self, asked: list[list[int]]) -> list[str]:
        more = self._asked_with[3:]  # GRPO says how often each prompt stands there, RLOO goes by the attribute
        output = super()._generate_single_turn(asked, None, {}, *(1 for _ in more))
        return self._texts_of(output)

    @contextmanager
    def _one_each(self) -> Iterator[None]:
        """Every prompt of the list is a request of its own while this is open."""
        before = self.num_generations
        self.num_generations = 1
        try:
            yield
        finally:
            self.num_generations = before


def _electing(rewards: Sequence[Any]) -> dict[str, PromptGroupReward]:
    """The first reward that elects by each kind of voters."""
    found: dict[str, PromptGroupReward] = {}
    for reward in rewards:
        if isinstance(reward, PromptGroupReward) and reward.elects:
            found.setdefault(reward.voters, reward)
    return found
