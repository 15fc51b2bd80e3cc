"""The keys of a recipe that are ours, with what they may hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from selfrl.monitor.guard_settings import GuardSettings, guard_of
from selfrl.suggest import refuse_unknown

CONTROLS = {"random": "RandomReward", "format": "FormatReward"}


@dataclass
class Recipe:
    """Keys of a recipe, beside all those of TRL's GRPOConfig, RLOOConfig or our NFTConfig, of
    ModelConfig, of TeacherConfig, of CurriculumConfig and of RoleConfig.

    Args:
        dataset: file, hub name or "tiny", see [`selfrl.data.loading.load_rows`].
        rewards: reward class names of `selfrl.rewards` (or `module.Class`) to their keyword arguments; as a
            flag, JSON or one bare name.
        trainer: "grpo", "rloo" or "nft".
        preset: name of a paper's hyper-parameters, see [`selfrl.presets`].
        dataset_config: configuration name of a hub data set.
        dataset_split: split to train on.
        prompt_column: column of the questions.
        paired: train on both views of a prompt (needs a `paraphrase` column). Default: whether a reward asks for it.
        teacher: keep a teacher (a moving average of the policy) as KL reference. Default: whether a reward asks for it.
        curriculum: weigh the groups of pretext tasks by what they teach, see
            [`selfrl.trainers.curriculum.CurriculumConfig`], whose `curriculum_stages` moves them from easy to hard.
        shaping: what changes advantages after the baseline: class names of `selfrl.shaping` (or `module.Class`) to
            their keyword arguments; as a flag, JSON or one bare name.
        roles: take advantages by the rows' column `role`, see [`selfrl.trainers.role_baselines.RoleConfig`].
        pool: let the prompts evolve while training goes on: keys of [`selfrl.selfplay.recipe_parts.live_pool_of`], as
            {creator: {ProceduralCreator: {space: chains}}, every: 2}; `evaluation` lists files, tasks or texts that
            must not be trained on. As a flag, JSON.
        system_prompt: makes prompts conversations that begin with it; for a model without a chat template, texts.
        prompt: folder of a `selfrl optimize` run, or a text file: its (best) prompt is the system prompt.
        prompt_every: optimise that prompt anew every so many steps, for the policy as it is then, see
            [`selfrl.prompting.alternation.PromptAlternation`].
        prompt_rounds: rounds of each such optimisation, the first of which runs the prompt in use.
        max_prompt_tokens: drop prompts (with their pair) that are longer.
        prompts_per_step: prompts, or pairs, in one optimizer step; sets gradient_accumulation_steps.
        updates_per_batch: optimizer steps that one batch of rollouts is split into, with `prompts_per_step` prompts
            each.
        probe: labelled questions to watch while training, never rewarded: keys of
            [`selfrl.eval.probe.TaskProbe.of`], such as {task: gsm8k, every: 50, questions: 50}; as a flag, JSON.
        guard: what is done when a run seems to collapse: warn, stop, rollback or off, or a mapping, see
            [`selfrl.monitor.guard_settings.guard_of`], such as {action: rollback, then: {beta: 0.4}}; as a flag, JSON.
        controls: train the same with rewards that know nothing, afterwards, and report all of it: names of
            [`CONTROLS`], with commas, as in random,format.
        dry_run: build every configuration and print the plan, load no model and no hub data.

    Raises:
        ValueError: for a missing value, or two that do not go together. Nothing is read from disk here.
    """

    dataset: str
    rewards: str
    trainer: Literal["grpo", "rloo", "nft"] = "grpo"
    preset: str | None = None
    dataset_config: str | None = None
    dataset_split: str = "train"
    prompt_column: str = "prompt"
    paired: bool | None = None
    teacher: bool | None = None
    curriculum: bool = False
    roles: bool = False
    shaping: str | None = None
    pool: str | None = None
    system_prompt: str | None = None
    prompt: str | None = None
    prompt_every: int | None = None
    prompt_rounds: int = 3
    max_prompt_tokens: int | None = None
    prompts_per_step: int | None = None
    updates_per_batch: int = 1
    probe: str | None = None
    guard: str = "warn"
    controls: str | None = None
    dry_run: bool = False
    reward_arguments: dict[str, dict[str, Any]] = field(init=False)
    shaping_arguments: dict[str, dict[str, Any]] = field(init=False)
    probe_keys: dict[str, Any] | None = field(init=False)
    pool_keys: dict[str, Any] | None = field(init=False)
    guard_settings: GuardSettings | None = field(init=False)
    control_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.dataset:
            raise ValueError("The recipe names no data: set dataset (or `tiny`).")
        if self.updates_per_batch < 1 or (self.updates_per_batch > 1 and self.prompts_per_step is None):
            raise ValueError(
                f"updates_per_batch is {self.updates_per_batch}: it must be 1 or more, and needs prompts_per_step."
            )
        if self.prompt is not None and self.system_prompt is not None:
            raise ValueError("Both `prompt` and `system_prompt` are set: drop one of them.")
        if self.prompt_every is not None and self.prompt is None:
            raise ValueError("`prompt_every` needs `prompt`: name the run of `selfrl optimize` to start from.")
        self.reward_arguments = arguments_of(self.rewards, "rewards", "MajorityVoteReward")
        self.shaping_arguments = {}
        if self.shaping is not None:
            self.shaping_arguments = arguments_of(self.shaping, "shaping", "EntropyReshaping")
        self.probe_keys = _mapping(self.probe, "probe", '{"task": "gsm8k", "every": 50}')
        bare = self.guard if not isinstance(self.guard, str) or self.guard.isidentifier() else None
        self.guard_settings = guard_of(_mapping(self.guard, "guard", '{"action": "stop"}') if bare is None else bare)
        self.control_names = _control_names(self.controls)
        self.pool_keys = _mapping(self.pool, "pool", '{"creator": "ProceduralCreator"}')


def _control_names(value: str | None) -> tuple[str, ...]:
    """Names without spaces, each once."""
    names = [name.strip() for name in (value or "").split(",") if name.strip()]
    for name in names:
        refuse_unknown("control", name, CONTROLS, f"(there are {', '.join(CONTROLS)})")
    return tuple(dict.fromkeys(names))


def _mapping(value: Any, key: str, example: str) -> dict[str, Any] | None:
    """A YAML mapping, or the same as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = ()
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"`{key}` must be a mapping, as in {example}.")
    return value


def arguments_of(value: Any, key: str, example: str) -> dict[str, dict[str, Any]]:
    """Names of classes and their arguments, from a YAML mapping, the same as JSON, or one bare name.

    Args:
        value: of the key.
        key: whose value it is.
        example: a class that it may name.

    Raises:
        ValueError: for anything else.

    Example:
        >>> arguments_of("AccuracyReward", "rewards", "MajorityVoteReward")
        {'AccuracyReward': {}}
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = {value: {}}
    if not isinstance(value, dict) or not value:
        raise ValueError(f'`{key}` must map names to arguments, as in {{"{example}": {{}}}}.')
    return {name: options or {} for name, options in value.items()}
