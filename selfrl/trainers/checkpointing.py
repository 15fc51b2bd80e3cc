"""What a group trainer keeps in its checkpoints, so that a resumed run equals one that was never killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from selfrl.checkpoint import Checkpoint, Part
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Setup


class Checkpointing(GroupTrainer):
    """Mixin over a TRL group trainer: parts register with `self.checkpoint` and are in every checkpoint.

    Its own part, `rollouts`, is the place within a generation batch: TRL starts a new batch after a resume, though the
    old one is trained on for several more steps. With it go the figures that were logged since the last log line.
    """

    def _attach(self, setup: Setup) -> None:
        self.checkpoint = Checkpoint()
        self.checkpoint.register(
            Part("rollouts", self._rollouts, self._load_rollouts, each_process=True, required=False)
        )
        super()._attach(setup)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.checkpoint.save(Path(output_dir), self.accelerator.process_index, shared=self.args.should_save)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.checkpoint.load(Path(checkpoint), self.accelerator.process_index)
            self._take_own_rate()

    def _take_own_rate(self) -> None:
        """Go on with the configuration's learning rate, where the checkpoint's was another one.

        The loaded optimizer and schedule would keep theirs without a word.
        """
        schedule = getattr(self.lr_scheduler, "scheduler", self.lr_scheduler)
        rates = {group.get("initial_lr") for group in self.optimizer.param_groups}
        if len(rates) != 1 or not hasattr(schedule, "base_lrs"):
            return
        (rate,) = rates
        if not rate or rate == self.args.learning_rate:
            return
        factor = self.args.learning_rate / rate
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
            group["initial_lr"] = self.args.learning_rate
        schedule.base_lrs = [self.args.learning_rate for _ in schedule.base_lrs]
        schedule._last_lr = [value * factor for value in schedule._last_lr]

    def _rollouts(self) -> Batch:
        state: Batch = {"step": self._step, "metrics": dict(self._metrics["train"])}
        if self._step % (self.args.steps_per_generation * self.num_iterations) and self._buffered_inputs is not None:
            for i, part in enumerate(self._buffered_inputs):
                state |= {f"{i}/{name}": value for name, value in part.items()}
        return state

    def _load_rollouts(self, state: Batch) -> None:
        self._step = state.pop("step")
        for name, values in state.pop("metrics").items():
            self._metrics["train"][name].extend(values)
        parts: dict[int, dict[str, Any]] = {}
        for key, value in state.items():
            place, _, name = key.partition("/")
            if isinstance(value, torch.Tensor):
                value = value.to(self.accelerator.device)
            parts.setdefault(int(place), {})[name] = value
        self._buffered_inputs = [parts[i] for i in sorted(parts)] or None
