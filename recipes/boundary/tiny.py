"""MMBoundary (2505.23224) on the packaged tiny model, label-free, in minutes on a CPU.

    python -m selfrl.recipes.boundary.tiny

Stage 1 teaches the packaged model to say after each step of a sum how sure it is, at random. Stage 2 is GRPO with the
recipe beside this file: the group's agreed chain stands for knowledge, the model's own probabilities for what it
should feel. The last line is JSON: on held-out questions, before and after stage 2, the expected calibration error
of the expressed confidences against the truth, and the share of right answers.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from selfrl.data.problems import Problem, draw_problems, told
from selfrl.generation import Sampling
from selfrl.generation.hf import sample_texts
from selfrl.recipes.boundary.chains import extended_model, hesitant_example
from selfrl.recipes.two_stages import main, save_start
from selfrl.rewards.reasoning_steps import split_steps, step_key
from selfrl.rewards.step_terms import expected_calibration_error, matches

MAX_NEW_TOKENS = 40


def questions(split: Any, count: int, seed: int) -> list[tuple[str, Problem]]:
    """Prompts and their problems."""
    rng = random.Random(f"boundary-{split}-{seed}")
    problems = draw_problems(split, rng)
    drawn = [next(problems) for _ in range(count)]
    return [(told(problem, split, rng), problem) for problem in drawn]


def make_start(folder: Path, steps: int, seed: int) -> None:
    """Stage 1."""
    model, tokenizer = extended_model()
    rng = random.Random(seed)
    save_start(folder, model, tokenizer, lambda: hesitant_example(rng), steps, lr=2e-3)


def measure(model: Any, tokenizer: Any, count: int, seed: int) -> dict[str, float]:
    """ECE of the expressed confidences of all steps, and the share of right answers, over 4 samples a question."""
    held_out = questions("heldout", count, seed)
    groups = sample_texts(
        model, tokenizer, [prompt for prompt, _ in held_out], Sampling(MAX_NEW_TOKENS, n=4, seed=seed)
    )
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


def training_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Prompts alone: the reward needs no label."""
    return [{"prompt": prompt} for prompt, _ in questions("train", count, seed)]


if __name__ == "__main__":
    main("boundary", __doc__, make_start, training_rows, measure)
