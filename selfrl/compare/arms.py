"""`selfrl compare RECIPE.yaml`: several rewards from one start, with one budget, over several seeds.

The recipe holds the keys of a training recipe that all arms share, and

    arms:        name → the keys that make the arm (its rewards, and what goes with them)
    seeds:       list of seeds; every arm runs with each
    probe:       {questions, n, every}: held-out questions, samples each, steps between two measurements

Every run is a process of its own and leaves `result.json` in its folder; a comparison that was killed goes on with
the runs that are missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from selfrl.compare.comparison_report import write_report
from selfrl.data.tiny import tiny_problems
from selfrl.files import write_whole
from selfrl.monitor.heldout import HeldOutAccuracy
from selfrl.monitor.labels import LabelWatch
from selfrl.monitor.metrics_file import read_metrics
from selfrl.monitor.progress import ProgressLines
from selfrl.recipe import find_recipe, parse_recipe, read_recipe_file
from selfrl.training import build_trainer

OWN_KEYS = ("arms", "seeds", "probe")


@dataclass(frozen=True)
class Probe:
    """How held-out accuracy is watched.

    Args:
        questions: number of held-out tiny problems.
        n: samples a question.
        every: steps between two measurements.
    """

    questions: int = 100
    n: int = 4
    every: int = 20


@dataclass(frozen=True)
class Comparison:
    """A comparison recipe, read and checked.

    Args:
        shared: keys of a training recipe that all arms share.
        arms: name → keys of the arm.
        seeds: one run of each arm a seed.
        probe: how held-out accuracy is watched.
    """

    shared: dict[str, Any]
    arms: dict[str, dict[str, Any]]
    seeds: list[int]
    probe: Probe

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Read a recipe.

        Raises:
            ValueError: without arms or seeds, for an arm that is no mapping, or an unknown key of the probe.
        """
        values = read_recipe_file(path)
        arms, seeds = values.get("arms"), values.get("seeds", [0])
        if not isinstance(arms, dict) or not arms or not all(isinstance(arm, dict) for arm in arms.values()):
            raise ValueError(f"{path} needs `arms`, a mapping of names to the keys of each arm.")
        if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, int) for seed in seeds):
            raise ValueError(f"`seeds` in {path} must be a list of whole numbers.")
        try:
            probe = Probe(**values.get("probe", {}))
        except TypeError as error:
            raise ValueError(f"`probe` in {path} takes questions, n and every: {error}.") from error
        return cls({key: value for key, value in values.items() if key not in OWN_KEYS}, arms, seeds, probe)


def main(argv: Sequence[str]) -> int:
    """Run what is missing and write the report."""
    parser = argparse.ArgumentParser(
        prog="selfrl compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="comparison recipe, such as recipes/compare/tiny.yaml")
    parser.add_argument("--out", type=Path, help="folder of everything written; runs/FOLDER_NAME by default")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each with its share of the cores")
    parser.add_argument("--arms", nargs="+", help="only these arms")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the recipe's")
    args = parser.parse_args(argv)
    path = find_recipe(args.recipe)
    comparison = Comparison.read(path)
    chosen = args.arms or list(comparison.arms)
    unknown = set(chosen) - set(comparison.arms)
    if unknown:
        raise ValueError(f"{path} has no arms {sorted(unknown)}: choose among {', '.join(comparison.arms)}.")
    seeds = args.seeds or comparison.seeds
    out = args.out or Path("runs") / f"{path.parent.name}_{path.stem}"
    console = Console(markup=False)
    runs = {(arm, seed): out / arm / f"seed{seed}" for seed in seeds for arm in chosen}
    missing = {run: folder for run, folder in runs.items() if not (folder / "result.json").exists()}
    console.print(f"{len(runs)} runs, {len(runs) - len(missing)} of them finished before.")
    _run_all(comparison, missing, args.jobs, console)
    results = [json.loads((folder / "result.json").read_text()) for folder in runs.values()]
    write_report(out, f"selfrl compare {args.recipe}", results, console)
    return 0


def _run_all(comparison: Comparison, missing: dict[tuple[str, int], Path], jobs: int, console: Console) -> None:
    started = time.perf_counter()
    threads = max((os.cpu_count() or 1) // jobs, 1)
    context = multiprocessing.get_context("spawn")
    # A process a run: nothing of one run can reach another.
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        waiting = {
            pool.submit(run_arm, comparison, arm, seed, folder, threads): (arm, seed)
            for (arm, seed), folder in missing.items()
        }
        for done, future in enumerate(as_completed(waiting), start=1):
            arm, seed = waiting[future]
            result = future.result()
            minutes = (time.perf_counter() - started) / 60
            first, last = result["curve"][0]["avg"], result["curve"][-1]["avg"]
            console.print(
                f"{done}/{len(waiting)} {arm} seed {seed}: {first:.1%} → {last:.1%} in {result['seconds']:.0f} s "
                f"({minutes:.0f} min in all)"
            )


def run_arm(comparison: Comparison, arm: str, seed: int, folder: Path, threads: int) -> dict[str, Any]:
    """Train one arm with one seed, and write `result.json` into `folder`."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    values = {**comparison.shared, **comparison.arms[arm], "seed": seed, "output_dir": str(folder)}
    recipe.write_text(yaml.safe_dump(values, sort_keys=False))
    started = time.perf_counter()
    plan = parse_recipe([str(recipe)])
    plan.config.reward_weights = [*(plan.config.reward_weights or [1.0] * len(plan.rewards)), 0.0]
    plan.rewards.append(LabelWatch())
    probe = HeldOutAccuracy(
        tiny_problems("heldout", comparison.probe.questions, seed=1),
        every=comparison.probe.every,
        n=comparison.probe.n,
        max_new_tokens=plan.config.max_completion_length,
        seed=seed,
    )
    with (folder / "log.txt").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        trainer = build_trainer(plan, [probe], ProgressLines(arm, Console(file=log)))
        trainer.train()
    result = {
        "arm": arm,
        "seed": seed,
        "curve": [{"step": step, **asdict(accuracy)} for step, accuracy in probe.history],
        "labels": label_curve(read_metrics(folder / "metrics.jsonl"), [r.__name__ for r in plan.rewards]),
        "seconds": time.perf_counter() - started,
    }
    write_whole(folder / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def label_curve(rows: Sequence[dict[str, Any]], rewards: Sequence[str]) -> list[tuple[int, float]]:
    """(step, share of right pseudo-labels): of the first reward that has labels, the watcher being the last.

    >>> label_curve([{"step": 5, "LabelWatch/label_accuracy": 0.5}, {"step": 6}], ["RandomReward", "LabelWatch"])
    [(5, 0.5)]
    """
    for reward in rewards:
        curve = [(row["step"], row[f"{reward}/label_accuracy"]) for row in rows if f"{reward}/label_accuracy" in row]
        if curve:
            return curve
    return []
