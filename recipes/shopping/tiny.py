"""Shop-R1 (2507.17842) on a tiny model, both stages, in minutes on a CPU.

    python -m selfrl.recipes.shopping.tiny

Stage 1 trains a model of 0.9 M parameters from scratch on shopping sessions whose action is wrong every third time.
Stage 2 is GRPO with the recipe beside this file. The last line is JSON: the share of sampled replies to held-out
sessions whose action is exactly right, and of the right type, before and after stage 2.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from datasets import Dataset

from selfrl.data.finetune import finetune
from selfrl.data.pretrain import build_model
from selfrl.data.tokenizer import word_tokenizer
from selfrl.eval.sampled import sample_completions
from selfrl.recipe import parse_recipe
from selfrl.recipes.shopping.sessions import SYMBOLS, WORDS, noisy_action, rows, sessions
from selfrl.rewards.shopping_actions import read_action, read_reply
from selfrl.training import build_trainer, run

NOISE = 0.35
MAX_NEW_TOKENS = 64


def make_start(folder: Path, steps: int, seed: int) -> None:
    """Stage 1: a model that knows the form and is careless about the content."""
    tokenizer = word_tokenizer(WORDS, SYMBOLS)
    model = build_model(len(tokenizer), seed)
    rng, drawn = random.Random(seed), sessions(seed, "train")

    def draw() -> tuple[str, str]:
        session = next(drawn)
        return session.prompt, session.reply(noisy_action(session, rng) if rng.random() < NOISE else None)

    finetune(model, tokenizer, draw, steps, batch_size=64, lr=3e-3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def accuracy(model: object, tokenizer: object, count: int, seed: int) -> dict[str, float]:
    """Exact and type accuracy of 4 samples for each of `count` held-out sessions."""
    questions = rows("heldout", count, seed)
    groups = sample_completions(model, tokenizer, [q["prompt"] for q in questions], 4, MAX_NEW_TOKENS, seed=seed)
    exact, right_type, total = 0, 0, 0
    for question, texts in zip(questions, groups, strict=True):
        true = read_action(question["action"])
        for text in texts:
            reply = read_reply(text)
            said = reply.action if reply else None
            exact += said == true
            right_type += said is not None and true is not None and said.type == true.type
            total += 1
    return {"exact": round(exact / total, 4), "type": round(right_type / total, 4)}


def main() -> None:
    """Both stages, and the accuracies as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/shopping"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sft_steps", type=int, default=300)
    parser.add_argument("--max_steps", type=int, default=60)
    args = parser.parse_args()
    start, data = args.out / "start", args.out / "sessions.jsonl"
    make_start(start, args.sft_steps, args.seed)
    Dataset.from_list(rows("train", 1024, args.seed + 1)).to_json(data)
    options = {
        "model_name_or_path": start,
        "dataset": data,
        "output_dir": args.out,
        "seed": args.seed,
        "max_steps": args.max_steps,
    }
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    trainer = build_trainer(parse_recipe(["recipes/shopping/tiny.yaml", *flags]))
    before = accuracy(trainer.model, trainer.processing_class, 100, args.seed)
    run(trainer)
    after = accuracy(trainer.model, trainer.processing_class, 100, args.seed)
    print(json.dumps({"before": before, "after": after}))


if __name__ == "__main__":
    main()
