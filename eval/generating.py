"""Completions for a list of prompts: from the cache where they are, from the model where they are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from selfrl.eval.cache import GenerationCache, request_hash
from selfrl.generation import Generation, Generator, Prompt, Sampling, seed_of

CHUNK = 512  # completions between two saves


def generate_cached(
    prompts: Sequence[Prompt],
    sampling: Sampling,
    generator: Callable[[], Generator],
    cache: GenerationCache,
    model: str,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> list[list[Generation]]:
    """`sampling.n` completions a prompt; equal prompts share theirs.

    Prompts are taken in chunks of similar length that do not depend on what is cached, and each chunk has a seed of
    its own, so a run that was killed gives what it would have given.

    Args:
        prompts: what to ask.
        sampling: how.
        generator: opens the back end; called only if something is missing.
        cache: where completions are kept; a failed request is not, so it is tried again next time.
        model: identity of model and back end.
        on_chunk: told how many prompts are done.
    """
    hashes = [request_hash(model, prompt, sampling) for prompt in prompts]
    keys = dict(zip(hashes, prompts, strict=True))
    order = sorted(keys, key=lambda key: (len(shown(keys[key])), key))
    size = max(CHUNK // sampling.n, 1)
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        there = {key: len(cache.get(key, sampling.n)) for key in chunk}
        # those that lack as many are asked together
        for count in sorted(set(there.values()) - {sampling.n}):
            missing = [key for key in chunk if there[key] == count]
            asked = replace(sampling, n=sampling.n - count, seed=_seed(sampling.seed, missing[0], count))
            groups = generator().generate([keys[key] for key in missing], asked)
            cache.add([(key, count, group) for key, group in zip(missing, groups, strict=True)])
        on_chunk(min(start + size, len(order)))
    return [cache.get(key, sampling.n) for key in hashes]


def shown(prompt: Prompt) -> str:
    """A prompt as JSON, with a mark where a picture stands.

    >>> shown([{"role": "user", "content": "2+2?"}])
    '[{"role": "user", "content": "2+2?"}]'
    """
    return prompt if isinstance(prompt, str) else json.dumps(prompt, default=lambda picture: "picture")


def _seed(seed: int | None, key: str, count: int) -> int | None:
    return None if seed is None else seed_of(seed, key, count)
