"""A tiny recipe in two stages: a supervised start made by a script, then GRPO by the `tiny.yaml` beside it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset

from selfrl.data.finetune import Example, finetune
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer, run


def save_start(folder: Path, model: Any, tokenizer: Any, draw: Callable[[], Example], steps: int, lr: float) -> None:
    """Stage 1: train `model` on fresh examples and save it, with its tokenizer, into `folder`."""
    finetune(model, tokenizer, draw, steps, batch_size=64, lr=lr)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(
    name: str,
    description: str | None,
    make_start: Callable[[Path, int, int], None],
    rows: Callable[[int, int], list[dict[str, Any]]],
    measure: Callable[[Any, Any, int, int], dict[str, float]],
) -> None:
    """Run both stages, and print what was measured before and after the second as JSON.

    Args:
        name: folder of the recipe, as in recipes/NAME/tiny.yaml.
        description: for --help.
        make_start: (folder, supervised steps, seed) writes the start.
        rows: (count, seed) gives training rows.
        measure: (model, tokenizer, held-out count, seed) gives figures.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs") / name)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sft_steps", type=int, default=300)
    parser.add_argument("--max_steps", type=int, help="of stage 2, instead of the recipe's")
    args = parser.parse_args()
    start, data = args.out / "start", args.out / "train.jsonl"
    make_start(start, args.sft_steps, args.seed)
    Dataset.from_list(rows(1024, args.seed)).to_json(data)
    options = {"model_name_or_path": start, "dataset": data, "output_dir": args.out, "seed": args.seed}
    if args.max_steps is not None:
        options["max_steps"] = args.max_steps
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    trainer = build_trainer(parse_recipe([f"recipes/{name}/tiny.yaml", *flags]))
    before = measure(trainer.model, trainer.processing_class, 100, args.seed)
    run(trainer)
    after = measure(trainer.model, trainer.processing_class, 100, args.seed)
    print(json.dumps({"before": before, "after": after}))
