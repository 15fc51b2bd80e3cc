"""Rollouts that read a prompt once and drop ended rows, against transformers' own: python -m benchmarks.rollouts.

The packaged tiny model on its problems, and an untrained model of SmolLM2-135M's shape on prompts of 150 tokens, as
five shots have, where one token in twenty ends a completion. Eight prompts with eight completions each; seconds of the
process (CPU), in turns.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from benchmarks.plan import SHAPE_135M
from selfrl.data.tiny import tiny_problems
from selfrl.generation.lean import lean_generate
from selfrl.models import TINY_MODEL

PROMPTS, COPIES = 8, 8


def ratio(model: Any, ids: torch.Tensor, mask: torch.Tensor, config: GenerationConfig, turns: int) -> float:
    """Seconds of lean generation over those of `generate`."""
    ways: dict[str, Callable[[], Any]] = {
        "plain": partial(model.generate, input_ids=ids, attention_mask=mask, generation_config=config),
        "lean": partial(lean_generate, model.generate, ids, mask, config),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in list(ways) if turn % 2 else list(ways)[::-1]:
            torch.manual_seed(turn)
            started = time.process_time()
            ways[name]()
            seconds[name].append(time.process_time() - started)
    return statistics.median(seconds["lean"]) / statistics.median(seconds["plain"])


def tiny() -> float:
    tokenizer = AutoTokenizer.from_pretrained(TINY_MODEL, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL).eval()
    texts = [text for text in tiny_problems("train", PROMPTS)["prompt"] for _ in range(COPIES)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    config = GenerationConfig(
        max_new_tokens=96, do_sample=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return ratio(model, inputs["input_ids"], inputs["attention_mask"], config, turns=6)


def of_135m() -> float:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=49152, **SHAPE_135M)).eval()
    ids = torch.randint(100, 49152, (PROMPTS, 150)).repeat_interleave(COPIES, 0)
    ends = list(range(0, 49152, 20))
    config = GenerationConfig(max_new_tokens=64, do_sample=True, top_k=0, eos_token_id=ends, pad_token_id=0)
    return ratio(model, ids, torch.ones_like(ids), config, turns=2)


def main() -> None:
    print(json.dumps({"rollouts_tiny": round(tiny(), 3), "rollouts_135m": round(of_135m(), 3)}))


if __name__ == "__main__":
    main()
