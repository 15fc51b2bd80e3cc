"""A teacher that follows the policy slowly: Co-rewarding II and III (2508.00410)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from selfrl.signals.ema import cosine_weight, ema_update_
from selfrl.trainers.signal_columns import completion_ids_of

FILE = "teacher.safetensors"


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


class Teacher:
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
            DeepSpeed), which is not supported.
    """

    args: Any
    accelerator: Any
    model: Any
    ref_model: Any
    processing_class: Any
    use_vllm: bool
    is_deepspeed_enabled: bool
    is_fsdp_enabled: bool

    def __init__(
        self,
        model: Any,
        reward_funcs: Any,
        args: Any,
        *rest: Any,
        teacher: TeacherConfig | None = None,
        **options: Any,
    ) -> None:
        listeners = [reward for reward in reward_funcs if getattr(reward, "needs_teacher", False)]
        if listeners and teacher is None:
            raise ValueError(
                f"{type(listeners[0]).__name__} takes its label from a teacher: give the trainer "
                "teacher=TeacherConfig()."
            )
        if teacher is not None and args.sync_ref_model:
            raise ValueError("The teacher is the KL reference: leave sync_ref_model off.")
        self.teacher = teacher
        self._teacher_speaks = bool(listeners)
        self._teacher_texts: list[list[str]] = []
        super().__init__(model, reward_funcs, args, *rest, **options)  # type: ignore[call-arg]
        if teacher is None:
            return
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise ValueError("A teacher does not work with FSDP or DeepSpeed yet: train with plain data parallelism.")
        self.shadow = {name: p.detach().to(torch.float32, copy=True) for name, p in self._trained_weights().items()}
        self.add_callback(_AfterEachStep(self))  # type: ignore[attr-defined]

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

    def _trained_weights(self) -> dict[str, torch.nn.Parameter]:
        model = self.accelerator.unwrap_model(self.model)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def _refer(self) -> None:
        if self.ref_model is not None:
            reference = dict(self.accelerator.unwrap_model(self.ref_model).named_parameters())
            for name, tensor in self.shadow.items():
                reference[name].copy_(tensor)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        generate = super()._generate_single_turn  # type: ignore[misc]
        if self._teacher_speaks:
            assert self.teacher is not None
            # The teacher comes first: what is heard of the last generation, and what vLLM holds, is then the policy's.
            with self.teacher_weights():
                self._forget_loaded_weights()
                outputs = [generate(*args, **kwargs) for _ in range(self.teacher.teacher_rollouts)]
            self._forget_loaded_weights()
            texts = [
                self.processing_class.batch_decode(completion_ids_of(output), skip_special_tokens=True)
                for output in outputs
            ]
            self._teacher_texts = [list(row) for row in zip(*texts, strict=True)]
        return generate(*args, **kwargs)

    def _forget_loaded_weights(self) -> None:
        """Let TRL send the model's weights to vLLM anew before it generates."""
        if self.use_vllm:
            self._last_loaded_step = -1

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        score = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
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

    def _calculate_rewards(self, inputs: list[dict[str, Any]], *args: Any, **kwargs: Any) -> torch.Tensor:
        if self._teacher_speaks:
            inputs = [
                {**row, "teacher_completions": texts} for row, texts in zip(inputs, self._teacher_texts, strict=True)
            ]
        return super()._calculate_rewards(inputs, *args, **kwargs)  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
        if self.teacher is not None and self.args.should_save:
            save_shadow(self.shadow, Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if self.teacher is not None and checkpoint is not None:
            for name, tensor in load_shadow(Path(checkpoint)).items():
                self.shadow[name].copy_(tensor)
            self._refer()


def save_shadow(shadow: dict[str, torch.Tensor], folder: Path) -> None:
    """Write a teacher's weights into a checkpoint, whole or not at all."""
    part = folder / f"{FILE}.part"
    save_file({name: tensor.contiguous() for name, tensor in shadow.items()}, part)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.rename(folder / FILE)


def load_shadow(folder: Path) -> dict[str, torch.Tensor]:
    """A teacher's weights from a checkpoint.

    Raises:
        ValueError: if the checkpoint has none.
    """
    if not (folder / FILE).exists():
        raise ValueError(f"{folder} holds no {FILE}: it comes from a run without a teacher, start anew.")
    return load_file(folder / FILE)


class _AfterEachStep(TrainerCallback):
    def __init__(self, trainer: Teacher) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.follow(state.global_step, state.max_steps)
