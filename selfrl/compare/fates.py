"""What became of each held-out question: learned, kept, lost or still wrong, by how sure the start was of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from selfrl.tables import percent
from selfrl.terciles import TERCILES, terciles

FATES_HEAD = ["arm", "tercile", "maj start → end", "learned", "kept", "lost", "still wrong"]

Row = Sequence[float]  # question, n, right, majority_ratio, maj: see `selfrl.eval.question_votes.QuestionVote.row`


class Fates(NamedTuple):
    """What became of some questions, in shares of them; the last four sum to 1.

    Args:
        start: majority right at the start.
        end: right at the end.
        learned: wrong at the start, right at the end.
        kept: right, right.
        lost: right, wrong.
        still_wrong: wrong, wrong.
    """

    start: float
    end: float
    learned: float
    kept: float
    lost: float
    still_wrong: float


def fates(pairs: Sequence[tuple[float, float]]) -> Fates:
    """Fates of questions whose majority was right with these probabilities, at the start and at the end.

    A question that is learned was wrong and is right: (1 − start)·end, and so on, averaged over questions.

    Args:
        pairs: (start, end) of each question, each in 0..1.

    Raises:
        ValueError: for no questions.

    Example:
        >>> fates([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
        Fates(start=0.625, end=0.625, learned=0.3125, kept=0.3125, lost=0.3125, still_wrong=0.0625)
    """
    if not pairs:
        raise ValueError("Nothing became of no questions: give one at least.")
    each = [Fates(s, e, (1 - s) * e, s * e, s * (1 - e), (1 - s) * (1 - e)) for s, e in pairs]
    return _mean(each)


def run_fates(start: Sequence[Row], end: Sequence[Row]) -> dict[str, Fates]:
    """Fates of one run's questions: by tercile of its own start's majority ratio, and of all; empty parts are left out.

    Args:
        start: rows of [`selfrl.eval.question_votes.QuestionVote`].
        end: rows of the same questions.

    Raises:
        ValueError: for other questions at the end than at the start, or none.

    Example:
        >>> found = run_fates([[0, 8, 0.5, 0.5, 1.0]], [[0, 8, 0.25, 0.5, 0.0]])
        >>> list(found), found["all"].lost
        (['high', 'all'], 1.0)
    """
    ratios = {int(question): ratio for question, _, _, ratio, _ in start}
    before, after = ({int(question): maj for question, _, _, _, maj in rows} for rows in (start, end))
    if before.keys() != after.keys():
        raise ValueError("A run voted on other questions at the end than at the start: their fates are not known.")
    parts = {**dict(zip(TERCILES, terciles(ratios), strict=True)), "all": list(ratios)}
    return {name: fates([(before[q], after[q]) for q in part]) for name, part in parts.items() if part or name == "all"}


def followed(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results that hold each question's vote at both ends: those of runs with a final measure, since it is kept."""
    return [result for result in results if len(result.get("questions", ())) > 1]


def fate_rows(results: Sequence[dict[str, Any]], arms: Sequence[str]) -> list[list[str]]:
    """Rows under [`FATES_HEAD`] in percent of each tercile's questions: means over an arm's seeds.

    Args:
        results: of finished runs; those without votes do not count.
        arms: in the order that they are to stand in; an arm without votes has no rows.
    """
    rows = []
    for arm in arms:
        runs = [result["questions"] for result in followed(results) if result["arm"] == arm]
        each = [run_fates(points[0]["votes"], points[-1]["votes"]) for points in runs]
        for name in (*TERCILES, "all"):
            found = [run[name] for run in each if name in run]
            if found:
                start, end, *shares = map(percent, _mean(found))
                rows.append([arm, name, f"{start} → {end}", *shares])
    return rows


def fates_note(results: Sequence[dict[str, Any]]) -> str:
    """What the rows of such results say."""
    kept = followed(results)
    votes = kept[0]["questions"][0]["votes"]
    some = "" if len(kept) == len(results) else f"; {len(kept)} of {len(results)} runs kept the votes"
    return (
        f"What became of {len(votes)} questions by the majority of {votes[0][1]} completions, in percent of each "
        f"tercile of the majority ratio at the run's start{some}."
    )


def _mean(several: Sequence[Fates]) -> Fates:
    return Fates(*map(fmean, zip(*several, strict=True)))
