"""The cost of a vote: python -m benchmarks.voting.

Numeric: 64 completions a prompt whose answers are written numbers; the time from keys to the winner. Symbolic: 64
completions in 24 clusters of several spellings; the time from texts to merged keys, against greedy clustering with
math-verify's parse and verify for every comparison.
"""

import json
import random
import statistics
import time

from math_verify import parse, verify

from selfrl.answers import answer_key, merge_keys, vote
from selfrl.answers._child import WARM_UP

SPELLINGS = [
    [r"\frac{\sqrt{3}}{2}", r"\frac{1}{2}\sqrt{3}", r"\sqrt{3}/2"],
    [r"x^2+2x+1", r"(x+1)^2", r"1+2x+x^2"],
    [r"2\sqrt{2}", r"\sqrt{8}", r"2 \cdot \sqrt{2}"],
    [r"\frac{\pi}{4}", r"\pi/4", r"\frac{1}{4}\pi"],
    [r"(a+b)(a-b)", r"a^2-b^2", r"-(b^2-a^2)"],
    [r"\frac{x+1}{2}", r"\frac{x}{2}+\frac{1}{2}", r"(x+1)/2"],
    [r"3+4i", r"4i+3"],
    [r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"],
    [r"e^{2x}", r"(e^{x})^2"],
    [r"\ln 8", r"3\ln 2"],
    [r"6x^2-x-2", r"(2x+1)(3x-2)"],
    [r"\sqrt{12}+1", r"1+2\sqrt{3}"],
    [r"\frac{2\pi}{3}", r"2\pi/3"],
    [r"5\sqrt{5}", r"\sqrt{125}"],
    [r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"],
    [r"x^3-1", r"(x-1)(x^2+x+1)"],
    [r"10-3\sqrt{7}", r"-3\sqrt{7}+10"],
    [r"\frac{a}{b}+1", r"\frac{a+b}{b}"],
    [r"4\pi r^2", r"\pi (2r)^2"],
    [r"\frac{7}{\sqrt{7}}", r"\sqrt{7}"],
    [r"2^{n+1}", r"2\cdot 2^n"],
    [r"y-3x", r"-3x+y"],
    [r"\frac{1}{x-1}", r"-\frac{1}{1-x}"],
    [r"11\sqrt{2}", r"\sqrt{242}"],
]


def numeric_p99_ms(rng: random.Random, prompts: int = 500) -> float:
    """99th percentile over prompts of the vote over 64 numeric keys, in milliseconds."""
    times = []
    for _ in range(prompts):
        value = rng.randint(1, 999)
        forms = [str(value), f"{value}.0", rf"\frac{{{2 * value}}}{{2}}", str(value + rng.randint(1, 9))]
        keys = [answer_key(rf"thus \boxed{{{rng.choice(forms)}}}") for _ in range(64)]
        started = time.perf_counter()
        vote(merge_keys(keys))
        times.append(1000 * (time.perf_counter() - started))
    return statistics.quantiles(times, n=100)[98]


def pairwise_clusters(texts: list[str]) -> list[int]:
    """Greedy clustering, parsing and verifying at each comparison."""
    leaders: list[int] = []
    labels = []
    for i, text in enumerate(texts):
        for leader in leaders:
            if verify(parse(texts[leader]), parse(text)):
                labels.append(leader)
                break
        else:
            leaders.append(i)
            labels.append(i)
    return labels


def main() -> None:
    rng = random.Random(0)
    numeric = numeric_p99_ms(rng)
    print(f"numeric: 64 completions, 500 prompts: p99 {numeric:.3f} ms")

    texts = [forms[0] for forms in SPELLINGS] + [rng.choice(rng.choice(SPELLINGS)) for _ in range(64 - len(SPELLINGS))]
    rng.shuffle(texts)
    completions = [rf"So the answer is \boxed{{{text}}}." for text in texts]

    started = time.perf_counter()
    merge_keys([r"\sqrt{2}", r"\sqrt{3}"])
    print(f"cold start of the grading child: {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    merged = merge_keys([answer_key(text) for text in completions])
    symbolic = time.perf_counter() - started
    truth = [next(i for i, forms in enumerate(SPELLINGS) if text in forms) for text in texts]
    found = [merged.index(key) for key in merged]
    assert found == [truth.index(cluster) for cluster in truth], "the clusters are wrong"
    print(f"symbolic: 64 completions, {len(set(merged))} clusters found: {symbolic:.3f} s")

    for key in WARM_UP:  # as the grading child does
        verify(parse(f"${key}$"), parse("$x+1$"))
    started = time.perf_counter()
    labels = pairwise_clusters([f"${text}$" for text in texts])
    pairwise = time.perf_counter() - started
    print(f"pairwise math-verify: {len(set(labels))} clusters, {pairwise:.2f} s")
    figures = {
        "numeric_p99_ms": round(numeric, 4),
        "symbolic_s": round(symbolic, 3),
        "speedup_vs_pairwise": round(pairwise / symbolic, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
