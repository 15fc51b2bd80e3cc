"""Compare two evaluations question by question."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from selfrl.eval.consistency import Consistency, has_fallen
from selfrl.eval.results import question_scores, question_texts, read_results
from selfrl.eval.statistics import difference_interval, paired_test


@dataclass(frozen=True)
class Flip:
    """A question on which two models differ.

    Args:
        question: its id.
        text: the question.
        first: share of right completions of the first model.
        second: of the second.
    """

    question: int
    text: str
    first: float
    second: float


@dataclass(frozen=True)
class TaskComparison:
    """Two models on one task.

    Args:
        task: its name.
        questions: how many both answered.
        first: avg@n of the first model on them.
        second: of the second.
        low: lower end of the 95 % interval of `second − first`, over questions.
        high: upper end.
        p_value: of the exact paired sign-flip test, two-sided, mid-p.
        better: questions on which the second does better.
        worse: on which it does worse.
        flips: the questions that differ, the largest change first.
    """

    task: str
    questions: int
    first: float
    second: float
    low: float
    high: float
    p_value: float
    better: int
    worse: int
    flips: list[Flip]


def compare(first: str | Path, second: str | Path) -> list[TaskComparison]:
    """Compare the tasks that two folders of `selfrl eval` share.

    Args:
        first: folder of the one evaluation.
        second: folder of the other.

    Returns:
        the tasks whose version and questions are the same in both, see [`differing`].

    Raises:
        ValueError: for a folder without results, or no such task.
    """
    folders = Path(first), Path(second)
    tasks = [read_results(folder)["tasks"] for folder in folders]
    differ = differing(*folders)
    common = [name for name in tasks[0] if name in tasks[1] and name not in differ]
    if not common:
        raise ValueError(
            f"{first} and {second} have no task with the same questions: evaluate both with the same tasks, data, "
            "limit and data seed."
        )
    return [_compare_task(name, *folders) for name in common]


def differing(first: Path, second: Path) -> list[str]:
    """Tasks that both have, but with another version or other questions, so that they cannot be compared."""
    tasks = [read_results(folder)["tasks"] for folder in (first, second)]
    return [
        name
        for name, entry in tasks[0].items()
        if name in tasks[1] and any(entry[key] != tasks[1][name][key] for key in ("version", "data_hash"))
    ]


def inconsistent(first: Path, second: Path) -> list[str]:
    """Tasks whose accuracy rose while their reasoning came to support its answers less, by the same judge."""
    found = [read_results(folder) for folder in (first, second)]
    before, after = (results.get("consistency", {}) for results in found)
    alarms = []
    for name in before.keys() & after.keys():
        judges = {side[name]["judge"] for side in (before, after)}
        figures = [Consistency(**{k: v for k, v in side[name].items() if k != "judge"}) for side in (before, after)]
        rose = found[1]["tasks"][name]["scores"]["avg"] > found[0]["tasks"][name]["scores"]["avg"]
        if len(judges) == 1 and rose and has_fallen(*figures):
            alarms.append(name)
    return sorted(alarms)


def _compare_task(task: str, first: Path, second: Path) -> TaskComparison:
    verdicts = question_scores(first, task), question_scores(second, task)
    shared = sorted(verdicts[0].keys() & verdicts[1].keys())
    before, after = ([fmean(side[q]) for q in shared] for side in verdicts)
    samples = math.lcm(*(len(side[q]) for side in verdicts for q in shared))
    low, high = difference_interval(before, after)
    changed = [i for i in range(len(shared)) if before[i] != after[i]]
    texts = question_texts(first, task, [shared[i] for i in changed])
    flips = [Flip(shared[i], texts[shared[i]], before[i], after[i]) for i in changed]
    return TaskComparison(
        task=task,
        questions=len(shared),
        first=fmean(before),
        second=fmean(after),
        low=low,
        high=high,
        p_value=paired_test(before, after, samples),
        better=sum(flip.second > flip.first for flip in flips),
        worse=sum(flip.second < flip.first for flip in flips),
        flips=sorted(flips, key=lambda flip: -abs(flip.second - flip.first)),
    )
