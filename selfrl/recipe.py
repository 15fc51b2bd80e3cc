"""A recipe: a YAML file and flags, parsed into typed configurations.

Precedence, lowest first: TRL's defaults, the preset (a paper's hyper-parameters), the YAML file, the flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import importlib.resources
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
import trl
import yaml

import selfrl.rewards
from selfrl.models import model_path
from selfrl.presets import PRESETS
from selfrl.prompting.alternation import PromptAlternation
from selfrl.prompting.run_record import read_prompt
from selfrl.suggest import refuse_unknown
from selfrl.trainers import GRPOConfig, GRPOTrainer, NFTConfig, NFTTrainer, RLOOConfig, RLOOTrainer, TeacherConfig

TRAINERS: dict[str, tuple[type, type]] = {
    "grpo": (GRPOConfig, GRPOTrainer),
    "nft": (NFTConfig, NFTTrainer),
    "rloo": (RLOOConfig, RLOOTrainer),
}


@dataclass
class Recipe:
    """Keys of a recipe, beside all those of TRL's GRPOConfig, RLOOConfig or our NFTConfig, of
    ModelConfig and of TeacherConfig.

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
        system_prompt: makes prompts conversations that begin with it.
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
        dry_run: build every configuration and print the plan, load no model and no hub data.
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
    system_prompt: str | None = None
    prompt: str | None = None
    prompt_every: int | None = None
    prompt_rounds: int = 3
    max_prompt_tokens: int | None = None
    prompts_per_step: int | None = None
    updates_per_batch: int = 1
    probe: str | None = None
    dry_run: bool = False
    reward_arguments: dict[str, dict[str, Any]] = field(init=False)
    probe_keys: dict[str, Any] | None = field(init=False)
    alternation: PromptAlternation | None = field(init=False)

    def __post_init__(self) -> None:
        if not self.dataset:
            raise ValueError("The recipe names no data: set dataset (or `tiny`).")
        if self.updates_per_batch < 1 or (self.updates_per_batch > 1 and self.prompts_per_step is None):
            raise ValueError(
                f"updates_per_batch is {self.updates_per_batch}: it must be 1 or more, and needs prompts_per_step."
            )
        if self.prompt is not None:
            if self.system_prompt is not None:
                raise ValueError("Both `prompt` and `system_prompt` are set: drop one of them.")
            self.system_prompt = read_prompt(self.prompt)
        self.alternation = None
        if self.prompt_every is not None:
            if self.prompt is None:
                raise ValueError("`prompt_every` needs `prompt`: name the run of `selfrl optimize` to start from.")
            self.alternation = PromptAlternation(self.prompt, self.prompt_every, self.prompt_rounds)
        self.reward_arguments = _read_rewards(self.rewards)
        self.probe_keys = _read_probe(self.probe)


def _read_probe(value: Any) -> dict[str, Any] | None:
    """A YAML mapping, or the same as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = ()
    if value is not None and not isinstance(value, dict):
        raise ValueError('`probe` must be a mapping, as in {"task": "gsm8k", "every": 50}.')
    return value


def _read_rewards(value: Any) -> dict[str, dict[str, Any]]:
    """A YAML mapping, the same as JSON, or one bare name."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = {value: {}}
    if not isinstance(value, dict) or not value:
        raise ValueError('`rewards` must map reward names to arguments, as in {"MajorityVoteReward": {}}.')
    return {name: options or {} for name, options in value.items()}


@dataclass
class Plan:
    """Everything a run needs, parsed and checked, with nothing loaded yet."""

    recipe: Recipe
    config: Any
    model: Any
    rewards: list[Any]
    paired: bool
    teacher: TeacherConfig | None

    @property
    def trainer_class(self) -> type:
        """selfrl's trainer of this plan."""
        return TRAINERS[self.recipe.trainer][1]


class _Parser(trl.TrlParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"The recipe cannot be read: {message}.")


