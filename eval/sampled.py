"""avg@n and maj@n of a model in memory, over the same answer keys as training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfrl.answers import answer_key, canonical_key, vote
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.protocol import Sampling


@dataclass(frozen=True)
class SampledAccuracy:
    """Accuracy over questions, in 0..1.

    Args:
        avg: avg@n, the share of right completions, averaged over questions.
        stderr: standard error of `avg` over questions.
        maj: maj@n, the share of questions whose majority answer is right; a tie goes to the first seen.
        no_answer: share of completions without an extractable answer; they count as wrong.
        length: mean characters a completion.
        questions: number of questions.
        n: completions a question.
    """

    avg: float
    stderr: float
    maj: float
    no_answer: float
    length: float
    questions: int
    n: int


def sampled_accuracy(completions: Sequence[Sequence[str]], answers: Sequence[str]) -> SampledAccuracy:
    r"""Grade n completions a question by the equality of canonical keys.

    Raises:
        ValueError: for no questions, unequal counts, or a gold answer without a key.

    Example:
        >>> result = sampled_accuracy([[r"\boxed{1/2}", r"\boxed{0.5}", r"\boxed{3}"]], ["0.5"])
        >>> round(result.avg, 3), result.maj
        (0.667, 1.0)
    """
    if not answers or len(completions) != len(answers):
        raise ValueError(f"{len(completions)} groups of completions for {len(answers)} answers: give one each.")
    gold = [canonical_key(answer) for answer in answers]
    for answer, key in zip(answers, gold, strict=True):
        if key is None:
            raise ValueError(f"The gold answer {answer!r} has no canonical key: mend the data set.")
    keys = [[answer_key(text) for text in group] for group in completions]
    right = [sum(k == g for k in group) / len(group) for group, g in zip(keys, gold, strict=True)]
    mean = sum(right) / len(right)
    variance = sum((r - mean) ** 2 for r in right) / max(len(right) - 1, 1)
    texts = [text for group in completions for text in group]
    return SampledAccuracy(
        avg=mean,
        stderr=math.sqrt(variance / len(right)),
        maj=sum(vote(group) == g for group, g in zip(keys, gold, strict=True)) / len(gold),
        no_answer=sum(k is None for group in keys for k in group) / len(texts),
        length=sum(map(len, texts)) / len(texts),
        questions=len(gold),
        n=len(completions[0]),
    )


def sample_completions(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    n: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[list[str]]:
    """n completions of each prompt by a model in memory, as texts; temperature 0 is greedy."""
    sampling = Sampling(max_tokens=max_new_tokens, temperature=temperature, n=n, seed=seed)
    groups = TransformersGenerator(model, tokenizer).generate(prompts, sampling)
    return [[generation.text for generation in group] for group in groups]
