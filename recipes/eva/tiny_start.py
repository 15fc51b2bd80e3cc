"""A start for the tiny self-play recipes: the packaged model learns chains of sums, the long ones rarely, with errors.

    python -m selfrl.recipes.eva.tiny_start            # writes runs/self_play/start, in two minutes

Chains of two to six numbers are seen in a ratio of 100 : 40 : 16 : 6 : 3, and each sum of a solution is wrong with
probability 0.15. The model then samples right answers to about 70 % of chains of two numbers, 35 % of three, 15 % of
four and 3 % of five and six: there is something to learn at every length, and what there is moves up as it learns.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from selfrl.data.finetune import Example
from selfrl.data.problems import solution
from selfrl.data.sum_chains import draw_chains
from selfrl.data.tokenizer import build_tokenizer
from selfrl.models import model_path
from selfrl.recipes.two_stages import save_start

TERMS, RARER, LARGEST, NOISE = (2, 3, 4, 5, 6), 0.4, (9, 19, 39, 69, 99), 0.15


def example(rng: random.Random) -> Example:
    """A chain and its solution, which may be wrong."""
    terms = rng.choices(TERMS, [RARER**i for i in range(len(TERMS))])[0]
    chain = next(draw_chains(terms, rng.choice(LARGEST), "train", rng))
    return chain.text + "\n", solution(chain, rng, NOISE)


def main() -> None:
    """Train the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/self_play/start"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(f"chains/{args.seed}")
    model = AutoModelForCausalLM.from_pretrained(model_path("tiny"), dtype=torch.float32)
    save_start(args.out, model, build_tokenizer(), lambda: example(rng), args.steps, lr=1e-3)


if __name__ == "__main__":
    main()
