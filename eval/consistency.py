"""Does the reasoning support the answer? A judge who sees neither answer nor pictures says what it supports.

The measure's name is PuzzleCraft's (2512.14944), the protocol ours. The judge that needs no label is the checkpoint
that the training began with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selfrl.answers.boxes import find_boxes
from selfrl.eval.extraction import find
from selfrl.eval.grading import GRADERS
from selfrl.eval.jobs import Job
from selfrl.eval.scoring import Sample
from selfrl.generation import Prompt, Sampling

NONE = "none"
ALARM = 3.0  # standard errors
_TAGGED = re.compile(r"(?is)<answer>.*?</answer>|</?(?:answer|think|thinking|thought|reasoning)>")
_STATED = re.compile(r"(?im)^.{0,40}(?:final answer|answer is|answer:).*$")
REQUEST = """Below are a question, which may have been about pictures that are not shown, and somebody's reasoning \
about it. The final answer was taken out.

Question:
{question}

Reasoning:
{reasoning}

Which answer does this reasoning support? Go by the reasoning alone, whether it is right or not. Give the answer \
alone, in the form that the question asks for, between <answer> and </answer>; write \
<answer>none</answer> if it supports none."""


@dataclass(frozen=True)
class Consistency:
    """Reasoning–answer consistency (RAC) of a task's completions, as shares in 0..1.

    Args:
        judged: completions with an answer that the judge ruled on.
        rac: share whose reasoning supports the answer that they give.
        error: its standard error.
        right: the same among right answers; None without any.
        wrong: among wrong ones.
        none: share whose reasoning supports no answer.
        unjudged: completions with an answer on which the judge gave no ruling that can be read.
    """

    judged: int
    rac: float
    error: float
    right: float | None
    wrong: float | None
    none: float
    unjudged: int


def reasoning_of(completion: str) -> str:
    r"""A completion without what states its answer: tags and boxes with what is in them, and lines that name it.

    >>> reasoning_of("<think>The roof points left.</think>\nThe answer is 90.\n<answer>90</answer>").strip()
    'The roof points left.'
    """
    text = _TAGGED.sub("", completion)
    for box in reversed(find_boxes(text).closed):
        text = text[: box.start] + text[box.end :]
    return _STATED.sub("", text)


def judge_prompts(job: Job, groups: Sequence[Sequence[Sample]]) -> tuple[list[tuple[int, int]], list[Prompt]]:
    """What the judge is asked about each completion that has an answer, and (question, sample) of each."""
    places: list[tuple[int, int]] = []
    prompts: list[Prompt] = []
    for at, (question, group) in enumerate(zip(job.questions.questions, groups, strict=True)):
        for number, sample in enumerate(group):
            if sample.answer is None:
                continue
            asked = REQUEST.format(
                question=question.text, reasoning=reasoning_of(sample.completion).strip() or "(none)"
            )
            places.append((at, number))
            prompts.append([{"role": "user", "content": asked}])
    return places, prompts


def consistency(job: Job, groups: Sequence[Sequence[Sample]], judge: Any) -> Consistency | None:
    """Ask the judge about every completion that has an answer, once, greedily.

    Args:
        job: the task.
        groups: graded completions of its questions.
        judge: an [`selfrl.eval.evaluation.Model`].

    Returns:
        the figures; None if the judge ruled on nothing.
    """
    places, prompts = judge_prompts(job, groups)
    replies = judge.generate(prompts, Sampling(max_tokens=64, temperature=0.0, seed=job.sampling.seed))
    grader = GRADERS[job.task.grading]
    verdicts: list[tuple[bool, bool, bool | None]] = []  # supported, none at all, right
    for (at, number), reply in zip(places, replies, strict=True):
        said = find(reply[0].text, ["tag"]) if reply else None
        sample, row = groups[at][number], job.questions.questions[at].row
        if said is None or sample.answer is None:
            continue
        nothing = said.strip().casefold().rstrip(".") == NONE
        same = None if nothing else grader([said], sample.key or sample.answer, row)[0].correct
        if nothing or same is not None:
            verdicts.append((bool(same), nothing, sample.correct))
    if not verdicts:
        return None
    rac = fmean(supported for supported, *_ in verdicts)
    return Consistency(
        judged=len(verdicts),
        rac=rac,
        error=math.sqrt(rac * (1 - rac) / len(verdicts)),
        right=_mean([supported for supported, _, right in verdicts if right]),
        wrong=_mean([supported for supported, _, right in verdicts if right is False]),
        none=fmean(nothing for _, nothing, _ in verdicts),
        unjudged=len(prompts) - len(verdicts),
    )


def has_fallen(before: Consistency, after: Consistency) -> bool:
    """Whether consistency fell by more than three standard errors of the difference: an alarm where accuracy rose.

    >>> figures = {"error": 0.02, "right": None, "wrong": None, "none": 0.0, "unjudged": 0, "judged": 600}
    >>> has_fallen(Consistency(rac=0.8, **figures), Consistency(rac=0.7, **figures))
    True
    """
    return before.rac - after.rac > ALARM * math.hypot(before.error, after.error)


def _mean(values: Sequence[bool]) -> float | None:
    return fmean(values) if values else None
