"""SSL4RL (2510.16416) on a tiny vision-language model and handwritten digits, in minutes on a CPU.

    python -m selfrl.recipes.ssl4rl.tiny --task rotation --seed 0

The start is a LLaVA of 0.26 M parameters that has learnt the form of an answer, and answers at random.
From there GRPO with the recipe beside this file trains it twice, with the task's reward and with a random one. The last
line is JSON: accuracy on held-out digits in percent, at the start and at the end of both.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import yaml

from selfrl.compare.command import run_comparison
from selfrl.data.loading import load_rows
from selfrl.pretext.building import Build, build
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan
from selfrl.recipe import find_recipe, read_recipe_file
from selfrl.recipes.ssl4rl.tiny_seer import build_seer, save_digits, warm_up
from selfrl.rewards.vision import Jigsaw, PictureTask, Position, Rotation

# (task, all its answers)
TASKS: dict[str, tuple[PictureTask, tuple[str, ...]]] = {
    "rotation": (Rotation(min_side=1), ("0", "90", "180", "270")),
    "jigsaw": (Jigsaw(min_side=1, grid="2x1"), ("1,2", "2,1")),
    "position": (Position(min_side=4), ("top-left", "top-right", "bottom-left", "bottom-right")),
}
WARM_UP_STEPS = 300


def prepare(folder: Path, name: str, seed: int) -> dict[str, str]:
    """Write data and start into `folder`, if they are not there, and give the recipe's keys that name them."""
    task, answers = TASKS[name]
    folder.mkdir(parents=True, exist_ok=True)
    digits, data, start = folder / "digits.npy", folder / "data", folder / "start"
    if not start.exists():
        save_digits(digits)
        items = ItemPlan(((task, 0),), per_picture=4, max_pixels=10_000, seed=seed)
        build(Build(PictureSource(str(digits)), items, data, held_out=0.22))
        model, processor = build_seer(answers, seed)
        loss = warm_up(model, processor, load_rows(str(data), "train[:1000]"), answers, WARM_UP_STEPS, seed)
        print(f"The start has learnt the form: loss {loss:.3f}.", flush=True)
        model.save_pretrained(start)
        processor.save_pretrained(start)
    return {"model_name_or_path": str(start), "dataset": str(data)}


def main() -> None:
    """Prepare, run both arms, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tuple(TASKS), default="rotation")
    parser.add_argument("--seed", type=int, default=0, help="of data, start and training")
    parser.add_argument("--out", type=Path, help="runs/ssl4rl/TASK/seedN by default")
    parser.add_argument("--max_steps", type=int, help="instead of the recipe's")
    args = parser.parse_args()
    started = time.perf_counter()
    out = args.out or Path("runs/ssl4rl") / args.task / f"seed{args.seed}"
    values: dict[str, Any] = read_recipe_file(find_recipe("ssl4rl/tiny.yaml")) | prepare(out, args.task, args.seed)
    values["probe"]["data"] = values["dataset"]
    values["seeds"] = [args.seed]
    values["arms"]["random"] = {"rewards": {"RandomReward": {"p": TASKS[args.task][0].chance}}}
    if args.max_steps is not None:
        values["max_steps"] = args.max_steps
    recipe = out / "comparison.yaml"
    recipe.write_text(yaml.safe_dump(values, sort_keys=False))
    status = run_comparison(str(recipe), out / "runs", f"python -m selfrl.recipes.ssl4rl.tiny --task {args.task}")
    if status:
        raise SystemExit(status)
    figures: dict[str, Any] = {"task": args.task, "seed": args.seed, "chance": 100 * TASKS[args.task][0].chance}
    for arm in values["arms"]:
        ends = json.loads((out / "runs" / arm / f"seed{args.seed}" / "result.json").read_text())["ends"]
        figures |= {"start": round(100 * ends[0]["avg"], 1), arm: round(100 * ends[-1]["avg"], 1)}
    print(json.dumps({**figures, "minutes": round((time.perf_counter() - started) / 60, 1)}))


if __name__ == "__main__":
    main()
