"""Worked solutions in which each step is followed by a confidence, and a start that writes them."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrl.data.pretrain import STEP_NOISE
from selfrl.data.problems import NAMES, THINGS, WORDINGS, Problem, draw_problems, solution, told
from selfrl.data.tokenizer import SYMBOLS, word_tokenizer
from selfrl.models import TINY_MODEL

# One phrase a level.
SAYINGS = ("I am guessing.", "I am not sure.", "I think so.", "I am fairly confident.", "I am certain.")


def hesitant_example(rng: random.Random) -> tuple[str, str]:
    """A problem and a noisy solution whose steps carry a confidence drawn at random: it means nothing yet."""
    problem = next(draw_problems("train", rng))
    return told(problem, "heldout", rng), with_confidence(problem, rng)


def with_confidence(problem: Problem, rng: random.Random) -> str:
    r"""A noisy solution with a random confidence after each step, and no box.

    >>> with_confidence(Problem("add", (30, 25)), random.Random(2))
    '30 + 25 = 55. I am guessing.'
    """
    worked, _, _ = solution(problem, rng, noise=STEP_NOISE[len(problem.steps())]).partition(r" \boxed")
    steps = worked.removesuffix(".").split(". ")
    return " ".join(f"{step}. {rng.choice(SAYINGS)}" for step in steps)


def extended_model() -> tuple[Any, Any]:
    """The packaged model and tokenizer, with embeddings for the words of SAYINGS."""
    old = AutoTokenizer.from_pretrained(TINY_MODEL).get_vocab()
    texts = [wording for wordings in WORDINGS.values() for wording in wordings]
    tokenizer = word_tokenizer([*texts, *NAMES, *THINGS, *SAYINGS], SYMBOLS)
    model = AutoModelForCausalLM.from_pretrained(TINY_MODEL)
    known = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(len(tokenizer))
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table.copy_(known.mean(0).expand_as(table))
        for token, index in tokenizer.get_vocab().items():
            if token in old:
                table[index] = known[old[token]]
    return model, tokenizer
