"""A recipe: a YAML file and flags, parsed into typed configurations.

Precedence, lowest first: TRL's defaults, the preset (a paper's hyper-parameters), the YAML file, the flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import importlib.resources
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch
import trl
import yaml

import selfrl.rewards
import selfrl.shaping
from selfrl.models import model_path
from selfrl.monitor.guard_settings import GuardSettings
from selfrl.presets import PRESETS
from selfrl.prompting.alternation import PromptAlternation
from selfrl.prompting.run_record import read_prompt
from selfrl.recipe_keys import Recipe
from selfrl.selfplay.live_pool import LivePool
from selfrl.selfplay.recipe_parts import live_pool_of
from selfrl.shaping import Shaper
from selfrl.suggest import refuse_unknown
from selfrl.trainers import (
    CurriculumConfig,
    GRPOConfig,
    GRPOTrainer,
    NFTConfig,
    NFTTrainer,
    RLOOConfig,
    RLOOTrainer,
    RLSCConfig,
    RLSCTrainer,
    RoleConfig,
    TeacherConfig,
)

TRAINERS: dict[str, tuple[type, type]] = {
    "grpo": (GRPOConfig, GRPOTrainer),
    "nft": (NFTConfig, NFTTrainer),
    "rloo": (RLOOConfig, RLOOTrainer),
    "rlsc": (RLSCConfig, RLSCTrainer),
}


SHARED = (
    trl.ModelConfig,
    TeacherConfig,
    CurriculumConfig,
    RoleConfig,
)  # configurations that every trainer's recipe may set


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, parsed and checked, with no data and no model loaded yet.

    It stays as it is: for another one, take `dataclasses.replace`.

    Args:
        recipe: the keys that are ours.
        config: the trainer's configuration.
        model: TRL's ModelConfig.
        rewards: built, in the recipe's order.
        shapers: of advantages, built, in the recipe's order.
        paired: whether both views of a prompt are trained on.
        teacher: its settings, if there is one.
        curriculum: its settings, if there is one.
        roles: how advantages are taken, if rows have roles.
        pool: that prompts come from, if they evolve.
        system_prompt: the recipe's, or the text that its `prompt` leads to.
        alternation: what optimises that prompt while training goes on, if anything does.
        guard: against collapse, if there is one.
        keys: what the preset, the file and the flags said, as they said it.
    """

    recipe: Recipe
    config: Any
    model: Any
    rewards: tuple[Any, ...]
    shapers: tuple[Shaper, ...]
    paired: bool
    teacher: TeacherConfig | None
    curriculum: CurriculumConfig | None
    roles: RoleConfig | None
    pool: LivePool | None
    system_prompt: str | None
    alternation: PromptAlternation | None
    guard: GuardSettings | None
    keys: Mapping[str, Any]

    @property
    def trainer_class(self) -> type:
        """selfrl's trainer of this plan."""
        return TRAINERS[self.recipe.trainer][1]


