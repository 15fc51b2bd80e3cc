"""A hook after the baseline, for what weighs prompts, and shifts or scales completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from selfrl.checkpoint import Part
from selfrl.distributed import gathered
from selfrl.group_record import GroupRecord, PromptHistory
from selfrl.shaping.shaper import AdvantageGroup, Shaper
from selfrl.trainers.records import Listener
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup


class AdvantageShaping(GroupTrainer):
    """Mixin over a TRL group trainer, with `shaping=[…]` of [`selfrl.shaping.Shaper`]s.

    Each is shown the groups of a scored batch, over all processes, with their advantages and records, and gives others;
    one after the other. They act on what TRL made of the rewards, whatever baseline and scale it has. Their figures are
    logged, and their state is in every checkpoint.

    Raises:
        ValueError: before a model loads, for what is no shaper, NFT, whose loss has no advantages, or a pool.
    """

    history: PromptHistory
    add_listener: Callable[[Listener], None]
    _drops_votes: bool
    _trained: Callable[[int, torch.device], torch.Tensor]

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        for shaper in setup.shapers:
            if not isinstance(shaper, Shaper):
                raise ValueError(f"`shaping` holds {shaper!r:.100}: give it selfrl.shaping.Shaper objects.")
        if setup.shapers and setup.pool is not None:
            raise ValueError("A pool takes groups out of the loss that shapers would bring back: drop one of them.")
        if setup.shapers and hasattr(setup.args, "prompt_weight"):
            raise ValueError("Shapers change advantages, and NFT has none: take GRPO or RLOO.")

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self._shapers: list[Shaper] = list(setup.shapers)
        self._shown: Sequence[GroupRecord] = ()
        if not self._shapers:
            return
        self.add_listener(self._keep_records)
        for i, shaper in enumerate(self._shapers):
            self.checkpoint.register(Part(f"shaping_{i}_{type(shaper).__name__}", shaper.state, shaper.load))

    def _keep_records(self, records: Sequence[GroupRecord]) -> None:
        self._shown = records

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if not self._shapers or not self.model.training:
            return output
        names = {name for shaper in self._shapers for name in shaper.columns}
        mine = [{name: row[name] for name in names} for row in inputs]
        all_, start = gathered(list(zip(output["advantages"].tolist(), mine, strict=True)))
        device = torch.device("cpu")
        trained = self._trained(len(all_), device).tolist() if self._drops_votes else [True] * len(all_)
        advantages = [advantage for advantage, _ in all_]
        for shaper in self._shapers:
            groups = [
                AdvantageGroup(
                    record,
                    tuple(advantages[row] for row in record.rows),
                    tuple(trained[row] for row in record.rows),
                    self.history.last(record.prompt_id)[:-1],  # the last one is this
                    self.history.visits(record.prompt_id) - 1,
                    all_[record.rows[0]][1],
                )
                for record in self._shown
            ]
            shaped = shaper.shape(groups)
            for record, values in zip(self._shown, shaped.advantages, strict=True):
                for row, value in zip(record.rows, values, strict=True):
                    advantages[row] = value
            for name, value in shaped.metrics.items():
                self._metrics["train"][name].append(value)
        self._set_advantages(output, advantages, start)
        return output
