"""Where collapsing runs end if their guard takes them back: python -m benchmarks.rollback.

Self-certainty, and a majority vote at a high rate, with `guard: rollback` and without, three seeds each
(`benchmarks/rollback.yaml`): how far below its own best held-out accuracy each ends. Half an hour on two cores;
finished runs are kept in runs/rollback/, and their figures in docs/results/guard/rollback.json.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from selfrl.compare.command import run_comparison
from selfrl.monitor.guard import ROLLBACK
from selfrl.monitor.metrics_file import read_metrics

OUT, RESULTS = Path("runs/rollback"), Path("docs/results/guard/rollback.json")


def row_of(folder: Path) -> dict[str, Any]:
    """What became of a run."""
    result = json.loads((folder / "result.json").read_text())
    curve = [point["avg"] for point in result["curve"]]
    file = folder / ROLLBACK
    return {
        "arm": result["arm"],
        "seed": result["seed"],
        "start": round(curve[0], 4),
        "best": round(max(curve), 4),
        "end": round(curve[-1], 4),
        "last_step": result["curve"][-1]["step"],
        "back_to": json.loads(file.read_text())["step"] if file.exists() else None,
        "alarms": [row["step"] for row in read_metrics(folder / "guard.jsonl")],
    }


def main() -> None:
    run_comparison("benchmarks/rollback.yaml", OUT, "python -m benchmarks.rollback")
    rows = [row_of(path.parent) for path in sorted(OUT.glob("*/seed*/result.json"))]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    table = Table("arm", "seed", "start", "best", "end", "below best", "back to", "ended at", "alarms")
    below: dict[str, float] = {}
    for row in rows:
        lost = 100 * (row["best"] - row["end"])
        below[row["arm"]] = max(below.get(row["arm"], 0.0), lost)
        figures = [f"{100 * row[name]:.1f}" for name in ("start", "best", "end")]
        ends = ["" if row["back_to"] is None else str(row["back_to"]), str(row["last_step"])]
        table.add_row(row["arm"], str(row["seed"]), *figures, f"{lost:.1f}", *ends, " ".join(map(str, row["alarms"])))
    Console(width=120).print(table)
    print(json.dumps({f"{arm}_worst_points_below_best": round(lost, 2) for arm, lost in below.items()}))


if __name__ == "__main__":
    main()
