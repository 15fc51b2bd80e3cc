"""`selfrl compare RECIPE.yaml`: several arms from one start, with one budget, over several seeds.

The recipe holds the keys of a training recipe that all arms share, and

    arms:   name → the keys that make the arm (its rewards, and what goes with them)
    seeds:  list of seeds; every arm runs with each
    probe:  how accuracy is watched, as in a training recipe: {task: gsm8k, every: 20, questions: 100, n: 4, …};
            with `final: {questions: 250, n: 8}` start and end are measured by more
    jobs:   runs at a time; auto fills the cores with runs of one thread each (on a GPU: one run at a time)

Every run is a process of its own and leaves `result.json` in its folder; a comparison that was killed goes on with
the runs that are missing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from selfrl.compare.side_by_side import at_once, cores, side_by_side, start_server

if TYPE_CHECKING:
    from selfrl.compare.arm_run import ArmRun


def main(argv: Sequence[str]) -> int:
    """Run what is missing and write the report."""
    parser = argparse.ArgumentParser(
        prog="selfrl compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="comparison recipe, such as recipes/compare/tiny.yaml")
    parser.add_argument("--out", type=Path, help="folder of everything written; runs/FOLDER_NAME by default")
    parser.add_argument("--jobs", help="runs at a time, each with its share of the cores, or auto; the recipe's if not")
    parser.add_argument("--arms", nargs="+", help="only these arms")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the recipe's")
    args = parser.parse_args(argv)
    path = Path(args.recipe)
    out = args.out or Path("runs") / f"{path.parent.name}_{path.stem}"
    command = f"selfrl compare {args.recipe}"
    return run_comparison(args.recipe, out, command, jobs=args.jobs, arms=args.arms, seeds=args.seeds)


def run_comparison(
    recipe: str,
    out: Path,
    command: str,
    *,
    jobs: str | None = None,
    arms: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> int:
    """Run what is missing of a comparison and write its report.

    Args:
        recipe: its file.
        out: folder of everything written.
        command: what the report says it comes from.
        jobs: instead of the recipe's.
        arms: only these.
        seeds: instead of the recipe's.

    Returns:
        the exit status: 1 if a run failed; the others are reported.

    Raises:
        ValueError, OSError, ImportError: for a recipe that cannot be run, before anything runs.
    """
    context = start_server()
    # only now, so that this process and the server import side by side
    import torch

    from selfrl.compare.arm_run import train_arm
    from selfrl.compare.comparison import Comparison, jobs_of
    from selfrl.compare.comparison_report import write_report
    from selfrl.recipe import find_recipe

    console = Console(markup=False, highlight=False)
    comparison = Comparison.read(find_recipe(recipe))
    asked = comparison.jobs if jobs is None else jobs_of(jobs, "--jobs")
    runs = comparison.runs(out, arms or list(comparison.arms), seeds or comparison.seeds)
    plans = comparison.prepare(runs)
    if asked == "auto":
        on_gpu = torch.cuda.is_available() and not all(plan.config.use_cpu for plan in plans)
        asked = 1 if on_gpu else at_once(len(runs), cores())
    # not by how many are missing: a comparison that goes on gives what it would have given
    threads = max(cores() // asked, 1)
    missing = [run for run in runs if not run.result.exists()]
    before = len(runs) - len(missing)
    kept = f"{before} of them finished before (another --out runs them anew); " if before else ""
    console.print(f"{len(runs)} runs, {kept}{asked} at a time, {threads} thread{'s' * (threads > 1)} each.")
    for run in missing:
        (run.folder / "metrics.jsonl").unlink(missing_ok=True)
    started, failed = time.perf_counter(), []
    calls = {run: (run, threads) for run in missing}
    for done, (run, status) in enumerate(side_by_side(context, train_arm, calls, asked, _watch(console)), start=1):
        if status != 0 or not run.result.exists():
            failed.append(f"{run} failed ({_last_words(run, status)}); its log is {run.log}.")
            console.print(f"{done}/{len(missing)} {failed[-1]}", soft_wrap=True)
            continue
        result = _read(run)
        minutes = (time.perf_counter() - started) / 60
        console.print(f"{done}/{len(missing)} {run}: done in {result['seconds']:.0f} s ({minutes:.0f} min in all)")
    results = [_read(run) for run in runs if run.result.exists()]
    if results:
        write_report(out, command, results, console, failed)
    for sentence in failed:
        console.print(sentence, soft_wrap=True)
    return 1 if failed else 0


def _read(run: ArmRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.result.read_text())
    return found


def _last_words(run: ArmRun, status: int) -> str:
    """Why a run ended, in the last line of its log, or the signal that ended it."""
    if status < 0:
        return f"ended by signal {-status}"
    lines = run.log.read_text(errors="replace").split("\n") if run.log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")


def _watch(console: Console) -> Callable[[Collection[ArmRun]], None]:
    """Prints what the probes of the runs under way measure."""
    from selfrl.monitor.metrics_file import read_metrics

    shown: Counter[ArmRun] = Counter()

    def look(running: Collection[ArmRun]) -> None:
        for run in running:
            rows = [row for row in read_metrics(run.folder / "metrics.jsonl") if any("/avg@" in key for key in row)]
            for row in rows[shown[run] :]:
                figures = [f"{key.removeprefix('probe/')} {value:.1%}" for key, value in row.items() if "/avg@" in key]
                console.print(f"{run} step {row['step']}: {', '.join(figures)}")
            shown[run] = len(rows)

    return look
