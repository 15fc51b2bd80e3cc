"""Has a model seen a benchmark? It is given the first part of each question and asked for nothing but to go on.

Qwen2.5-Math-7B completes 54.6 % of MATH-500's questions from their first 60 % (2507.10532). The rate on questions with
fresh numbers shows what completing by guesswork, or by knowing the templates, reaches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from selfrl.eval.statistics import mean_interval
from selfrl.generation import Generation, Sampling
from selfrl.text import rouge_l

SHARE = 0.6
Generate = Callable[[Sequence[Any], Sampling], list[list[Generation]]]


def split(text: str, share: float = SHARE) -> tuple[str, str]:
    """The first `share` of a text's words and the rest, each without outer blanks.

    >>> split("one two three four five")
    ('one two three', 'four five')
    """
    words = list(re.finditer(r"\S+", text))
    at = words[max(round(len(words) * share), 1) - 1].end() if words else 0
    return text[:at].strip(), text[at:].strip()


def contamination(texts: Sequence[str], generate: Generate, seed: int = 0) -> dict[str, Any]:
    """How many questions a model completes word for word from their first 60 %.

    Args:
        texts: questions.
        generate: completes prompts greedily.
        seed: of the interval.

    Returns:
        `questions`, `exact` (share completed word for word) with `low` and `high`, and the mean `rouge_l` between
        the completion, cut to the length of what was left out, and that.

    Raises:
        ValueError: if no question has two words.
    """
    parts = [(first, rest) for first, rest in map(split, texts) if first and rest]
    if not parts:
        raise ValueError("Contamination cannot be probed: no question has two words.")
    said: dict[int, str] = {}
    for limit in sorted({_limit(rest) for _, rest in parts}):
        rows = [i for i, (_, rest) in enumerate(parts) if _limit(rest) == limit]
        groups = generate([parts[i][0] for i in rows], Sampling(max_tokens=limit, temperature=0.0, seed=seed))
        said |= {i: group[0].text for i, group in zip(rows, groups, strict=True) if group}
    exact = [float(_words(said[i])[: len(_words(parts[i][1]))] == _words(parts[i][1])) for i in sorted(said)]
    overlaps = [
        rouge_l(" ".join(_words(said[i])[: len(_words(parts[i][1]))]), " ".join(_words(parts[i][1])))
        for i in sorted(said)
    ]
    low, high = mean_interval(exact, seed=seed)
    return {"questions": len(exact), "exact": fmean(exact), "low": low, "high": high, "rouge_l": fmean(overlaps)}


def _limit(rest: str) -> int:
    """Tokens that the rest can take, in powers of two, so that few lengths are generated."""
    return 1 << (len(rest) // 2 + 8).bit_length()


def _words(text: str) -> list[str]:
    return text.split()
