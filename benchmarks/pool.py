"""A pool of a million prompts: python -m benchmarks.pool.

`sample_ms`: drawing a batch of 512 by weight. `dedup_ms`: whether a prompt is a near duplicate, mean of 500.
`memory_gb`: growth of resident memory for prompts, weights and index.
"""

import gc
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from selfrl.selfplay.near_index import NearIndex
from selfrl.selfplay.pool import Entry, PromptPool
from selfrl.selfplay.selection import gumbel_top_k

PROMPTS, CHUNK, BATCH = 1_000_000, 20_000, 512
VOCABULARY = 20_000


def resident_gb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**30


def texts(rng: np.random.Generator, count: int) -> list[str]:
    """Prompts of 25 words, drawn as often as words of a language are."""
    ranks = np.minimum(rng.zipf(1.3, (count, 25)), VOCABULARY)
    return [" ".join(f"w{rank}" for rank in row) for row in ranks]


def main() -> None:
    rng, before = np.random.default_rng(0), resident_gb()
    pool = PromptPool()
    index = NearIndex(lambda number: pool.entries[number].text)
    started = time.perf_counter()
    for start in range(0, PROMPTS, CHUNK):
        drawn = [f"{start + i} {text}" for i, text in enumerate(texts(rng, CHUNK))]
        places = pool.add(map(Entry.of_seed, drawn))
        index.add_many(places, drawn)
    print(f"{len(pool):,} prompts in {time.perf_counter() - started:.0f} s")
    pool.weigh(range(len(pool)), rng.random(len(pool)))
    memory = resident_gb() - before
    times = []
    for _ in range(20):
        at = time.perf_counter()
        gumbel_top_k(pool.weights, BATCH, rng)
        times.append(time.perf_counter() - at)
    asked = texts(rng, 500)
    at = time.perf_counter()
    near = sum(index.near(text) is not None for text in asked)
    dedup = (time.perf_counter() - at) / len(asked)
    print(f"{near} of {len(asked)} have a near duplicate")
    figures = {"sample_ms": 1000 * statistics.median(times), "dedup_ms": 1000 * dedup, "memory_gb": memory}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
