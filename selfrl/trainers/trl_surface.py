"""Every private name of TRL's group trainers that selfrl calls or overrides, typed once.

`tests/trainers/test_trl_surface.py` compares names and signatures with the installed TRL, so that a new TRL fails there
and not in a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Sampler

from selfrl.checkpoint import Checkpoint

Rows = list[dict[str, Any]]
Batch = dict[str, Any]

# What TRL stores of a scored batch for its vision models, beside tokens and masks.
PICTURES = (
    "pixel_values",
    "image_grid_thw",
    "num_images",
    "pixel_attention_mask",
    "spatial_shapes",
    "num_tiles",
    "image_sizes",
    "token_type_ids",
    "mm_token_type_ids",
    "image_position_ids",
)


class Surface:
    """What `trl.GRPOTrainer` and `trl.RLOOTrainer` share, as far as selfrl uses it; never instantiated."""

    args: Any
    accelerator: Any
    model: Any
    model_wrapped: Any
    ref_model: Any
    processing_class: Any
    optimizer: Any
    lr_scheduler: Any
    state: Any
    train_dataset: Any
    is_deepspeed_enabled: bool
    is_fsdp_enabled: bool
    current_gradient_accumulation_steps: int

    log_completions: bool

    beta: float
    temperature: float
    num_generations: int
    num_generations_eval: int
    num_iterations: int
    shuffle_dataset: bool
    max_completion_length: int
    mask_truncated_completions: bool
    use_vllm: bool
    use_transformers_continuous_batching: bool
    eos_token_ids: list[int]
    reward_funcs: list[Any]
    reward_func_names: list[str]
    reward_weights: torch.Tensor
    aux_loss_enabled: bool
    router_aux_loss_coef: float

    _name: str
    _tokenizer: Any
    _metrics: dict[str, dict[str, list[float]]]
    _logs: dict[str, Any]
    _pending_extra_logs: dict[str, list[Any]]
    _step: int
    _buffered_inputs: list[Batch] | None
    _last_loaded_step: int

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:  # noqa: D102
        raise NotImplementedError

    def add_callback(self, callback: Any) -> None:  # noqa: D102
        raise NotImplementedError

    def compute_loss(  # noqa: D102
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        raise NotImplementedError

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:  # noqa: D102
        raise NotImplementedError

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        raise NotImplementedError

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        raise NotImplementedError

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        raise NotImplementedError

    def _get_dataloader(
        self,
        dataset: Any,
        description: str,
        batch_size: int,
        sampler_fn: Any = None,
        is_training: bool = False,
        dataloader_key: str | None = None,
    ) -> DataLoader[Any]:
        raise NotImplementedError

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        raise NotImplementedError

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        raise NotImplementedError

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: int, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        raise NotImplementedError

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        raise NotImplementedError

    def _generate_single_turn(self, prompt_ids: Any, images: Any, multimodal_fields: Any, **options: Any) -> Any:
        raise NotImplementedError

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        raise NotImplementedError

    def _calculate_rewards(
        self, inputs: Rows, prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        raise NotImplementedError

    def _compute_loss(self, model: Any, inputs: Batch) -> torch.Tensor:
        raise NotImplementedError

    def _log_completion_extra(self, column: str, values: list[Any]) -> None:
        raise NotImplementedError


class ConfigSurface:
    """What selfrl's configurations use of TRL's."""

    def __post_init__(self) -> None:
        raise NotImplementedError


if TYPE_CHECKING:
    _Below = Surface
    _BelowConfig = ConfigSurface
else:
    _Below = _BelowConfig = object


class GroupConfig(_BelowConfig):
    """Base of what selfrl adds to TRL's configurations."""


@dataclass
class Setup:
    """What a trainer is given, with every option under its name and `reward_funcs` as a list.

    Args:
        model: a name, a folder, or a model.
        reward_funcs: none, one or several in TRL; a list here.
        args: a configuration.
        train_dataset: None only where an environment gives the prompts.
        eval_dataset: None, one, or several by name.
        teacher: see [`selfrl.trainers.teacher.Teacher`].
        curriculum: see [`selfrl.trainers.curriculum.Curriculum`].
        pool: see [`selfrl.trainers.pool_source.PoolSource`].
        roles: see [`selfrl.trainers.role_baselines.Roles`].
        shapers: see [`selfrl.trainers.advantage_shaping.AdvantageShaping`].
        options: the rest, which goes to TRL as it is.
    """

    model: Any
    reward_funcs: list[Any]
    args: Any
    train_dataset: Any = None
    eval_dataset: Any = None
    teacher: Any = None
    curriculum: Any = None
    pool: Any = None
    roles: Any = None
    shapers: list[Any] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def given(self, *names: str) -> str | None:
        """The first of these options that is set."""
        return next((name for name in names if self.options.get(name)), None)


class GroupTrainer(_Below):
    """Base of every mixin: between selfrl's features and TRL's trainer in the order of calls."""

    checkpoint: Checkpoint

    def _check(self, setup: Setup) -> None:
        """Refuse what a feature cannot work with, before a model loads."""

    def _attach(self, setup: Setup) -> None:
        """Set a feature up, once TRL's trainer is built."""

    def _is_cut_off(self, completion_ids: list[int]) -> bool:
        """Whether a completion ended at the length limit, by TRL's own rule."""
        return completion_ids[-1] not in (*self.eos_token_ids, self._tokenizer.pad_token_id)

    def _texts_of(self, output: Any) -> list[str]:
        """What TRL's `_generate_single_turn` gives, as texts without special tokens."""
        texts: list[str] = self.processing_class.batch_decode(completion_ids_of(output), skip_special_tokens=True)
        return texts

    def _replacements(self, seen: set[str], seed: Sequence[int]) -> Iterator[Rows]:
        """Rows, whole pairs together, that may take the place of those whose ids were seen."""
        raise NotImplementedError

    def _set_advantages(self, output: Batch, advantages: Sequence[float], start: int) -> None:
        """Put others in the place of TRL's, in the batch and in the table of completions.

        Args:
            output: of this process.
            advantages: of the rows of all processes.
            start: this process's first row.
        """
        logged = self._logs["advantages"]
        for _ in range(min(len(advantages), len(logged))):
            logged.pop()
        logged.extend(advantages)
        mine = advantages[start : start + len(output["advantages"])]
        output["advantages"] = output["advantages"].new_tensor(mine)

    def teacher_voice(self) -> AbstractContextManager[None]:
        """The teacher generates while this is open."""
        raise NotImplementedError

    @property
    def _hears_generation(self) -> bool:
        """Whether rewards listen to the model while it generates."""
        return False

    def _may_draw(self, row: dict[str, Any]) -> bool:
        """Whether a row may take the place of one that teaches nothing."""
        return True

    def _signal_means(self) -> dict[str, list[float | None]]:
        """Mean over tokens of each token signal of the batch being scored, one a completion of this process."""
        return {}


def completion_ids_of(output: Any) -> list[list[int]]:
    """Token ids in what TRL's `_generate_single_turn` gives: GRPO adds log-probabilities, RLOO does not."""
    return output[0] if isinstance(output, tuple) else output
