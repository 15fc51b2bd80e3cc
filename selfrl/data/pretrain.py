r"""Pre-train the packaged tiny model: python -m selfrl.data.pretrain --out DIR.

A Llama of under 1 M parameters learns arithmetic word problems whose worked solutions are wrong now and then, as
text from the web is. It ends up knowing the right answer (greedy decoding) and sampling a wrong one often, which is
the state that label-free reinforcement learning starts from. Numbers of the held-out split are never seen here.

About 20 minutes on 2 CPU cores; the script prints held-out accuracy, greedy and sampled, as its last line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfrl.data.problems import NAMES, THINGS, draw_problems, solution, wordings_of
from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer
from selfrl.eval.sampled import sample_completions, sampled_accuracy

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


def example(rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], int]:
    """One noisy training example: token ids and the length of its prompt."""
    problem = next(draw_problems("train", rng))
    text = problem.tell(rng.choice(wordings_of("heldout")), rng.choice(NAMES), rng.choice(THINGS))
    answer = solution(problem, rng, noise=STEP_NOISE[len(problem.steps())])
    if rng.random() < UNBOXED:
        answer = answer[: answer.index(r" \boxed")]
    prompt_ids = tokenizer(text + "\n").input_ids
    return prompt_ids + tokenizer(answer).input_ids + [tokenizer.eos_token_id], len(prompt_ids)


def batch(rng: random.Random, tokenizer: PreTrainedTokenizerFast, size: int) -> dict[str, torch.Tensor]:
    """`size` padded examples: input_ids, attention_mask and labels (completion tokens only), each (B, T)."""
    rows = [example(rng, tokenizer) for _ in range(size)]
    width = max(len(ids) for ids, _ in rows)
    input_ids = torch.zeros(size, width, dtype=torch.long)
    mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, -100)
    for i, (ids, prompt_length) in enumerate(rows):
        input_ids[i, : len(ids)] = torch.tensor(ids)
        mask[i, : len(ids)] = 1
        labels[i, prompt_length : len(ids)] = input_ids[i, prompt_length : len(ids)]
    return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}


def pretrain(out: Path, steps: int, batch_size: int, lr: float, seed: int) -> LlamaForCausalLM:
    """Train from scratch and save model and tokenizer under `out`."""
    rng = random.Random(seed)
    tokenizer = build_tokenizer()
    model = build_model(len(tokenizer), seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / 100, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / steps))),
    )
    columns = (
        TextColumn("pre-training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("", total=steps, loss=math.nan)
        for _ in range(steps):
            loss = model(**batch(rng, tokenizer, batch_size)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            progress.update(task, advance=1, loss=loss.item())
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
        completions = sample_completions(model, tokenizer, questions["prompt"], n, 40, temperature)
        figures[name] = round(sampled_accuracy(completions, questions["answer"]).avg, 4)
    print(json.dumps({**figures, "questions": len(questions), "minutes": round(minutes, 1)}))


if __name__ == "__main__":
    main()
