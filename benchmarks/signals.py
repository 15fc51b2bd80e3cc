"""Cost of all token signals against the output-head product and materialised logits: python -m benchmarks.signals.

T = 1024 tokens, H = 512, V = 151,936, float32. The bare product is `hidden @ weight.T` into memory that is there
already, the fastest way to take it; the naive path materialises it and takes every signal from it.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from selfrl.signals import token_signals

TOKENS, HIDDEN, VOCABULARY, ROUNDS = 1024, 512, 151_936, 3


def naive(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    logits = hidden @ weight.T
    log_probs = logits.log_softmax(-1)
    probs = log_probs.exp()
    top = probs.topk(2, -1).values
    return {
        "log_prob": log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1),
        "entropy": -(probs * log_probs).sum(-1),
        "self_certainty": logits.logsumexp(-1) - logits.mean(-1) - torch.tensor(float(len(weight))).log(),
        "margin": top[:, 0] - top[:, 1],
    }


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def product_seconds(hidden: torch.Tensor, weight: torch.Tensor) -> float:
    logits = torch.zeros(len(hidden), len(weight))
    return seconds(lambda: torch.mm(hidden, weight.T, out=logits))


def extra_bytes(work: Callable[[], object]) -> int:
    """Peak of resident memory while `work` runs, above what was resident before, sampled each millisecond."""
    pages = Path("/proc/self/statm")
    peak = before = int(pages.read_text().split()[1])
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, int(pages.read_text().split()[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return (peak - before) * 4096


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, HIDDEN, generator=generator)
    weight = torch.randn(VOCABULARY, HIDDEN, generator=generator).div_(HIDDEN**0.5)
    targets = torch.randint(VOCABULARY, (TOKENS,), generator=generator)

    token_signals(hidden, weight[:4096], targets % 4096)  # threads and kernels are up
    memory = {
        "ours": extra_bytes(lambda: token_signals(hidden, weight, targets)),
        "naive": extra_bytes(lambda: naive(hidden, weight, targets)),
    }
    times: dict[str, list[float]] = {"product": [], "ours": [], "naive": []}
    for _ in range(ROUNDS):
        times["product"].append(product_seconds(hidden, weight))
        times["ours"].append(seconds(lambda: token_signals(hidden, weight, targets)))
        times["naive"].append(seconds(lambda: naive(hidden, weight, targets)))
    typical = {name: statistics.median(values) for name, values in times.items()}
    for name, value in typical.items():
        print(f"{name}: {value:.3f} s" + (f", {memory[name] / 2**20:.0f} MiB" if name in memory else ""))
    ratios = {
        "time_vs_gemm": typical["ours"] / typical["product"],
        "memory_vs_naive": memory["ours"] / memory["naive"],
        "time_vs_naive": typical["ours"] / typical["naive"],
    }
    print(json.dumps({name: round(value, 3) for name, value in ratios.items()}))


if __name__ == "__main__":
    main()
