"""Labels of adaptive votes against 64 fixed ones: python -m benchmarks.adaptive_votes.

A simulation: the right answer's share is drawn from Beta(4,2), (2,2), (1,3) or (½,½), the rest is spread over 12 wrong
answers by Dirichlet(½); 8 to 64 vote. Then the packaged tiny model on its held-out problems, with completions that it
samples. Fixed and adaptive votes see the same completions in the same order. `votes_used` is the mean share of the 64
in the simulation, `label_accuracy_difference` the largest loss of accuracy in points over all five; `tiny_…` are the
model's.
"""

import json
from collections.abc import Sequence

import numpy as np

from selfrl.answers import merge_keys, read_answer, vote
from selfrl.answers.gold import right_label
from selfrl.data.tiny import tiny_problems
from selfrl.generation import Sampling
from selfrl.generation.load import load_generator
from selfrl.models import TINY_MODEL
from selfrl.rewards.vote_stopping import further_votes

LEAST, MOST, PROMPTS, PROBLEMS = 8, 64, 20_000, 300
SHARES = ((4.0, 2.0), (2.0, 2.0), (1.0, 3.0), (0.5, 0.5))


def voters(keys: Sequence[str | None]) -> int:
    """How many of the votes, in this order, adaptive voting asks for."""
    cast = 0
    while more := further_votes(keys[:cast], LEAST, MOST):
        cast += more
    return cast


def compared(prompts: Sequence[tuple[Sequence[str | None], str]]) -> tuple[float, float]:
    """Share of the votes that adaptive voting uses, and what it gains in points, over prompts and right answers."""
    used, fixed, adaptive = 0, 0, 0
    for keys, right in prompts:
        count = voters(keys)
        used += count
        fixed += bool(right_label(vote(keys), right))
        adaptive += bool(right_label(vote(keys[:count]), right))
    return used / (MOST * len(prompts)), 100 * (adaptive - fixed) / len(prompts)


def simulated(a: float, b: float, seed: int) -> list[tuple[list[str | None], str]]:
    rng = np.random.default_rng(seed)
    right = rng.beta(a, b, PROMPTS)
    wrong = rng.dirichlet([0.5] * 12, PROMPTS) * (1 - right)[:, None]
    upper = np.concatenate([right[:, None], wrong], 1).cumsum(1)
    drawn = (rng.random((PROMPTS, MOST, 1)) > upper[:, None]).sum(2).clip(max=12)
    return [([str(key) for key in row], "0") for row in drawn.tolist()]


def sampled() -> list[tuple[list[str | None], str]]:
    problems = tiny_problems("heldout", PROBLEMS)
    prompts = [prompt for prompt in problems["prompt"] for _ in range(MOST)]
    model = load_generator("transformers", str(TINY_MODEL))
    replies = model.generate(prompts, Sampling(64, 1.0, seed=0))
    keys = [read_answer(group[0].text).key for group in replies]
    return [
        (list(merge_keys(keys[i * MOST : (i + 1) * MOST])), str(problem["answer"]))
        for i, problem in enumerate(problems)
    ]


def main() -> None:
    found = {f"Beta({a:g},{b:g})": compared(simulated(a, b, seed)) for seed, (a, b) in enumerate(SHARES)}
    found["tiny"] = compared(sampled())
    for name, (used, gained) in found.items():
        print(f"{name}: {used:.1%} of the votes, {gained:+.2f} points")
    tiny_used, tiny_gained = found["tiny"]
    figures = {
        "votes_used": round(float(np.mean([used for name, (used, _) in found.items() if name != "tiny"])), 3),
        "label_accuracy_difference": round(-min(gained for _, gained in found.values()), 3),
        "tiny_votes_used": round(tiny_used, 3),
        "tiny_label_accuracy_difference": round(-tiny_gained, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
