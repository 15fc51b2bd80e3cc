"""What held-out accuracy became of, in tables: each run against its start, and runs against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from statistics import fmean
from typing import Any

from selfrl.compare.comparison_report import differences, ends_of
from selfrl.eval.statistics import difference_interval
from selfrl.report.run_data import RunData
from selfrl.tables import percent

ENDS_HEAD = ["run", "task", "measure", "start", "end", "change", "95 % over questions", "maj start → end"]
PAIRED_HEAD = ["end of one − end of another", "seeds", "points", "95 % over seeds", "95 % over questions"]
UNPAIRED = (
    "Nothing to pair: differences need finished runs of a `selfrl compare` with two arms on one probe that share two "
    "seeds, or one whose votes a final measure kept."
)


def end_rows(runs: Sequence[RunData]) -> list[list[str]]:
    """A row a run and task under [`ENDS_HEAD`], accuracies in percent: by the final measure if there is one."""
    rows = []
    for run in runs:
        probes = run.probes()
        for task in dict.fromkeys(task for task, *_ in probes):
            of_task = {key[1:]: points for key, points in probes.items() if key[0] == task}
            final = any(key[1] for key in of_task)
            for (n, is_final, kind), points in of_task.items():
                if kind != "avg" or is_final != final:
                    continue
                start, end = points[0][1], points[-1][1]
                measured = len(points) > 1
                maj = of_task.get((n, final, "maj"))
                rows.append(
                    [
                        run.folder.name + (" (control)" if run.is_control else ""),
                        task,
                        f"avg@{n}{', final measure' if final else ''}",
                        percent(start),
                        f"{percent(end)} (step {points[-1][0]})" if measured else "",
                        f"{100 * (end - start):+.1f}" if measured else "",
                        _interval_text(*(_votes(run, place) for place in (0, -1))) if measured else "",
                        (f"{percent(maj[0][1])} → {percent(maj[-1][1])}" if measured else percent(maj[0][1]))
                        if maj
                        else "",
                    ]
                )
    return rows


def paired_rows(runs: Sequence[RunData]) -> list[list[str]]:
    """A row a pair of arms on one probe under [`PAIRED_HEAD`], in points; pairs without an interval are left out.

    Over seeds the interval is that of [`selfrl.compare.comparison_report.differences`]; over questions a bootstrap of
    the difference of each question's share of right completions at the end, a mean over the seeds that both have.
    """
    probes: dict[Any, list[RunData]] = defaultdict(list)
    for run in runs:
        if run.result is not None:
            end = ends_of(run.result)[1]
            task = min((task for task, *_ in run.probes()), default="")
            probes[task, end["questions"], end["n"]].append(run)
    return [row for same in probes.values() for row in _pairs(same)]


def _pairs(runs: Sequence[RunData]) -> list[list[str]]:
    arms: dict[str, dict[int, RunData]] = defaultdict(dict)
    for run in runs:
        assert run.result is not None
        arms[run.folder.arm][run.result["seed"]] = run
    results = [{**(run.result or {}), "arm": run.folder.arm} for run in runs]
    over_seeds = {pair: (points, interval) for pair, points, interval in differences(results)}
    rows = []
    best_first = sorted(arms, key=lambda arm: -fmean(_end(run) for run in arms[arm].values()))
    for one, two in combinations(best_first, 2):
        seeds = sorted(arms[one].keys() & arms[two].keys())
        if not seeds:
            continue
        questions = _interval_text(*(_mean_votes([arms[arm][seed] for seed in seeds]) for arm in (two, one)))
        pair = f"{one} − {two}"
        if pair in over_seeds or questions:
            points = 100 * fmean(_end(arms[one][seed]) - _end(arms[two][seed]) for seed in seeds)
            rows.append([pair, str(len(seeds)), f"{points:+.1f}", over_seeds.get(pair, ("", ""))[1], questions])
    return rows


def _end(run: RunData) -> float:
    assert run.result is not None
    accuracy: float = ends_of(run.result)[1]["avg"]
    return accuracy


def _votes(run: RunData, place: int) -> dict[int, float]:
    """Each question's share of right completions at the start (0) or the end (−1); empty where that was not kept."""
    kept = (run.result or {}).get("questions") or []
    return {int(question): right for question, _, right, *_ in kept[place]["votes"]} if len(kept) > 1 else {}


def _mean_votes(runs: Sequence[RunData]) -> dict[int, float]:
    each = [_votes(run, -1) for run in runs]
    if any(votes.keys() != each[0].keys() for votes in each):
        return {}
    return {question: fmean(votes[question] for votes in each) for question in each[0]}


def _interval_text(first: dict[int, float], second: dict[int, float]) -> str:
    """The interval of second − first; empty where the two do not hold the same questions."""
    if not first or first.keys() != second.keys():
        return ""
    low, high = _interval(tuple(first.values()), tuple(second[question] for question in first))
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


@lru_cache(maxsize=1024)  # a live page asks again and again
def _interval(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, float]:
    return difference_interval(first, second)
