"""A start for the tiny self-play recipes: the packaged model learns chains of sums, the long ones rarely, with errors.

    python -m selfrl.recipes.eva.tiny_start            # writes runs/self_play/start, in two minutes
    python -m selfrl.recipes.eva.tiny_start --writes 0.2 --out runs/self_play/writer

Chains of two to six numbers are seen in a ratio of 100 : 40 : 16 : 6 : 3, and each sum of a solution is wrong with
probability 0.15. The model then samples right answers to about 70 % of chains of two numbers, 35 % of three, 15 % of
four and 3 % of five and six: there is something to learn at every length, and what there is moves up as it learns.

With `--writes` a share of the examples is about writing: after the word "then" and a chain comes the same chain with
one number more. Such a start can evolve prompts itself, as `evol_tiny.yaml` has it do.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from selfrl.data.finetune import Example
from selfrl.data.problems import solution
from selfrl.data.sum_chains import Chain, draw_chains
from selfrl.data.tokenizer import build_tokenizer
from selfrl.models import model_path
from selfrl.recipes.two_stages import save_start

TERMS, RARER, LARGEST, NOISE = (2, 3, 4, 5, 6), 0.4, (9, 19, 39, 69, 99), 0.15


def example(rng: random.Random) -> Example:
    """A chain and its solution, which may be wrong."""
    terms = rng.choices(TERMS, [RARER**i for i in range(len(TERMS))])[0]
    chain = next(draw_chains(terms, rng.choice(LARGEST), "train", rng))
    return chain.text + "\n", solution(chain, rng, NOISE)


def written(rng: random.Random) -> Example:
    """A chain after "then", and the chain that is one number longer, both of numbers to train on."""
    while True:
        child = next(draw_chains(rng.choice(TERMS[1:]), rng.choice(LARGEST), "train", rng))
        parent = Chain(child.numbers[:-1], child.signs[:-1])
        if parent.split == "train":
            return f"then {parent.text}\n", child.text


def main() -> None:
    """Train the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/self_play/start"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--writes", type=float, default=0.0)
    args = parser.parse_args()
    rng = random.Random(f"chains/{args.seed}")

    def drawn() -> Example:
        return written(rng) if args.writes and rng.random() < args.writes else example(rng)

    model = AutoModelForCausalLM.from_pretrained(model_path("tiny"), dtype=torch.float32)
    save_start(args.out, model, build_tokenizer(), drawn, args.steps, lr=1e-3)


if __name__ == "__main__":
    main()