class RecipeParser(trl.TrlParser):
    """TRL's parser; what it cannot read is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise ValueError(f"The recipe cannot be read: {message}.")


def parse_recipe(argv: Sequence[str]) -> Plan:
    """Read `recipe.yaml [--key value …]`.

    Raises:
        ValueError: for a missing file, an unknown key (with the nearest valid one), an unknown preset or reward, or
            a batch that does not fit.
    """
    if not argv or argv[0].startswith("--"):
        raise ValueError("Name a recipe first: selfrl train recipes/co_rewarding/tiny.yaml [--key value …].")
    path = find_recipe(argv[0])
    written, flags = read_recipe_file(path), _read_flags(argv[1:])
    return plan_of({"output_dir": f"runs/{path.stem}", **written, **flags}, f"in {path}", flags)


def plan_of(keys: Mapping[str, Any], where: str, flags: Collection[str] = ()) -> Plan:
    """The plan of a recipe's keys.

    Args:
        keys: as they are written.
        where: where that is, for errors.
        flags: keys that were given on the command line.

    Raises:
        ValueError: as [`parse_recipe`].
    """
    values = dict(keys)
    preset = values.get("preset")
    if preset is not None:
        if preset not in PRESETS:
            raise ValueError(f"Preset {preset!r} is unknown: choose one of {', '.join(PRESETS)}.")
        values = {**PRESETS[preset], **values}
    trainer = values.get("trainer", "grpo")
    if trainer not in TRAINERS:
        raise ValueError(f"Trainer {trainer!r} is unknown: choose one of {', '.join(TRAINERS)}.")
    if preset is not None and trainer != PRESETS[preset]["trainer"]:
        raise ValueError(
            f"Preset {preset!r} is for the trainer {PRESETS[preset]['trainer']!r}, not {trainer!r}: drop one of them."
        )
    if str(values.get("dry_run")).lower() == "true" and not torch.cuda.is_available():
        values["use_cpu"] = True  # a plan for GPUs can be checked without one; TRL refuses bf16 otherwise
    config_class = TRAINERS[trainer][0]
    known = _keys(Recipe, config_class, *SHARED)
    for key in keys:
        refuse_unknown("key", key, known, "on the command line" if key in flags else where)
    return _plan(values, config_class)


def _keys(*classes: type) -> list[str]:
    return [f.name for cls in classes for f in dataclasses.fields(cls) if f.init]


def _read_flags(flags: Sequence[str]) -> dict[str, Any]:
    """The keys that the flags name, of whichever trainer, with typed values."""
    classes = (Recipe, *(config for config, _ in TRAINERS.values()), *SHARED)
    parser = RecipeParser(classes, allow_abbrev=False, conflict_handler="resolve")  # configurations share most keys
    known = _keys(*classes)
    parser.set_defaults_with_config(**dict.fromkeys(known, argparse.SUPPRESS))
    given, strangers = parser.parse_known_args(flags)
    for stranger in strangers:
        if stranger.startswith("--"):
            key = stranger[2:].partition("=")[0].replace("-", "_")
            refuse_unknown("key", key.removeprefix("no_"), known, "on the command line")
    if strangers:
        parser.error(f"{strangers[0]!r} belongs to no flag")
    return vars(given)


def _plan(values: Mapping[str, Any], config_class: type) -> Plan:
    """Types for what YAML left as text, TRL's defaults for what is missing, and what follows from both."""
    parser = RecipeParser((Recipe, config_class, *SHARED))
    parser.set_defaults_with_config(**values)
    typed = vars(parser.parse_args([]))
    recipe, model, teacher, curriculum, roles = (_made(cls, typed) for cls in (Recipe, *SHARED))
    if model.model_name_or_path is None:
        raise ValueError("The recipe names no model: set model_name_or_path (or `tiny`).")
    model.model_name_or_path = model_path(model.model_name_or_path)
    rewards = tuple(built(name, options) for name, options in recipe.reward_arguments.items())
    shapers = tuple(built(name, options, selfrl.shaping) for name, options in recipe.shaping_arguments.items())
    paired, keep_teacher = recipe.paired, recipe.teacher
    if paired is None:
        paired = any("pair_id" in getattr(reward, "columns", ()) for reward in rewards)
    if keep_teacher is None:
        keep_teacher = any(getattr(reward, "needs_teacher", False) for reward in rewards)
    if recipe.prompts_per_step is not None:
        typed |= _batch(typed, 2 if paired else 1)
    alternation = None
    if recipe.prompt_every is not None:
        alternation = PromptAlternation(recipe.prompt, recipe.prompt_every, recipe.prompt_rounds)
    config = _made(config_class, typed)
    goes_back = recipe.guard_settings is not None and recipe.guard_settings.action == "rollback"
    if goes_back and (config.save_strategy == "no" or config.save_only_model):
        raise ValueError("A guard that rolls back needs whole checkpoints: set save_steps, not save_strategy: no.")
    return Plan(
        recipe,
        config,
        model,
        rewards,
        shapers,
        paired,
        teacher if keep_teacher else None,
        curriculum if recipe.curriculum else None,
        roles if recipe.roles else None,
        None if recipe.pool_keys is None else live_pool_of(recipe.pool_keys),
        recipe.system_prompt if recipe.prompt is None else read_prompt(recipe.prompt),
        alternation,
        recipe.guard_settings,
        dict(values),
    )


def _made(cls: type, values: Mapping[str, Any]) -> Any:
    return cls(**{key: values[key] for key in _keys(cls)})


def _batch(values: Mapping[str, Any], views: int) -> dict[str, int]:
    """Sizes that put `prompts_per_step` prompts, in all their views, into one optimizer step."""
    rows = values["prompts_per_step"] * views * values["num_generations"]
    micro = values["per_device_train_batch_size"] * int(os.environ.get("WORLD_SIZE", "1"))
    if rows % micro:
        raise ValueError(
            f"One step has {rows} completions, which is no multiple of per_device_train_batch_size x processes "
            f"({micro}): change one of them."
        )
    return {"gradient_accumulation_steps": rows // micro, "generation_batch_size": rows * values["updates_per_batch"]}


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


def built(name: str, options: Mapping[str, Any], package: ModuleType = selfrl.rewards) -> Any:
    """A reward of `selfrl.rewards`, or a shaper of `selfrl.shaping`; one of a module of one's own as `module.Class`.

    Raises:
        ValueError: for an unknown name, or arguments that it does not take.

    Example:
        >>> built("RandomReward", {"p": 0.5}).__name__
        'RandomReward'
    """
    module_name, _, class_name = name.rpartition(".")
    module = importlib.import_module(module_name) if module_name else package
    kind = "reward" if package is selfrl.rewards else "shaper"
    if not hasattr(module, class_name):
        valid = list(package.__all__)
        nearest = difflib.get_close_matches(class_name, valid, n=1, cutoff=0.3)
        raise ValueError(f"Unknown {kind} {name!r}: did you mean {nearest[0] if nearest else valid}?")
    try:
        return getattr(module, class_name)(**options)
    except TypeError as error:
        raise ValueError(f"The {kind} {name} does not take these arguments: {error}.") from error
