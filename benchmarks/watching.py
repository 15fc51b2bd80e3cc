"""Share of a quickstart step that diagnostics and guard take: python -m benchmarks.watching.

Thirty steps of the quickstart's recipe with the guard that every recipe has. Timed within them: the figures of each
batch and the guard's sums, the repetition of each completion, the first agreed completions and what becomes of them,
and the records that are written for a report.
"""

import functools
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import selfrl.trainers.records as records
from selfrl.monitor.guard import CollapseGuard
from selfrl.monitor.metrics_file import read_metrics
from selfrl.monitor.records_file import RecordsFile
from selfrl.recipe import parse_recipe
from selfrl.trainers.anchors import Anchors
from selfrl.training import build_trainer

STEPS = 30
TIMED = {
    "figures": (CollapseGuard, "hear"),
    "repetition": (records, "repetition"),
    "anchors_cast": (Anchors, "_cast_anchors"),
    "anchors": (Anchors, "_anchor_figures"),
    "records_file": (RecordsFile, "hear"),
}


def timed(seconds: Counter[str], part: str, owner: Any, name: str) -> None:
    """Have a function add up its own time."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            seconds[part] += time.perf_counter() - started

    setattr(owner, name, outer)


def main() -> None:
    seconds: Counter[str] = Counter()
    for part, (owner, name) in TIMED.items():
        timed(seconds, part, owner, name)
    with tempfile.TemporaryDirectory() as out:
        flags = ["--output_dir", out, "--max_steps", str(STEPS), "--save_strategy", "no", "--logging_steps", "1"]
        build_trainer(parse_recipe(["recipes/co_rewarding/tiny.yaml", *flags])).train()
        steps = [row["step_time"] for row in read_metrics(Path(out) / "metrics.jsonl") if "step_time" in row]
    shares = {part: round(seconds[part] / sum(steps), 5) for part in TIMED}
    print(f"{STEPS} steps of {sum(steps) / STEPS:.2f} s")
    print(json.dumps({"watching_share": round(sum(seconds.values()) / sum(steps), 5), **shares}))


if __name__ == "__main__":
    main()
