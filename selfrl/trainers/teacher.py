"""A teacher that follows the policy slowly: Co-rewarding II and III (2508.00410)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import is_peft_model
from transformers import TrainerCallback

from selfrl.checkpoint import Part
from selfrl.signals.ema import cosine_weight, ema_update_
from selfrl.trainers.trl_surface import GroupTrainer, Rows, Setup

REFERENCE = "ref"  # TRL's name for the adapter that is the KL reference of a policy with one


@dataclass
class TeacherConfig:
    """The teacher is a moving average of the policy: teacher ← w(k) · policy + (1 − w(k)) · teacher after step k.

    w falls from `teacher_weight_start` to `teacher_weight_end` along a cosine over the run. (The paper writes a
    weight of the teacher, 0.99 → 0.9999; its code has these.)

    Args:
        teacher_weight_start: w(0), the policy's weight at the first step.
        teacher_weight_end: w(K), at the last.
        teacher_rollouts: completions the teacher samples for each of the policy's.

    Raises:
        ValueError: for a weight outside 0..1, or no rollouts.
    """

    teacher_weight_start: float = field(default=0.01, metadata={"help": "Weight of the policy at the first step."})
    teacher_weight_end: float = field(default=1e-5, metadata={"help": "Weight of the policy at the last step."})
    teacher_rollouts: int = field(default=1, metadata={"help": "Teacher completions for each of the policy's."})

    def __post_init__(self) -> None:
        for name in ("teacher_weight_start", "teacher_weight_end"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it is a weight, from 0 to 1.")
        if self.teacher_rollouts < 1:
            raise ValueError(f"`teacher_rollouts` is {self.teacher_rollouts}: it must be at least 1.")


class Teacher(GroupTrainer):
    """Mixin over a TRL group trainer: a teacher that labels rollouts and is the KL reference.

    With `teacher=TeacherConfig()`:

    - a float32 shadow of the trainable weights (under PEFT, of the adapter alone) moves towards the policy after every
      optimizer step;
    - the KL term, if beta is not 0, refers to it instead of the initial policy;
    - if a reward asks (`needs_teacher`), it samples `teacher_rollouts` completions for each of the policy's, by the
      same back end, with its weights in the policy's place meanwhile; the reward gets them as the column
      `teacher_completions`, a list of texts a completion;
    - the shadow is in every checkpoint, and a resumed run goes on with it exactly.

    Raises:
        ValueError: for a reward that needs a teacher without one, before a model loads; for sharded training (FSDP,
            DeepSpeed), tools, environments and `rollout_func`, which are not supported.
    """

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        listeners = [reward for reward in setup.reward_funcs if getattr(reward, "needs_teacher", False)]
        if listeners and setup.teacher is None:
            raise ValueError(
                f"{type(listeners[0]).__name__} takes its label from a teacher: give the trainer "
                "teacher=TeacherConfig()."
            )
        if setup.teacher is None:
            return
        if setup.args.sync_ref_model:
            raise ValueError("The teacher is the KL reference: leave sync_ref_model off.")
        if foreign := setup.given("tools", "environment_factory", "rollout_func"):
            raise ValueError(f"A teacher cannot answer with {foreign}: drop it, or the teacher.")

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.teacher = setup.teacher
        self._teacher_speaks = any(getattr(reward, "needs_teacher", False) for reward in setup.reward_funcs)
        self._teacher_texts: list[list[str]] = []
        if self.teacher is None:
            return
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise ValueError("A teacher does not work with FSDP or DeepSpeed yet: train with plain data parallelism.")
        self.shadow = {name: p.detach().to(torch.float32, copy=True) for name, p in self._trained_weights().items()}
        self.checkpoint.register(Part("teacher", lambda: self.shadow, self._load_shadow))
        self.add_callback(_AfterEachStep(self))

    def _load_shadow(self, state: dict[str, torch.Tensor]) -> None:
        for name, tensor in state.items():
            self.shadow[name].copy_(tensor)
        self._refer()

    def follow(self, step: int, total: int) -> None:
        """Move the shadow after optimizer step `step` of `total`, and the reference with it."""
        assert self.teacher is not None
        weight = cosine_weight(step, total, self.teacher.teacher_weight_start, self.teacher.teacher_weight_end)
        ema_update_(self.shadow, self._trained_weights(), weight)
        self._refer()

    @contextmanager
    def teacher_weights(self) -> Iterator[None]:
        """The model speaks with the teacher's weights while this is open; nothing may train meanwhile."""
        trained = self._trained_weights()
        policy = {name: p.data for name, p in trained.items()}
        try:
            for name, p in trained.items():
                p.data = self.shadow[name].to(p.dtype)
            yield
        finally:
            for name, p in trained.items():
                p.data = policy[name]

    @contextmanager
    def teacher_voice(self) -> Iterator[None]:
        """The teacher generates while this is open, by vLLM too."""
        with self.teacher_weights():
            self._forget_loaded_weights()
            yield
        self._forget_loaded_weights()

    def _trained_weights(self) -> dict[str, torch.nn.Parameter]:
        model = self.accelerator.unwrap_model(self.model)
        return {name: p for name, p in model.named_parameters() if p.requires_grad and f".{REFERENCE}." not in name}

    @torch.no_grad()
    def _refer(self) -> None:
        """Give TRL's reference the teacher's weights, if it has weights of its own."""
        model = self.accelerator.unwrap_model(self.model)
        if self.ref_model is not None:
            reference = dict(self.accelerator.unwrap_model(self.ref_model).named_parameters())
            for name, tensor in self.shadow.items():
                reference[name].copy_(tensor)
        elif is_peft_model(model) and REFERENCE in model.peft_config:
            # of a policy that came with an adapter, the reference is a second one
            for name, tensor in self.shadow.items():
                model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).copy_(tensor)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        generate = super()._generate_single_turn
        if self._teacher_speaks:
            assert self.teacher is not None
            # The teacher comes first: what is heard of the last generation, and what vLLM holds, is then the policy's.
            with self.teacher_voice():
                outputs = [generate(*args, **kwargs) for _ in range(self.teacher.teacher_rollouts)]
            self._teacher_texts = [list(row) for row in zip(*map(self._texts_of, outputs), strict=True)]
        return generate(*args, **kwargs)

    def _forget_loaded_weights(self) -> None:
        """Let TRL send the model's weights to vLLM anew before it generates."""
        if self.use_vllm:
            self._last_loaded_step = -1

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        score = super()._get_per_token_logps_and_entropies
        if self.teacher is None or torch.is_grad_enabled():  # the loss is never the reference's
            return score(*args, **kwargs)
        model = self.accelerator.unwrap_model(self.model)
        # With PEFT, TRL's reference is the model with its adapter off: put the teacher's adapter on instead.
        if not is_peft_model(model) or model.get_model_status().enabled is not False:
            return score(*args, **kwargs)
        model.base_model.enable_adapter_layers()
        try:
            with self.teacher_weights():
                return score(*args, **kwargs)
        finally:
            model.base_model.disable_adapter_layers()

    def _calculate_rewards(self, inputs: Rows, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self._teacher_speaks:
            inputs = [
                {**row, "teacher_completions": texts} for row, texts in zip(inputs, self._teacher_texts, strict=True)
            ]
        return super()._calculate_rewards(inputs, *args, **kwargs)


class _AfterEachStep(TrainerCallback):
    def __init__(self, trainer: Teacher) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.follow(state.global_step, state.max_steps)
