"""What selfrl adds to TRL's group trainers, in the one order that is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from trl.trainer.utils import get_config_model_id

from selfrl.generation.vllm_cpu import prepare_vllm_on_cpu
from selfrl.shaping.shaper import Shaper
from selfrl.trainers.abstentions import Abstentions
from selfrl.trainers.adaptive_votes import AdaptiveVotes
from selfrl.trainers.advantage_shaping import AdvantageShaping
from selfrl.trainers.anchors import Anchors
from selfrl.trainers.checkpointing import Checkpointing
from selfrl.trainers.checks import check_dataset
from selfrl.trainers.completion_pictures import CompletionPictures
from selfrl.trainers.curriculum import Curriculum, CurriculumConfig
from selfrl.trainers.dynamic_sampling import DynamicSampling
from selfrl.trainers.lean_rollouts import LeanRollouts
from selfrl.trainers.paired_views import PairedViews
from selfrl.trainers.policy_column import PolicyColumn
from selfrl.trainers.pool_source import GrowingPool, PoolSource
from selfrl.trainers.prompt_source import PromptSource
from selfrl.trainers.records import Records
from selfrl.trainers.role_baselines import RoleConfig, Roles
from selfrl.trainers.row_order import RowOrder
from selfrl.trainers.signal_columns import SignalColumns
from selfrl.trainers.system_prompt import SystemPrompt
from selfrl.trainers.teacher import Teacher, TeacherConfig
from selfrl.trainers.trimming import Trimming
from selfrl.trainers.trl_surface import Setup
from selfrl.trainers.vote_count import VoteCount


class Features(
    DynamicSampling,  # scores further batches: everything below happens once a scored batch
    VoteCount,  # takes rewards and rows away, after all rewards are known and recorded
    Abstentions,  # changes rewards that TRL would misread, after they are recorded as they are
    Curriculum,  # weighs advantages by the batch's records
    AdvantageShaping,  # sees what the baselines below made of whole groups, before any row is dropped
    Roles,  # takes advantages by the rewards of whole batches, before any row is dropped
    PoolSource,  # takes groups away by the batch's records, and draws prompts before any other source does
    CompletionPictures,
    Anchors,  # keeps completions of whole batches, by their records
    Records,  # sees rows as the data have them, and hands each batch's record to the rewards
    SystemPrompt,  # from here on prompts carry it
    Teacher,  # generates before the policy, whose hidden states and vLLM weights are then the last
    PolicyColumn,
    RowOrder,  # sorts what all of the above made of a batch
    SignalColumns,  # listens to the passes below
    AdaptiveVotes,  # adds what rewards are handed; nobody above hears its voters
    LeanRollouts,
    Trimming,  # nearest to the model
    PairedViews,
    PromptSource,
    Checkpointing,
):
    """Base of selfrl's trainers, over one of TRL's.

    The order above is that of calls: what stands first is outermost. Each part says what it does; a part overrides
    the methods of [`selfrl.trainers.trl_surface.Surface`] and calls `super()`.
    """

    config_class: ClassVar[type]

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        reward_processing_classes: Any = None,
        callbacks: Any = None,
        optimizers: Any = (None, None),
        quantization_config: Any = None,
        peft_config: Any = None,
        *,
        teacher: TeacherConfig | None = None,
        curriculum: CurriculumConfig | None = None,
        pool: GrowingPool | None = None,
        roles: RoleConfig | None = None,
        shaping: Sequence[Shaper] = (),
        **options: Any,
    ) -> None:
        if reward_funcs is None:
            reward_funcs = []
        rewards = list(reward_funcs) if isinstance(reward_funcs, list | tuple) else [reward_funcs]
        if args is None:
            name = model if isinstance(model, str) else get_config_model_id(model.config)
            args = self.config_class(f"{name.split('/')[-1]}-{self._name}")
        options |= {
            "processing_class": processing_class,
            "reward_processing_classes": reward_processing_classes,
            "callbacks": callbacks,
            "optimizers": optimizers,
            "quantization_config": quantization_config,
            "peft_config": peft_config,
        }
        setup = Setup(
            model, rewards, args, train_dataset, eval_dataset, teacher, curriculum, pool, roles, list(shaping), options
        )
        self._check(setup)
        super().__init__(  # type: ignore[call-arg]  # TRL's, below the mixins
            model, rewards, args, train_dataset, eval_dataset, **options
        )
        self._attach(setup)

    def _check(self, setup: Setup) -> None:
        if not setup.reward_funcs and not setup.given("environment_factory"):
            raise ValueError(
                "No reward source provided. Pass `reward_funcs`, or, with GRPO, an `environment_factory` whose "
                "environment defines a `get_reward` method."
            )
        owned = setup.given("environment_factory") is not None  # then rows without a prompt are TRL's business
        sets = setup.eval_dataset if isinstance(setup.eval_dataset, dict) else {"eval_dataset": setup.eval_dataset}
        for role, dataset in {"train_dataset": setup.train_dataset, **sets}.items():
            if dataset is not None:
                shapers = setup.shapers if role == "train_dataset" else []  # they see nothing of an evaluation
                check_dataset(dataset, [*setup.reward_funcs, *shapers], role, needs_prompt=not owned)
        super()._check(setup)
        if setup.args.use_vllm and setup.args.vllm_mode == "colocate" and not torch.cuda.is_available():
            prepare_vllm_on_cpu()
