"""A recipe of `selfrl evolve`: a training recipe, and how its prompts evolve."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfrl.evolve.dpo_training import DPOPlan, parse_dpo
from selfrl.generation.load import Backend
from selfrl.recipe import Plan, built, plan_of, read_recipe_file
from selfrl.recipe_keys import arguments_of
from selfrl.selfplay.creator import Creator, TrainedCreator
from selfrl.selfplay.curriculum_settings import CurriculumSettings
from selfrl.selfplay.loop_settings import LoopSettings
from selfrl.selfplay.offline_scores import OfflineScorer
from selfrl.selfplay.recipe_parts import creator_of, curriculum_of, made
from selfrl.suggest import refuse_unknown

DPO = "dpo"
DATA_KEYS = ("dataset", "dataset_config", "dataset_split", "prompt_column", "system_prompt")
_FORBIDDEN = ("pool", "prompt", "prompt_every", "paired", "output_dir", "resume_from_checkpoint", "dry_run")
_FILES = {"dataset": "training.jsonl", "output_dir": "train"}
_OWN = ("creator", "evaluation", "backend", "launch", "proposer")


@dataclass(frozen=True)
class EvolveRecipe:
    """An evolve recipe, read and checked, with no data and no model loaded yet.

    Args:
        text: as it stands.
        training: keys of each round's training of the solver.
        data: keys of the seeds, see [`selfrl.recipe_keys.Recipe`].
        plan: what the training keys lead to.
        rewards: that score the solver's answers, built.
        creator: writes prompts.
        curriculum: how they are selected, gated and mixed.
        settings: the schedule.
        evaluation: names of what must not be trained on, see [`selfrl.eval.held_back.evaluation_questions`].
        backend: that answers: transformers or vllm.
        launch: command before `-m selfrl.evolve.train_round`, such as "accelerate launch --num_processes 8"; this
            Python if not given.
        proposer: keys of the proposer's training in each round, if it is trained.
    """

    text: str
    training: dict[str, Any]
    data: dict[str, Any]
    plan: Plan | DPOPlan
    rewards: tuple[Any, ...]
    creator: Creator
    curriculum: CurriculumSettings
    settings: LoopSettings
    evaluation: list[str]
    backend: Backend = "transformers"
    launch: str | None = None
    proposer: dict[str, Any] | None = None

    @property
    def pairs(self) -> bool:
        """Whether the solver is trained on pairs of its own answers."""
        return isinstance(self.plan, DPOPlan)

    @property
    def shared_by_proposer(self) -> dict[str, Any]:
        """The solver's keys that the proposer's training has too, where it does not set them."""
        return {} if self.pairs else {key: value for key, value in self.training.items() if key != "probe"}

    @classmethod
    def read(cls, path: Path, dry_run: bool = False) -> EvolveRecipe:
        """Read a recipe.

        Args:
            path: its file.
            dry_run: whether it is only to be checked, on whatever machine.

        Raises:
            ValueError: for what cannot be read, an unknown key, or what does not go together.
        """
        values = read_recipe_file(path)
        keys = values.pop("evolve", None)
        if not isinstance(keys, dict) or "creator" not in keys:
            raise ValueError(f"{path} needs `evolve`, as in {{creator: {{ProceduralCreator: {{space: chains}}}}}}.")
        fields = [field.name for field in dataclasses.fields(LoopSettings)]
        known = [*_OWN, *fields, *(field.name for field in dataclasses.fields(CurriculumSettings))]
        for key in keys:
            refuse_unknown("key", str(key), known, f"of `evolve` in {path}")
        for key in _FORBIDDEN:
            if key in values:
                raise ValueError(f"{path} sets `{key}`, which rounds do not go with: drop it.")
        if "dataset" not in values or "rewards" not in values:
            raise ValueError(f"{path} must set `dataset` (or `tiny`), the seeds, and `rewards`, which score answers.")
        backend = keys.get("backend", "transformers")
        if backend not in ("transformers", "vllm"):
            raise ValueError(f"`backend` is {backend!r}: solvers answer by transformers or vllm.")
        curriculum, rest = curriculum_of({k: v for k, v in keys.items() if k not in _OWN}, "`evolve`")
        data = {key: values[key] for key in DATA_KEYS if key in values}
        training = {key: value for key, value in values.items() if key not in data}
        plan, rewards = _parsed(training, dry_run, f"in {path}")
        if isinstance(plan, DPOPlan):
            del training["rewards"]  # they score answers here, and DPO has none
        creator = creator_of(keys["creator"])
        recipe = cls(
            path.read_text(),
            training,
            data,
            plan,
            rewards,
            creator,
            curriculum,
            made(LoopSettings, rest, "`evolve`"),
            list(keys.get("evaluation", [])),
            backend,
            keys.get("launch"),
            keys.get("proposer"),
        )
        recipe._check(dry_run)
        return recipe

    def _check(self, dry_run: bool) -> None:
        lacking = [
            (reward.__name__, column)
            for reward in self.rewards
            for column in getattr(reward, "columns", ())
            if column not in self.creator.gives
        ]
        if lacking:
            raise ValueError(
                f"{lacking[0][0]} needs the column {lacking[0][1]!r}, which {type(self.creator).__name__} cannot give: "
                "take a reward that needs no labels, or another creator."
            )
        OfflineScorer(self.rewards)
        heard = next((reward for reward in self.rewards if getattr(reward, "signals", ())), None)
        if heard is not None and self.backend != "transformers":
            raise ValueError(
                f"{heard.__name__} needs token signals, which {self.backend} does not give: drop `backend`."
            )
        if self.proposer is None:
            return
        if not isinstance(self.creator, TrainedCreator) or not self.creator.needs_policy:
            raise ValueError("`proposer` trains who writes as the policy: take ProposerCreator with the writer policy.")
        if not isinstance(self.proposer.get("rewards"), dict):
            raise ValueError("`proposer` must set `rewards`, as in {ProposerReward: {rule: r_zero}}.")
        rewards = {name: {**(options or {}), "solver": "policy"} for name, options in self.proposer["rewards"].items()}
        own = {**_FILES, "model_name_or_path": "tiny", "rewards": rewards, "dry_run": dry_run}
        plan_of({**self.shared_by_proposer, **self.proposer, **own}, "of `proposer`")


def _parsed(training: Mapping[str, Any], dry_run: bool, where: str) -> tuple[Plan | DPOPlan, tuple[Any, ...]]:
    """The plan of a round's training, and the rewards that score its answers."""
    if training.get("trainer") != DPO:
        plan = plan_of({**training, **_FILES, "dry_run": dry_run}, where)
        return plan, plan.rewards
    keys = {key: value for key, value in training.items() if key not in ("trainer", "rewards")}
    if dry_run and not torch.cuda.is_available():
        keys["use_cpu"] = True
    arguments = arguments_of(training["rewards"], "rewards", "MajorityVoteReward")
    return parse_dpo({**keys, **_FILES}), tuple(built(name, options) for name, options in arguments.items())
