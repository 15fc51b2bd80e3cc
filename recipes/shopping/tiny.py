"""Shop-R1 (2507.17842) on a tiny model, both stages, in minutes on a CPU.

    python -m selfrl.recipes.shopping.tiny

Stage 1 trains a model of 0.9 M parameters from scratch on shopping sessions whose action is wrong every third time.
Stage 2 is GRPO with the recipe beside this file. The last line is JSON: the share of sampled replies to held-out
sessions whose action is exactly right, and of the right type, before and after stage 2.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from selfrl.data.pretrain import build_model
from selfrl.data.tokenizer import word_tokenizer
from selfrl.generation import Sampling
from selfrl.generation.hf import sample_texts
from selfrl.recipes.shopping.sessions import SYMBOLS, WORDS, noisy_action, rows, sessions
from selfrl.recipes.two_stages import main, save_start
from selfrl.rewards.shopping_actions import read_action, read_reply

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

    save_start(folder, model, tokenizer, draw, steps, lr=3e-3)


def accuracy(model: Any, tokenizer: Any, count: int, seed: int) -> dict[str, float]:
    """Exact and type accuracy of 4 samples for each of `count` held-out sessions."""
    questions = rows("heldout", count, seed)
    groups = sample_texts(model, tokenizer, [q["prompt"] for q in questions], Sampling(MAX_NEW_TOKENS, n=4, seed=seed))
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


def training_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Sessions that stage 1 has not seen in this order."""
    return rows("train", count, seed + 1)


if __name__ == "__main__":
    main("shopping", __doc__, make_start, training_rows, accuracy)
