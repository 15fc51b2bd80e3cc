"""The reward of pretext tasks: does the completion give the answer that the data was changed to have?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from statistics import fmean
from typing import Any, Literal

from selfrl.answers.extract import boxed
from selfrl.distributed import gathered
from selfrl.group_record import GroupVote
from selfrl.rewards.contract import BaseReward, Batch, Metrics, Scores, groups_of
from selfrl.rewards.graph import GRAPH_TASKS
from selfrl.rewards.pretext_answers import tagged
from selfrl.rewards.pretext_task import CREDITS, Credit, PretextTask
from selfrl.rewards.vision import PICTURE_TASKS
from selfrl.suggest import refuse_unknown

TASKS: dict[str, type[PretextTask]] = {**PICTURE_TASKS, **GRAPH_TASKS}


@cache
def task_of(spec: str) -> PretextTask:
    """The task of a row, from its column `task`: a name, or JSON as [`PretextTask.spec`] writes it.

    Raises:
        ValueError: for an unknown task, or options that it does not take.

    Example:
        >>> task_of("jigsaw").chance, task_of('{"task": "rotation", "step": 45}').chance
        (0.041666666666666664, 0.125)
    """
    options = {"task": spec}
    if spec.lstrip().startswith("{"):
        try:
            options = json.loads(spec)
        except json.JSONDecodeError as error:
            raise ValueError(f"The column `task` holds {spec!r}, which is no JSON ({error}).") from error
    name = options.pop("task", None)
    refuse_unknown("pretext task", str(name), TASKS, "in the column `task`")
    kind = TASKS[str(name)]
    for option in options:
        refuse_unknown("option", option, kind.options(), f"of the pretext task {name}")
    return kind(**options)


class PretextReward(BaseReward):
    r"""r_i = the task's score of the answer in the completion, from 0 to 1: SSL4RL (2510.16416) and relatives.

    Works for every task of [`TASKS`], mixed in one data set or not: each row names its own. The answer is what stands
    in the last complete pair of tags, and must be a possible one: whole degrees, a permutation, one of the words.
    Anything else is 0, and so is a completion without the tags.

    Logged for each task: `TASK/right` (share of right answers), `TASK/over_chance` (the same, as the part of the way
    from chance to 1), `TASK/no_tag` and `TASK/no_answer` (tags that hold no possible answer).

    Never abstains.

    Args:
        credit: what an order that is not right as a whole earns in a jigsaw, see
            [`selfrl.rewards.vision.Jigsaw.score`]; "graded" helps where "exact" learns nothing, from 3x3 on.
        answer_in: "tag", or "box" for `\boxed{}` (Visual Jigsaw).

    Raises:
        ValueError: for another `credit` or `answer_in`; in a call, for an unknown task.

    Example:
        >>> said = ["<answer>90°</answer>", "<answer>180</answer>", "90"]
        >>> PretextReward()(["?"] * 3, said, task=["rotation"] * 3, answer=["90"] * 3)
        [1.0, 0.0, 0.0]
    """

    columns = ("task", "answer")

    def __init__(self, credit: Credit = "graded", answer_in: Literal["tag", "box"] = "tag") -> None:
        if credit not in CREDITS:
            raise ValueError(f"PretextReward has credit {credit!r}: choose one of {', '.join(CREDITS)}.")
        if answer_in not in ("tag", "box"):
            raise ValueError(f"PretextReward has answer_in {answer_in!r}: choose tag or box.")
        self.credit, self.find = credit, tagged if answer_in == "tag" else boxed

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        tasks = [task_of(spec) for spec in batch.column("task")]
        said = [self.find(text) for text in batch.texts]
        answers = [None if s is None else task.read(s) for task, s in zip(tasks, said, strict=True)]
        golds = batch.column("answer")
        tell(batch, answers, [str(gold) for gold in golds])
        rewards = [
            0.0 if answer is None else task.score(answer, str(gold), self.credit)
            for task, answer, gold in zip(tasks, answers, golds, strict=True)
        ]
        return Scores(list(rewards), task_figures(tasks, said, answers, golds), {"answer": answers})


def tell(batch: Batch, answers: Sequence[str | None], golds: Sequence[str]) -> None:
    """Tell the trainer's records what was answered in each group, over all processes: no vote decides, the data do."""
    if batch.records is None:
        return
    members, _ = gathered(list(zip(batch.prompt_ids, answers, golds, strict=True)))
    groups = groups_of([name for name, *_ in members])
    batch.records.cast(
        [GroupVote(rows, tuple(members[i][1] for i in rows), members[rows[0]][2], True) for rows in groups]
    )


def task_figures(
    tasks: Sequence[PretextTask], said: Sequence[str | None], answers: Sequence[str | None], golds: Sequence[Any]
) -> Metrics:
    """Figures of each task, one entry a completion in all four; tasks with other options count apart by their chance.

    >>> tasks = [task_of("rotation")] * 4
    >>> figures = task_figures(tasks, ["90", "0", "x", None], ["90", "0", None, None], ["90"] * 4)
    >>> figures["rotation/right"], figures["rotation/no_tag"], figures["rotation/no_answer"]
    (0.25, 0.25, 0.25)
    """
    rows: dict[str, list[tuple[bool, float, bool, bool]]] = defaultdict(list)
    for task, words, answer, gold in zip(tasks, said, answers, golds, strict=True):
        right = answer == str(gold)
        over = (right - task.chance) / (1 - task.chance)
        rows[task.name].append((right, over, words is None, words is not None and answer is None))
    names = ("right", "over_chance", "no_tag", "no_answer")
    return {
        f"{task}/{name}": fmean(values)
        for task, figures in rows.items()
        for name, values in zip(names, zip(*figures, strict=True), strict=True)
    }
