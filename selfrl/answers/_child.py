"""The grading child: parses and compares keys with math-verify, and may be killed at any time.

Reads one JSON request a line, `{"keys": [...], "budget_s": 1.0}`, and answers with a line before each operation
("parse i" or "compare i j", so that the parent knows what hangs) and one JSON line `{"labels": [...]}` at the end:
each key's cluster, the index of the first key that equals it, or -1 if it could not be parsed.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from functools import lru_cache
from typing import Any

from selfrl.answers.canonical import brackets

MEMORY_BYTES = 4 << 30
POINTS = 2
TOLERANCE = 1e-6
# The parser builds its tables as it meets new forms, at ten times the cost of the next one like it.
WARM_UP = (
    r"\frac{x+1}{2}-\sqrt{3}",
    r"-2x^{2}(a-b)\cdot e^{2y}+4",
    r"\frac{1}{\sqrt{n}}\pi/4",
    r"\ln 2+\sin x",
    r"3i+4",
    r"2^{n+1}\cdot 5",
    "(1,2]",
    r"\{1,2\}",
    "y=3x+5",
    r"(-\infty,1)\cup(2,3)",
)


def main() -> None:
    """Serve requests until the parent goes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for key in WARM_UP:
        parse(key)
    equal(parse("x"), parse("y"))
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        labels = cluster(request["keys"], time.monotonic() + request["budget_s"])
        print(json.dumps({"labels": labels}), flush=True)


def cluster(keys: list[str], deadline: float) -> list[int]:
    """Greedy clustering in order: each key joins the first earlier cluster whose first key it equals."""
    labels: list[int] = []
    leaders: list[tuple[int, Any, tuple[complex, ...] | None]] = []
    for i, key in enumerate(keys):
        print(f"parse {i}", flush=True)
        parsed = parse(key) if time.monotonic() < deadline else ()
        if not parsed:
            labels.append(-1)
            continue
        mark = fingerprint(key)
        for leader, other, other_mark in leaders:
            if time.monotonic() > deadline:
                break
            if mark is not None and other_mark is not None and not close(mark, other_mark):
                continue
            if brackets(key) and brackets(keys[leader]) and brackets(key) != brackets(keys[leader]):
                continue
            print(f"compare {leader} {i}", flush=True)
            if equal(other, parsed):
                labels.append(leader)
                break
        if len(labels) == i:
            labels.append(i)
            leaders.append((i, parsed, mark))
    return labels


@lru_cache(maxsize=4096)
def parse(key: str) -> tuple[Any, ...]:
    """math-verify's reading of a key, or nothing. Only LaTeX: its plain-expression reader evaluates text."""
    from math_verify import LatexExtractionConfig, parse

    try:
        found = parse(f"${key}$", [LatexExtractionConfig()], parsing_timeout=None, raise_on_error=False)
    except (RecursionError, MemoryError):
        return ()
    return tuple(found)


def equal(gold: tuple[Any, ...], answer: tuple[Any, ...]) -> bool:
    """math-verify's equality of two parsed keys."""
    from math_verify import verify

    try:
        return bool(verify(list(gold), list(answer), timeout_seconds=None, raise_on_error=False))
    except (RecursionError, MemoryError):
        return False


@lru_cache(maxsize=4096)
def fingerprint(key: str) -> tuple[complex, ...] | None:
    """Values of an expression at fixed points of its symbols; None for what is no finite expression."""
    import sympy

    expression = parse(key)[0]
    if not isinstance(expression, sympy.Expr):
        return None
    try:
        symbols = sorted(expression.free_symbols, key=str)
        if len(symbols) > 8:
            return None
        values = []
        for point in range(POINTS):
            # a symbol's value depends on its name alone, so that x is the same in every key
            subs = {s: sympy.Float(0.5 + random.Random(f"{s}-{point}").random()) for s in symbols}
            values.append(complex(expression.evalf(n=15, subs=subs)))
    except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError):
        return None
    finite = all(v == v and abs(v) < 1e300 for v in values)
    return tuple(values) if finite else None


def close(a: tuple[complex, ...], b: tuple[complex, ...]) -> bool:
    """Whether two fingerprints could belong to equal expressions."""
    return all(abs(x - y) <= TOLERANCE * max(1.0, abs(x), abs(y)) for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    main()
