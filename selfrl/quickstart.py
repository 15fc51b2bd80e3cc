"""`selfrl quickstart`: Co-rewarding I beside two controls on the packaged tiny model, minutes on a CPU.

Three runs start from the same weights with the same data, steps and rollouts; only the reward differs: contrastive
agreement (no label), ground truth (what labels would give) and random (what the training alone gives).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrl.data.tiny import tiny_problems
from selfrl.eval.sampled import SampledAccuracy
from selfrl.models import TINY_MODEL
from selfrl.monitor.heldout import HeldOutAccuracy
from selfrl.monitor.metrics_file import read_metrics
from selfrl.monitor.progress import ProgressLines
from selfrl.recipe import parse_recipe
from selfrl.tables import markdown_table
from selfrl.training import build_trainer

RECIPE = "recipes/co_rewarding/tiny.yaml"
ARMS = {
    "co_rewarding_i": "ContrastiveAgreementReward",
    "ground_truth": "AccuracyReward",
    "random": "RandomReward",
}
MAX_NEW_TOKENS = 40


@dataclass(frozen=True)
class Arm:
    """One finished run: its final held-out accuracy, its curve (step, accuracy) and its rewards (step, mean)."""

    name: str
    after: SampledAccuracy
    curve: list[tuple[int, float]]
    rewards: list[tuple[int, float]]
    seconds: float


def main(argv: Sequence[str]) -> int:
    """Run the three arms and write the report."""
    parser = argparse.ArgumentParser(prog="selfrl quickstart", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="folder of everything written")
    parser.add_argument("--seed", type=int, default=0, help="of data order, sampling and the random reward")
    args = parser.parse_args(argv)
    console = Console()
    questions = tiny_problems("heldout", 250, seed=1)
    measure = HeldOutAccuracy(questions, every=1, n=8, max_new_tokens=MAX_NEW_TOKENS, seed=args.seed)
    console.print(f"Measuring the start: {len(questions)} held-out questions x 8 samples …")
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL)
    before = measure.measure(model, AutoTokenizer.from_pretrained(TINY_MODEL))
    console.print(f"Start: avg@8 {before.avg:.1%}, maj@8 {before.maj:.1%}")
    arms = [_run_arm(name, rewards, args.out, args.seed, measure, console) for name, rewards in ARMS.items()]
    write_report(args.out, args.seed, before, arms, console)
    return 0


def _run_arm(name: str, rewards: str, out: Path, seed: int, measure: HeldOutAccuracy, console: Console) -> Arm:
    started = time.perf_counter()
    folder = out / name
    plan = parse_recipe(
        [RECIPE, "--rewards", rewards, "--paired", "true", "--output_dir", str(folder), "--seed", str(seed)]
    )
    probe = HeldOutAccuracy(
        measure.questions.select(range(100)),
        every=20,
        n=4,
        max_new_tokens=MAX_NEW_TOKENS,
        seed=seed,
        console=console,
    )
    trainer = build_trainer(plan, [probe], ProgressLines(name, console))
    trainer.train()
    trainer.save_model()
    return Arm(
        name,
        after=measure.measure(trainer.model, trainer.processing_class),
        curve=[(step, accuracy.avg) for step, accuracy in probe.history],
        rewards=[
            (r["step"], r["reward"]) for r in read_metrics(folder / "metrics.jsonl") if r.get("reward") is not None
        ],
        seconds=time.perf_counter() - started,
    )


def write_report(out: Path, seed: int, before: SampledAccuracy, arms: list[Arm], console: Console) -> None:
    """Print the table, and write `report.md`, `results.json` and `accuracy.png` into `out`."""
    rows = [["start", f"{before.avg:.1%}", "", f"{before.maj:.1%}", f"{before.no_answer:.1%}", ""]]
    for arm in arms:
        gain = 100 * (arm.after.avg - before.avg)
        rows.append(
            [
                arm.name,
                f"{arm.after.avg:.1%}",
                f"{gain:+.1f}",
                f"{arm.after.maj:.1%}",
                f"{arm.after.no_answer:.1%}",
                f"{arm.seconds:.0f} s",
            ]
        )
    head = ["reward", "held-out avg@8", "gain (points)", "maj@8", "no answer", "time"]
    note = f"{before.questions} held-out questions x {before.n} samples, seed {seed}, standard error about "
    note += f"{100 * before.stderr:.1f} points"
    table = Table(*head, title="Quickstart: one start, one budget, three rewards", caption=note)
    for row in rows:
        table.add_row(*row)
    console.print(table)

    lines = ["# Quickstart", "", note + ".", "", *markdown_table(head, rows)]
    lines += ["", "![held-out accuracy](accuracy.png)", ""]
    lines += [
        "Each run's folder holds its checkpoints, `completions/` (a table a log) and `metrics.jsonl`.",
        "",
    ]
    (out / "report.md").write_text("\n".join(lines))
    results = {"seed": seed, "before": asdict(before), "arms": [asdict(arm) for arm in arms]}
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    plot(out / "accuracy.png", arms)
    console.print(f"Report: {out / 'report.md'}, plot: {out / 'accuracy.png'}")


def plot(path: Path, arms: list[Arm]) -> None:
    """Held-out accuracy and training reward against the step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for arm in arms:
        style = "-" if arm.name == "co_rewarding_i" else "--"  # the arms often lie on one another
        left.plot(*zip(*arm.curve, strict=True), style, marker="o", label=arm.name)
        right.plot(*zip(*arm.rewards, strict=True), style, label=arm.name)
    left.set(xlabel="step", ylabel="held-out avg@4 (100 questions)", ylim=(0, 1))
    right.set(xlabel="step", ylabel="training reward", ylim=(0, 1))
    left.legend(loc="lower right")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
