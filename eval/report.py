"""The table of an evaluation, on the screen and in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from selfrl.tables import escaped_table, percent, wrapping_table

HEAD = ["task", "asked", "avg@n", "95 %", "any form", "maj@n", "pass@n", "no answer", "cut off", "tokens"]


def score_row(name: str, entry: dict[str, Any]) -> list[str]:
    """A task's row of the table."""
    scores = entry["scores"]
    n = scores["n"]
    best = scores["pass_at"].get(str(n), scores["pass_at"].get(n))
    return [
        name,
        f"{scores['questions']} x {n}",
        percent(scores["avg"]),
        f"{percent(scores['low'])}–{percent(scores['high'])}",
        percent(scores["flexible"]),
        percent(scores["maj"]) if n > 1 else "",
        percent(best) if best is not None else "",
        percent(scores["no_answer"]),
        percent(scores["truncated"]),
        f"{scores['tokens']:.0f}",
    ]


def harness_row(row: dict[str, Any]) -> list[str]:
    """A row of a harness in the same table; what is no share, as a perplexity, stands as it is.

    >>> harness_row({"task": "ifeval", "metric": "acc", "value": 0.5, "stderr": 0.05, "questions": 100})[:4]
    ['lm_eval:ifeval acc', '100', '50.0', '40.2–59.8']
    """
    value, error = row["value"], row["stderr"]
    share = 0 <= value <= 1
    interval = f"{percent(value - 1.96 * error)}–{percent(value + 1.96 * error)}" if share and error is not None else ""
    cells = [
        f"{row.get('harness', 'lm_eval')}:{row['task']} {row['metric']}",
        str(row["questions"] or ""),
        percent(value) if share else f"{value:.3f}",
        interval,
    ]
    return cells + [""] * (len(HEAD) - len(cells))


def remarks(results: dict[str, Any]) -> list[str]:
    """What a reader must know beside the table."""
    found = [*results.get("remarks", []), *results.get("without_completions", {}).values()]
    for name, entry in results["tasks"].items():
        scores = entry["scores"]
        if scores["failed"]:
            found.append(
                f"{name}: {scores['failed']} questions got no completion and are left out: too long, or refused."
            )
        if entry["ungradable"]:
            found.append(
                f"{name}: {entry['ungradable']} questions are left out: no question, or a gold answer that is missing "
                "or cannot be read."
            )
        if scores["undecided"]:
            found.append(
                f"{name}: {percent(scores['undecided'])} % of the answers could not be graded safely and count as "
                "not right."
            )
        if scores["flexible"] - scores["avg"] > 0.05:
            found.append(
                f"{name}: {percent(scores['flexible'] - scores['avg'])} points more in any form than in the form asked "
                "for; a gain in avg@n may be one of form."
            )
        if scores["truncated"] > 0.05:
            found.append(f"{name}: {percent(scores['truncated'])} % of the completions were cut off; raise max_tokens.")
    return found


def print_report(results: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    for title, head, rows in tables(results):
        console.print(wrapping_table(head, rows, title))
    for remark in remarks(results):
        # those of the evaluation hold commands, which are copied whole
        console.print(remark, soft_wrap=remark in results.get("remarks", []))


def write_report(out: Path, results: dict[str, Any]) -> None:
    """Write `report.md`."""
    lines = [
        f"# {results['model']}",
        "",
        f"{results['created']}, back end {results['backend']}, seed {results['seed']}",
    ]
    for title, head, rows in tables(results):
        lines += ["", f"## {title}", "", *escaped_table(head, rows)]
    lines += ["", *(f"- {remark}" for remark in remarks(results))]
    lines += [
        "",
        "Accuracies in percent; intervals by a bootstrap over questions. Samples: [samples.html](samples.html).",
    ]
    (out / "report.md").write_text("\n".join(lines) + "\n")


def tables(results: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each table that the results have."""
    rows = [score_row(name, entry) for name, entry in results["tasks"].items()]
    rows += [harness_row(row) for row in results.get("harness", [])]
    found = [("Accuracy", HEAD, rows)]
    if results.get("contamination"):
        head = ["task", "questions", "completed exactly", "95 %", "mean ROUGE-L"]
        rows = [
            [
                name,
                str(probe["questions"]),
                percent(probe["exact"]),
                f"{percent(probe['low'])}–{percent(probe['high'])}",
                f"{probe['rouge_l']:.2f}",
            ]
            for name, probe in results["contamination"].items()
        ]
        found.append(("Contamination: questions completed from their first 60 %", head, rows))
    if results.get("calibration"):
        head = ["task", "signal", "completions", "AUROC", "ECE"]
        rows = [
            [r["task"], r["signal"], str(r["completions"]), _number(r["auroc"]), _number(r["ece"])]
            for r in results["calibration"]
        ]
        found.append(("Do label-free signals predict correctness?", head, rows))
    if results.get("consistency"):
        head = ["task", "judge", "judged", "supported", "± 1 s.e.", "of right", "of wrong", "supports none"]
        rows = [
            [
                name,
                str(entry["judge"]),
                str(entry["judged"]),
                percent(entry["rac"]),
                percent(entry["error"]),
                *("" if entry[kind] is None else percent(entry[kind]) for kind in ("right", "wrong")),
                percent(entry["none"]),
            ]
            for name, entry in results["consistency"].items()
        ]
        found.append(("Does the reasoning support the answer?", head, rows))
    return found


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""
