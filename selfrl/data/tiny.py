"""The packaged tiny model and its arithmetic problems: everything runs on a CPU, with no download."""

from __future__ import annotations

import random

from datasets import Dataset

from selfrl.data.problems import NAMES, THINGS, Split, draw_problems, wordings_of


def tiny_problems(split: Split, count: int, seed: int = 0) -> Dataset:
    """Arithmetic word problems with a paraphrase each, as columns prompt, paraphrase, answer.

    Splits share no numbers, and the last wording of each structure appears in the held-out split only. A prompt and
    its paraphrase differ in wording, scenario, names and things. Problems are distinct within a draw.

    Args:
        split: "train" or "heldout".
        count: number of problems.
        seed: of the draw.

    Example:
        >>> row = tiny_problems("train", 1, seed=3)[0]
        >>> row["prompt"] != row["paraphrase"], row["answer"].isdigit()
        (True, True)
    """
    rng = random.Random(f"{split}-{seed}")
    problems = draw_problems(split, rng)
    seen = set()
    rows: list[dict[str, str]] = []
    while len(rows) < count:
        problem = next(problems)
        if problem in seen:
            continue
        seen.add(problem)
        texts = [
            problem.tell(wording, name, thing)
            for wording, name, thing in zip(
                rng.sample(wordings_of(split), 2), rng.sample(NAMES, 2), rng.sample(THINGS, 2), strict=True
            )
        ]
        rows.append({"prompt": texts[0] + "\n", "paraphrase": texts[1] + "\n", "answer": str(problem.answer)})
    return Dataset.from_list(rows)