def parse_recipe(argv: Sequence[str]) -> Plan:
    """Read `recipe.yaml [--key value …]`.

    Raises:
        ValueError: for a missing file, an unknown key (with the nearest valid one), an unknown preset or reward, or
            a batch that does not fit.
    """
    if not argv or argv[0].startswith("--"):
        raise ValueError("Name a recipe first: selfrl train recipes/co_rewarding/tiny.yaml [--key value …].")
    path, flags = find_recipe(argv[0]), list(argv[1:])
    values = {**read_recipe_file(path)}
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--preset", default=values.get("preset"))
    early.add_argument("--trainer", default=values.get("trainer"))
    early.add_argument("--dry_run", nargs="?", const="true", default=str(values.get("dry_run", False)))
    chosen, _ = early.parse_known_args(flags)
    if chosen.dry_run.lower() == "true" and not torch.cuda.is_available():
        values["use_cpu"] = True  # a plan for GPUs can be checked without one; TRL refuses bf16 otherwise
    if chosen.preset is not None:
        if chosen.preset not in PRESETS:
            raise ValueError(f"Preset {chosen.preset!r} is unknown: choose one of {', '.join(PRESETS)}.")
        values = {**PRESETS[chosen.preset], **values}
    trainer = chosen.trainer or values.get("trainer", "grpo")
    if trainer not in TRAINERS:
        raise ValueError(f"Trainer {trainer!r} is unknown: choose one of {', '.join(TRAINERS)}.")
    if chosen.preset is not None and trainer != PRESETS[chosen.preset]["trainer"]:
        raise ValueError(
            f"Preset {chosen.preset!r} is for the trainer {PRESETS[chosen.preset]['trainer']!r}, not {trainer!r}: "
            "drop one of them."
        )
    return _parse(path, values, flags, TRAINERS[trainer][0])


def _parse(path: Path, values: dict[str, Any], flags: list[str], config_class: type) -> Plan:
    classes = (Recipe, config_class, trl.ModelConfig, TeacherConfig)
    known = {f.name for cls in classes for f in dataclasses.fields(cls)}
    for key in values:
        refuse_unknown("key", key, known, f"in {path}")
    for flag in flags:
        if flag.startswith("--"):
            key = flag[2:].partition("=")[0].replace("-", "_")
            refuse_unknown("key", key.removeprefix("no_") if key not in known else key, known, "on the command line")
    parser = _Parser(classes, allow_abbrev=False)
    parser.set_defaults_with_config(**{"output_dir": f"runs/{path.stem}", **values})
    given, _ = parser.parse_known_args(flags)
    rewards = [_build_reward(name, options) for name, options in _read_rewards(given.rewards).items()]
    paired = _is_paired(rewards) if given.paired is None else given.paired
    if given.prompts_per_step is not None:
        # before the configuration is built: it refuses a batch that is not filled yet
        parser.set_defaults_with_config(**_batch(given, 2 if paired else 1))
    recipe, config, model, teacher = parser.parse_args_into_dataclasses(args=flags, look_for_args_file=False)
    if model.model_name_or_path is None:
        raise ValueError("The recipe names no model: set model_name_or_path (or `tiny`).")
    model.model_name_or_path = model_path(model.model_name_or_path)
    listened_to = any(getattr(reward, "needs_teacher", False) for reward in rewards)
    keep_teacher = listened_to if recipe.teacher is None else recipe.teacher
    return Plan(recipe, config, model, rewards, paired, teacher if keep_teacher else None)


def _is_paired(rewards: list[Any]) -> bool:
    return any("pair_id" in getattr(reward, "columns", ()) for reward in rewards)


def _batch(given: argparse.Namespace, views: int) -> dict[str, int]:
    """Sizes that put `prompts_per_step` prompts, in all their views, into one optimizer step."""
    rows = given.prompts_per_step * views * given.num_generations
    micro = given.per_device_train_batch_size * int(os.environ.get("WORLD_SIZE", "1"))
    if rows % micro:
        raise ValueError(
            f"One step has {rows} completions, which is no multiple of per_device_train_batch_size x processes "
            f"({micro}): change one of them."
        )
    return {"gradient_accumulation_steps": rows // micro, "generation_batch_size": rows * given.updates_per_batch}


def find_recipe(name: str) -> Path:
    """The file called `name`, or the packaged recipe of that name.

    Raises:
        ValueError: if neither exists.
    """
    packaged = Path(str(importlib.resources.files("selfrl.recipes"))) / name.removeprefix("recipes/")
    for path in (Path(name), packaged):
        if path.is_file():
            return path
    raise ValueError(f"The recipe {name} does not exist: check the path.")


def read_recipe_file(path: Path) -> dict[str, Any]:
    """The keys of a recipe.

    Raises:
        ValueError: if it is no mapping.
    """
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict):
        raise ValueError(f"The recipe {path} is not a YAML mapping of keys to values.")
    return values


def _build_reward(name: str, options: dict[str, Any]) -> Any:
    module_name, _, class_name = name.rpartition(".")
    module = importlib.import_module(module_name) if module_name else selfrl.rewards
    if not hasattr(module, class_name):
        valid = list(selfrl.rewards.__all__)
        nearest = difflib.get_close_matches(class_name, valid, n=1, cutoff=0.3)
        raise ValueError(f"Unknown reward {name!r}: did you mean {nearest[0] if nearest else valid}?")
    try:
        return getattr(module, class_name)(**options)
    except TypeError as error:
        raise ValueError(f"The reward {name} does not take these arguments: {error}.") from error
