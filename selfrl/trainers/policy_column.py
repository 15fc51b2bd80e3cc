"""The policy as a generator for rewards that let it judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl.models.utils import unwrap_model_for_generation

from selfrl.generation.hf import TransformersGenerator
from selfrl.trainers.trl_surface import GroupTrainer, Rows, Setup


class PolicyColumn(GroupTrainer):
    """Mixin over a TRL group trainer: a reward with `needs_policy` gets the column `policy`.

    It holds, for each completion, one [`selfrl.generation.Generator`] over the model in training, as it is when the
    reward is called. It generates with transformers, `per_device_train_batch_size` completions at a time, whatever
    writes the rollouts.

    Raises:
        ValueError: under FSDP or DeepSpeed, where a process holds only a part of the weights.
    """

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        judges = [reward for reward in setup.reward_funcs if getattr(reward, "needs_policy", False)]
        self._policy_judges = bool(judges)
        if judges and (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            raise ValueError(
                f"{type(judges[0]).__name__} lets the policy judge, which does not work with FSDP or DeepSpeed yet: "
                "name another judge."
            )

    def _calculate_rewards(self, inputs: Rows, *args: Any, **kwargs: Any) -> torch.Tensor:
        if not self._policy_judges:
            return super()._calculate_rewards(inputs, *args, **kwargs)
        with self.policy_generator() as policy:
            return super()._calculate_rewards([{**row, "policy": policy} for row in inputs], *args, **kwargs)

    @contextmanager
    def policy_generator(self) -> Iterator[TransformersGenerator]:
        """The model in training as a generator, while this is open."""
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            yield TransformersGenerator(model, self.processing_class, self.args.per_device_train_batch_size)
