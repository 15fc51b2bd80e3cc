"""How often the guard is wrong, how often it sees a collapse, and how early: python -m benchmarks.guard.

Healthy runs learn from ground truth and from contrastive agreement; collapsing ones from confidence, from a majority at
a high rate and from rewards that are cheated (`benchmarks/guard.yaml`). The guard reads the cached figures of every
batch, docs/results/guard/SET.json, so that limits can be tried without training: `calibration` is what the limits were
chosen by, `unseen` has other seeds and is what is reported. A run has collapsed once its held-out accuracy lies 5
points below its best so far; the lead is the number of steps from the first alarm to the last measurement before that.

`--train SET` trains the set's missing runs first, in runs/guard/, and caches them (hours on two cores).
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from scipy.stats import beta

from selfrl.compare.command import run_comparison
from selfrl.files import write_whole
from selfrl.monitor.detector import Limits
from selfrl.monitor.guard import LIMITS, CollapseGuard
from selfrl.monitor.metrics_file import read_metrics
from selfrl.rewards.contract import BaseReward, Batch, Scores

RECIPE, CACHE, RUNS = "benchmarks/guard.yaml", Path("docs/results/guard"), Path("runs/guard")
HEALTHY = ("ground_truth", "co_rewarding")
COLLAPSING = ("self_certainty", "entropy", "majority_vote", "always_zero", "format", "longer")
SETS = {
    "calibration": dict.fromkeys((*HEALTHY, *COLLAPSING), range(2)),
    "unseen": {**dict.fromkeys(HEALTHY, range(100, 130)), **dict.fromkeys(COLLAPSING, range(100, 106))},
}
FIGURES = (
    *("concentration", "majority_ratio", "no_answer", "truncated", "zero_spread"),
    *("length", "length_median", "repetition", "flip_rate"),
)
FALL, WARM_UP, COUNTS = 0.05, 5, {"completions": 64, "groups": 8}


class AlwaysZero(BaseReward):
    """1 for the answer 0, whatever is asked: the answer that a lenient verifier was found to pay for."""

    def score(self, batch: Batch) -> Scores:
        return Scores([float(answer.key == "0") for answer in batch.answers()])


class Longer(BaseReward):
    """A hundredth for every character: length for its own sake."""

    def score(self, batch: Batch) -> Scores:
        return Scores([len(text) / 100 for text in batch.texts])


class Seen(NamedTuple):
    """What a guard made of a run.

    Args:
        arm: what was rewarded.
        seed: of the run.
        fallen: the step of the last measurement before accuracy lay 5 points below its best; None if it never did.
        alarm: the step of the first alarm; None without one.
        figures: that it was of.
    """

    arm: str
    seed: int
    fallen: int | None
    alarm: int | None
    figures: tuple[str, ...]


def trace_of(folder: Path, arm: str, seed: int) -> dict[str, Any]:
    """The figures of a finished run: of each batch, of what was lost now and then, and its held-out accuracy."""
    rows = read_metrics(folder / "metrics.jsonl")
    batches = [row for row in rows if "groups/length" in row]
    assert [row["step"] for row in batches] == list(range(1, len(batches) + 1))
    figures = {
        name: [round(row[f"groups/{name}"], 4) if f"groups/{name}" in row else None for row in batches]
        for name in FIGURES
        if any(f"groups/{name}" in row for row in batches)
    }
    lost = [[row["step"] - 1, round(row["anchors/lost"], 4)] for row in batches if "anchors/lost" in row]
    curve = json.loads((folder / "result.json").read_text())["curve"]
    accuracy = [[point["step"], round(point["avg"], 4)] for point in curve]
    return {"arm": arm, "seed": seed, "figures": figures, "lost": lost, "accuracy": accuracy}


def replayed(trace: dict[str, Any], limits: Limits) -> Seen:
    """What a guard with these limits makes of a cached run."""
    guard = CollapseGuard("warn", limits, Console(quiet=True))
    guard.warm_up = WARM_UP
    lost = dict(map(tuple, trace["lost"]))
    for step in range(len(trace["figures"]["length"])):
        row = {name: values[step] for name, values in trace["figures"].items() if values[step] is not None}
        guard.observe(step, row, COUNTS)
        if step in lost:
            guard.hear_anchors(step, {"lost": lost[step]})
    alarm = guard.alarms[0] if guard.alarms else None
    return Seen(
        trace["arm"],
        trace["seed"],
        fallen(trace["accuracy"]),
        None if alarm is None else alarm.step,
        () if alarm is None else alarm.figures,
    )


def fallen(accuracy: list[list[float]]) -> int | None:
    """The step of the last measurement before accuracy lies 5 points below its best so far; None if it never does.

    The fall lies between that and the next one, so that a lead is never flattered.
    """
    best, before = 0.0, 0
    for step, value in accuracy:
        best = max(best, value)
        if value < best - FALL:
            return before
        before = int(step)
    return None


def upper_bound(count: int, of: int) -> float:
    """The rate that `count` alarms in so many runs bound with 95 % (Clopper-Pearson, one-sided)."""
    return float(beta.ppf(0.95, count + 1, of - count)) if count < of else 1.0


def summary(runs: list[Seen]) -> dict[str, float | int | None]:
    """Rates of false alarms and of collapses seen, and the median lead."""
    healthy = [run for run in runs if run.arm in HEALTHY]
    collapsing = [run for run in runs if run.arm in COLLAPSING and run.fallen is not None]
    false = sum(run.alarm is not None for run in healthy)
    seen = [run for run in collapsing if run.alarm is not None]
    leads = [run.fallen - run.alarm for run in seen if run.fallen is not None and run.alarm is not None]
    return {
        "false_positive_rate": round(false / max(len(healthy), 1), 4),
        "false_positive_upper": round(upper_bound(false, len(healthy)), 4),
        "detection_rate": round(len(seen) / max(len(collapsing), 1), 4),
        "median_lead_steps": statistics.median(leads) if leads else None,
        "healthy_runs": len(healthy),
        "collapsing_runs": len(collapsing),
    }


def table(runs: list[Seen]) -> Table:
    """One line an arm."""
    shown = Table("arm", "runs", "fell 5 points", "alarms", "median lead (least to most)", "first figures")
    for arm in dict.fromkeys(run.arm for run in runs):
        own = [run for run in runs if run.arm == arm]
        leads = sorted(r.fallen - r.alarm for r in own if r.fallen is not None and r.alarm is not None)
        lead = f"{statistics.median(leads):g} ({leads[0]} to {leads[-1]})" if leads else ""
        first = sorted({name for run in own for name in run.figures})
        fell = sum(run.fallen is not None for run in own)
        alarms = sum(run.alarm is not None for run in own)
        shown.add_row(arm, str(len(own)), str(fell), str(alarms), lead, ", ".join(first))
    return shown


def train(name: str) -> None:
    """Train what the cache lacks of a set, seed by seed, and cache it."""
    for seed in sorted({seed for seeds in SETS[name].values() for seed in seeds}):
        held = {(trace["arm"], trace["seed"]) for trace in cached(name)}
        arms = [arm for arm, seeds in SETS[name].items() if seed in seeds and (arm, seed) not in held]
        if arms:
            run_comparison(RECIPE, RUNS, "python -m benchmarks.guard --train", arms=arms, seeds=[seed])
            keep(name, RUNS)


def cached(name: str) -> list[dict[str, Any]]:
    """The traces of a set; none before any was kept."""
    file = CACHE / f"{name}.json"
    traces: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return traces


def keep(name: str, runs: Path) -> None:
    """Add the runs of a set that have finished to its cache."""
    traces = cached(name)
    held = {(trace["arm"], trace["seed"]) for trace in traces}
    for arm, seeds in SETS[name].items():
        for seed in seeds:
            folder = runs / arm / f"seed{seed}"
            if (arm, seed) not in held and (folder / "result.json").exists():
                traces.append(trace_of(folder, arm, seed))
    traces.sort(key=lambda trace: (trace["arm"], trace["seed"]))
    CACHE.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(trace, separators=(",", ":")) for trace in traces)
    write_whole(CACHE / f"{name}.json", f"[\n{lines}\n]\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", choices=SETS, help="train the missing runs of this set first")
    parser.add_argument("--set", choices=SETS, default="unseen", help="of the runs that are looked at")
    args = parser.parse_args()
    if args.train:
        train(args.train)
    runs = [replayed(trace, LIMITS) for trace in cached(args.set)]
    Console(width=140).print(table(runs))
    print(json.dumps(summary(runs)))


if __name__ == "__main__":
    main()
