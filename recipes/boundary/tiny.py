"""MMBoundary (2505.23224) on the packaged tiny model, label-free, in minutes on a CPU.

    python -m selfrl.recipes.boundary.tiny

Stage 1 teaches the packaged model to say after each step of a sum how sure it is, at random. Stage 2 is GRPO with the
recipe beside this file: the group's agreed chain stands for knowledge, the model's own probabilities for what it
should feel. The last line is JSON: on held-out questions, before and after stage 2, the expected calibration error
of the expressed confidences against the truth, and the share of right answers.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from datasets import Dataset

from selfrl.data.finetune import finetune
from selfrl.data.problems import NAMES, THINGS, Problem, draw_problems, wordings_of
from selfrl.eval.sampled import sample_completions
from selfrl.recipe import parse_recipe
from selfrl.recipes.boundary.chains import extended_model, hesitant_example
from selfrl.rewards.boundary import expected_calibration_error, matches
from selfrl.rewards.reasoning_steps import split_steps, step_key
from selfrl.training import build_trainer, run

MAX_NEW_TOKENS = 40


def questions(split: Any, count: int, seed: int) -> list[tuple[str, Problem]]:
    """Prompts and their problems."""
    rng = random.Random(f"boundary-{split}-{seed}")
    problems = draw_problems(split, rng)
    drawn = [next(problems) for _ in range(count)]
    return [(p.tell(rng.choice(wordings_of(split)), rng.choice(NAMES), rng.choice(THINGS)) + "\n", p) for p in drawn]


def make_start(folder: Path, steps: int, seed: int) -> None:
    """Stage 1."""
    model, tokenizer = extended_model()
    rng = random.Random(seed)
    finetune(model, tokenizer, lambda: hesitant_example(rng), steps, batch_size=64, lr=2e-3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measure(model: Any, tokenizer: Any, count: int, seed: int) -> dict[str, float]:
    """ECE of the expressed confidences of all steps, and the share of right answers, over 4 samples a question."""
    held_out = questions("heldout", count, seed)
    groups = sample_completions(model, tokenizer, [prompt for prompt, _ in held_out], 4, MAX_NEW_TOKENS, seed=seed)
    said: list[int] = []
    right: list[bool] = []
    answers = 0
    for (_, problem), texts in zip(held_out, groups, strict=True):
        truth = [str(result) for *_, result in problem.steps()]
        for text in texts:
            steps = split_steps(text)
            keys = [step_key(text[step.start : step.end]) for step in steps]
            pairs = [(s.level, c) for s, c in zip(steps, matches(keys, truth), strict=True) if s.level is not None]
            said += [level for level, _ in pairs]
            right += [correct for _, correct in pairs]
            answers += bool(keys) and keys[-1] == truth[-1]
    return {
        "ece": round(expected_calibration_error(said, right), 4) if said else float("nan"),
        "accuracy": round(answers / (4 * count), 4),
        "expressed_steps": len(said),
    }


def main() -> None:
    """Both stages, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/boundary"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sft_steps", type=int, default=300)
    parser.add_argument("--max_steps", type=int, default=80)
    args = parser.parse_args()
    start, data = args.out / "start", args.out / "questions.jsonl"
    make_start(start, args.sft_steps, args.seed)
    Dataset.from_list([{"prompt": prompt} for prompt, _ in questions("train", 1024, args.seed)]).to_json(data)
    options = {
        "model_name_or_path": start,
        "dataset": data,
        "output_dir": args.out,
        "seed": args.seed,
        "max_steps": args.max_steps,
    }
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    trainer = build_trainer(parse_recipe(["recipes/boundary/tiny.yaml", *flags]))
    before = measure(trainer.model, trainer.processing_class, 100, args.seed)
    run(trainer)
    after = measure(trainer.model, trainer.processing_class, 100, args.seed)
    print(json.dumps({"before": before, "after": after}))


if __name__ == "__main__":
    main()
