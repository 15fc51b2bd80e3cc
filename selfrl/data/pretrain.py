r"""Pre-train the packaged tiny model: python -m selfrl.data.pretrain --out DIR.

A Llama of under 1 M parameters learns arithmetic word problems whose worked solutions are wrong now and then, as
text from the web is. It ends up knowing the right answer (greedy decoding) and sampling a wrong one often, which is
the state that label-free reinforcement learning starts from. Numbers of the held-out split are never seen here.

About 20 minutes on 2 CPU cores; the script prints held-out accuracy, greedy and sampled, as its last line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from selfrl.answers import answer_key
from selfrl.data.finetune import Example, finetune
from selfrl.data.problems import draw_problems, solution, told
from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer
from selfrl.generation import Sampling
from selfrl.generation.hf import sample_texts

STEP_NOISE = {
    1: 0.30,
    2: 0.17,
}  # chance that one sum goes wrong, by the number of sums: 30 % of solutions in all
UNBOXED = 0.04  # share of solutions that stop without a boxed answer


def build_model(vocab_size: int, seed: int) -> LlamaForCausalLM:
    """A fresh Llama with 0.9 M parameters."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
    )


def example(rng: random.Random) -> Example:
    """One noisy training example: a problem and its worked solution."""
    problem = next(draw_problems("train", rng))
    prompt = told(problem, "heldout", rng)  # every wording; the numbers are what is held out
    answer = solution(problem, rng, noise=STEP_NOISE[len(problem.steps())])
    if rng.random() < UNBOXED:
        answer = answer[: answer.index(r" \boxed")]
    return prompt, answer


def pretrain(out: Path, steps: int, batch_size: int, lr: float, seed: int) -> LlamaForCausalLM:
    """Train from scratch and save model and tokenizer under `out`."""
    rng = random.Random(seed)
    tokenizer = build_tokenizer()
    model = build_model(len(tokenizer), seed)
    finetune(model, tokenizer, lambda: example(rng), steps, batch_size, lr, warmup=100)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return model


def main() -> None:
    """Pre-train, save, and print held-out accuracy as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for model and tokenizer")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started = time.perf_counter()
    model = pretrain(args.out, args.steps, batch_size=256, lr=3e-3, seed=args.seed)
    minutes = (time.perf_counter() - started) / 60
    questions, tokenizer = tiny_problems("heldout", 250, seed=1), build_tokenizer()
    figures = {}
    for name, n, temperature in (("greedy", 1, 0.0), ("sampled", 8, 1.0)):
        groups = sample_texts(model, tokenizer, questions["prompt"], Sampling(40, temperature, n=n, seed=0))
        right = [
            answer_key(text) == gold for gold, group in zip(questions["answer"], groups, strict=True) for text in group
        ]
        figures[name] = round(sum(right) / len(right), 4)
    print(json.dumps({**figures, "questions": len(questions), "minutes": round(minutes, 1)}))


if __name__ == "__main__":
    main()
