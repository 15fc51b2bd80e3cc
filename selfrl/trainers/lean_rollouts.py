"""Rollouts of transformers that read each prompt once and drop rows that have ended."""

from __future__ import annotations

from typing import Any

from selfrl.generation.lean import can_be_lean, lean_generate
from selfrl.trainers.trl_surface import GroupTrainer


class LeanRollouts(GroupTrainer):
    """Mixin over a TRL group trainer: its transformers rollouts are those of [`selfrl.generation.lean`], by
    `lean_rollouts`, which selfrl's configurations have on.

    The distribution is TRL's, the draws are others. Left as TRL has it: vLLM and continuous batching, which do the
    same; sharded models, whose processes must generate in step; rewards that listen to generation; pictures, and what
    [`selfrl.generation.lean.can_be_lean`] names.
    """

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        other_engine = self.use_vllm or self.use_transformers_continuous_batching
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        lean = getattr(self.args, "lean_rollouts", False)  # TRL's own configurations will do, too
        if not lean or other_engine or sharded or self._hears_generation:
            return super()._generate_single_turn(*args, **kwargs)
        model = self.accelerator.unwrap_model(self.model)
        plain = model.generate

        def generate(generation_config: Any, **inputs: Any) -> Any:
            if not can_be_lean(model, generation_config, **inputs):
                return plain(generation_config=generation_config, **inputs)
            return lean_generate(plain, inputs["input_ids"], inputs["attention_mask"], generation_config)

        model.generate = generate
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            del model.generate
