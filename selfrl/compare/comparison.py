"""A comparison recipe: which runs it asks for, each a training recipe of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from selfrl.compare.arm_run import ArmRun
from selfrl.eval.probe import TaskProbe
from selfrl.files import write_whole
from selfrl.recipe import Plan, parse_recipe, read_recipe_file
from selfrl.suggest import refuse_unknown

OWN_KEYS = ("arms", "seeds", "probe", "jobs")


@dataclass(frozen=True)
class Comparison:
    """A comparison recipe, read and checked.

    Args:
        shared: keys of a training recipe that all arms share.
        arms: name → keys of the arm.
        seeds: one run of each arm a seed.
        probe: how held-out accuracy is watched: keys of [`selfrl.eval.probe.TaskProbe.of`].
        jobs: runs at a time, see [`selfrl.compare.side_by_side.at_once`].
    """

    shared: dict[str, Any]
    arms: dict[str, dict[str, Any]]
    seeds: list[int]
    probe: dict[str, Any]
    jobs: int | Literal["auto"] = 1

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Read a recipe.

        Raises:
            ValueError: without arms, seeds or a probe, for an arm that is no mapping or brings what the arms share, or
                jobs that are no number.
        """
        values = read_recipe_file(path)
        arms, seeds, probe = values.get("arms"), values.get("seeds", [0]), values.get("probe")
        if not isinstance(arms, dict) or not arms or not all(isinstance(arm, dict) for arm in arms.values()):
            raise ValueError(f"{path} needs `arms`, a mapping of names to the keys of each arm.")
        if any("controls" in keys for keys in (values, *arms.values())):
            raise ValueError(f"{path} sets `controls`: in a comparison they are arms, as in random: {{rewards: …}}.")
        for name, arm in arms.items():
            if not isinstance(name, str):
                raise ValueError(f"{path} has an arm {name!r}, which YAML reads as no text: quote its name.")
            fixed = {*OWN_KEYS, "seed", "output_dir"} & set(arm)
            if fixed:
                raise ValueError(f"The arm {name} in {path} sets {', '.join(sorted(fixed))}: all arms share them.")
        if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, int) for seed in seeds):
            raise ValueError(f"`seeds` in {path} must be a list of whole numbers.")
        if not isinstance(probe, dict):
            raise ValueError(f"{path} needs `probe`, as in {{task: gsm8k, every: 20, questions: 100}}.")
        jobs = jobs_of(values.get("jobs", 1), f"`jobs` in {path}")
        return cls({key: value for key, value in values.items() if key not in OWN_KEYS}, arms, seeds, probe, jobs)

    def runs(self, out: Path, arms: Sequence[str], seeds: Sequence[int]) -> list[ArmRun]:
        """The runs of some arms and seeds, seed by seed, in their folders.

        Raises:
            ValueError: for an arm that the recipe does not have.
        """
        for arm in arms:
            refuse_unknown("arm", arm, self.arms, f"(the arms are {', '.join(self.arms)})")
        return [ArmRun(arm, seed, out / arm / f"seed{seed}", out / "starts") for seed in seeds for arm in arms]

    def recipe(self, run: ArmRun) -> str:
        """The training recipe of one run, as YAML; its completions at the probe are drawn by the run's seed."""
        own = {"seed": run.seed, "output_dir": str(run.folder), "probe": {"seed": run.seed, **self.probe}}
        return yaml.safe_dump({**self.shared, **self.arms[run.arm], **own}, sort_keys=False)

    def prepare(self, runs: Sequence[ArmRun]) -> list[Plan]:
        """Write the recipe of every run into its folder, and check them all before the first one starts.

        Raises:
            ValueError: for a recipe that cannot be read, or a folder that holds a finished run of another recipe.
            OSError: for a model that is not there.
            ImportError: for what a recipe needs and is not installed.
        """
        plans = []
        probed = set()
        for run in runs:
            recipe, file = self.recipe(run), run.folder / "recipe.yaml"
            if run.result.exists() and (not file.exists() or file.read_text() != recipe):
                raise ValueError(f"{run.folder} holds a run of another recipe: name another folder with --out.")
            run.folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, recipe)
            try:
                plan = parse_recipe([str(file)])
                if plan.model.model_name_or_path not in probed:
                    TaskProbe.of(plan.model.model_name_or_path, plan.recipe.probe_keys or {}, plan.system_prompt)
            except ValueError as error:
                raise ValueError(f"The arm {run.arm}: {error}") from error
            probed.add(plan.model.model_name_or_path)
            plans.append(plan)
        return plans


def jobs_of(value: Any, where: str) -> int | Literal["auto"]:
    """A number of runs at a time, or "auto".

    >>> jobs_of("auto", "--jobs"), jobs_of("2", "--jobs")
    ('auto', 2)
    """
    if value == "auto":
        return "auto"
    if not str(value).isdigit() or int(value) < 1:
        raise ValueError(f"{where} is {value!r}: it must be auto, or a number from 1.")
    return int(value)
