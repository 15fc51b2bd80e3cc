"""The start and the data of `recipes/compare/robust_votes.yaml`: a tiny model whose majority is often wrong.

    python -m selfrl.recipes.robust_votes.tiny         # writes runs/robust_votes/{start,train.jsonl,heldout.jsonl}

The packaged model learns 300 steps of problems that are solved by a wrong habit now and then, see
[`selfrl.recipes.robust_votes.habits`]. The training rows are pairs, already as two views, and hold the share of 16
samples of the start that agree (`reference_agreement`), which RESTRAIN weighs prompts by. The last line is JSON:
accuracy of the start on held-out problems, single and by majority, and the share of wrong majorities by habit.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM

from selfrl.answers import answer_key, vote
from selfrl.data.pairs import expand_pairs
from selfrl.data.tokenizer import build_tokenizer
from selfrl.generation import Sampling
from selfrl.generation.hf import sample_texts
from selfrl.models import model_path
from selfrl.recipes.robust_votes.habits import example, rows
from selfrl.recipes.two_stages import save_start
from selfrl.rewards.vote_rule import agreement

SAMPLES = 16


def start_figures(keys: Sequence[Sequence[str | None]], answers: Sequence[str], habits: Sequence[str | None]) -> dict:
    """Share of right answers, of right majorities, and of wrong majorities by habit.

    >>> start_figures([["1", "1", "2"]], ["2"], ["carry"])
    {'avg': 0.3333, 'maj': 0.0, 'agreement': 0.6667, 'wrong': {'carry': 1.0}}
    """
    wrong: dict[str, list[bool]] = defaultdict(list)
    for group, answer, habit in zip(keys, answers, habits, strict=True):
        wrong[habit or "none"].append(vote(group) != answer)
    figures = {
        "avg": fmean(key == answer for group, answer in zip(keys, answers, strict=True) for key in group),
        "maj": 1 - fmean(each for several in wrong.values() for each in several),
        "agreement": fmean(map(agreement, keys)),
    }
    shares = {habit: round(fmean(each), 4) for habit, each in sorted(wrong.items())}
    return {**{name: round(value, 4) for name, value in figures.items()}, "wrong": shares}


def main() -> None:
    """Train the start, and write the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/robust_votes"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--count", type=int, default=96, help="pairs to train on")
    parser.add_argument("--heldout", type=int, default=250, help="problems to measure by")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, tokenizer = random.Random(f"habits/{args.seed}"), build_tokenizer()
    model = AutoModelForCausalLM.from_pretrained(model_path("tiny"), dtype=torch.float32)
    save_start(args.out / "start", model, tokenizer, lambda: example(rng), args.steps, lr=1e-3)

    def sampled(data: Dataset) -> list[list[str | None]]:
        texts = sample_texts(model, tokenizer, data["prompt"], Sampling(40, n=SAMPLES, seed=args.seed))
        return [[answer_key(text) for text in group] for group in texts]

    train = expand_pairs(Dataset.from_list([*rows("train", args.count, args.seed)]))
    train = train.add_column("reference_agreement", [agreement(group) for group in sampled(train)])
    train.to_json(args.out / "train.jsonl")
    heldout = Dataset.from_list([*rows("heldout", args.heldout, args.seed)])
    heldout.to_json(args.out / "heldout.jsonl")
    print(json.dumps(start_figures(sampled(heldout), heldout["answer"], heldout["habit"])))


if __name__ == "__main__":
    main()
