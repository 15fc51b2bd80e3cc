"""Rewards for answers to which the reasoning leads early and steadily, as the model itself scores it on the way."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from string import Formatter
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from selfrl.answers.keys import ReadAnswer
from selfrl.conversation import prompt_id
from selfrl.distributed import gathered, over_all_processes, shared_out
from selfrl.generation.continuations import Continuation, ContinuationScorer
from selfrl.generation.protocol import Prompt
from selfrl.rewards.contract import Batch, Metrics, groups_of
from selfrl.rewards.prompt_groups import Group, PromptGroupReward

Steps = Literal["lines", "sentences"]
ClassRule = Literal["radial", "linear"]

MOST_STATES = 15
BOUNDS: Mapping[ClassRule, float] = {"radial": 0.5, "linear": 0.05}
ROUNDING = 1e-9  # a class whose score is its bound gets 1
STATEMENT = "\nThe answer is: \\boxed{{{answer}}}"
_ENDS = {"lines": re.compile(r"(?<=\S)\s*\n"), "sentences": re.compile(r"(?<=\.)\s")}


class Course(NamedTuple):
    """How a completion's states lean towards its own answer.

    Args:
        consistency: share of the states that are nearer to it than to any other answer.
        volatility: 1 less the share that the last states in a row make up that are nearer to no other answer.
    """

    consistency: float
    volatility: float


class Asked(NamedTuple):
    """What one state of a completion is scored on: each answer of its group."""

    prompt: Prompt
    state: str
    answers: tuple[str, ...]


def reasoning_states(text: str, steps: Steps = "lines", most: int = MOST_STATES) -> list[str]:
    r"""A completion's text up to the end of each step; steps are joined evenly, the first the least, if they are many.

    Args:
        text: the completion.
        steps: "lines" that are not blank, or "sentences", which end at a full stop before a blank.
        most: states.

    Example:
        >>> reasoning_states("3 + 4 = 7.\n\nSo 7. \\boxed{7}\n")
        ['3 + 4 = 7.', '3 + 4 = 7.\n\nSo 7. \\boxed{7}']
        >>> reasoning_states("One. Two. Three.", "sentences", most=2)
        ['One.', 'One. Two. Three.']
    """
    whole = len(text.rstrip())
    ends = [match.start() for match in _ENDS[steps].finditer(text, 0, whole)] + ([whole] if whole else [])
    count = min(len(ends), most)
    return [text[: ends[(k + 1) * len(ends) // count - 1]] for k in range(count)]


def distance_ratios(log_probs_KJ: NDArray[np.float64], own: int) -> NDArray[np.float64]:
    """ρ_k = d_kj / min_{l≠j} d_kl of the own answer j, (K,), for distances d = exp(−mean log p), a perplexity.

    Dividing a state's distances by their sum, as the authors do, changes no ratio.

    Args:
        log_probs_KJ: mean log p a token of each of J answers after each of K states.
        own: number of the completion's answer.

    Raises:
        ValueError: for another shape, fewer than two answers, or an `own` that is none of them.

    Example:
        >>> distance_ratios(-np.log([[2., 4.], [1.5, 6.], [3., 2.], [1., 5.]]), own=0).round(6).tolist()
        [0.5, 0.25, 1.5, 0.2]
    """
    if log_probs_KJ.ndim != 2 or not 0 <= own < log_probs_KJ.shape[1] or log_probs_KJ.shape[1] < 2:
        raise ValueError(f"log_probs {log_probs_KJ.shape} must be (K, J) with two answers or more, {own} among them.")
    rivals_K = np.delete(log_probs_KJ, own, axis=1).max(axis=1)
    return np.exp(np.minimum(rivals_K - log_probs_KJ[:, own], 700.0))  # a larger one overflows, and tells no more


def course_of(ratios_K: NDArray[np.float64]) -> Course:
    """Con = share of ρ_k < 1, and Vol = 1 − (trailing run of ρ_k ≤ 1) / K.

    Raises:
        ValueError: for no ratios.

    Example:
        >>> course_of(np.array([0.5, 0.25, 1.5, 0.2]))
        Course(consistency=0.75, volatility=0.75)
    """
    count = len(ratios_K)
    if not count:
        raise ValueError("A completion has no states: give it a text that is not blank.")
    above = np.flatnonzero(ratios_K > 1)
    return Course(float((ratios_K < 1).mean()), (int(above[-1]) + 1) / count if len(above) else 0.0)


def class_score(courses: Sequence[Course], rule: ClassRule = "radial") -> float:
    """What a class of equal answers is judged by: √(mean(Con cos Vol)² + mean(Con sin Vol)²), or mean Con − mean Vol.

    >>> round(class_score([Course(.75, .5), Course(1, 0), Course(1, 0)]), 6)
    0.894132
    >>> round(class_score([Course(.25, .75), Course(.5, 1)]), 6), class_score([Course(.75, .5)], "linear")
    (0.3724, 0.25)
    """
    if rule == "linear":
        return fmean(con for con, _ in courses) - fmean(vol for _, vol in courses)
    return math.hypot(
        fmean(con * math.cos(vol) for con, vol in courses), fmean(con * math.sin(vol) for con, vol in courses)
    )


class ConsistencyVolatilityReward(PromptGroupReward):
    r"""1 for answers to which the reasoning leads early and steadily, as the policy scores it: CoVo (2506.08745).

    A completion has K ≤ 15 states: its text up to the end of each line or sentence, joined where there are more. After
    the prompt and state k each distinct answer y_j of the group is put into `statement` and scored; its distance is
    d_kj = exp(−mean log p of the statement's tokens). For a completion with answer j,

        ρ_k = d_kj / min_{l≠j} d_kl,   Con = share of ρ_k < 1,   Vol = 1 − (trailing run of ρ_k ≤ 1) / K,

    and all completions of an answer get 1 if over them, else 0,

        "radial": √(mean(Con cos Vol)² + mean(Con sin Vol)²) ≥ 0.5,    "linear": mean Con − mean Vol ≥ 0.05.

    Several classes can get 1. Under "radial" a class of one has Con as its score whatever its Vol, as only the
    spread of Vol inside a class counts; "linear" does not have that. 0 also goes to a completion without an answer,
    and to a group with one distinct answer, which has nothing to be compared with.

    The states are all lines or sentences, as in the authors' code, so the last one holds the stated answer itself and
    hardly ever leans to another: stopping before it would leave answers of one line without any state. So K = 1 tells
    little, and nearly every class gets 1: where a model writes one line, take `steps="sentences"`.

    The authors' curiosity bonus is left out, as are their exceptions for formulas of several lines and lines that end
    in a colon, and the greedy token after the statement, which their perplexity includes. They write the answer as it
    was first spelt; here it is its canonical key, which no order of completions changes.

    Needs the policy, which selfrl's trainers hand over, or a `scorer`; Σ states × distinct answers are scored, shared
    between processes. Logged: `consistency` and `volatility`, means over the completions that were scored, and
    `rewarded`, the share of their classes that got 1.

    Abstains (None): a group without any answer; a completion whose answer is unsafe to read, or could not be compared
    with the most common one in time.

    Args:
        steps: "lines" or "sentences", which end at a full stop before a blank.
        rule: "radial" or "linear".
        statement: what is scored after a state; a format string over `answer`. By default the authors'.
        scorer: what scores instead of the policy, as a frozen [`selfrl.generation.hf.TransformersGenerator`]; see
            [`selfrl.generation.continuations.ContinuationScorer`].

    Raises:
        ValueError: for bad options; in a call, without policy or scorer, or for a score that is not finite.

    Example:
        >>> class Echo:
        ...     def mean_log_probs(self, continuations):
        ...         return [-1.0 + c.prefix.count(c.text[-2]) for c in continuations]
        >>> reward = ConsistencyVolatilityReward(scorer=Echo())
        >>> reward(["2+2?"] * 3, ["It is 4.\n\\boxed{4}", "4, 4, no.\n\\boxed{5}", "?"])
        [1.0, 0.0, 0.0]
    """

    elects = False  # further voters have no states
    needs_texts = False

    def __init__(
        self,
        steps: Steps = "lines",
        rule: ClassRule = "radial",
        statement: str = STATEMENT,
        *,
        scorer: ContinuationScorer | None = None,
    ) -> None:
        for name, value, words in (("steps", steps, get_args(Steps)), ("rule", rule, get_args(ClassRule))):
            if value not in words:
                raise ValueError(f"`{name}` is {value!r}: it must be one of {words}.")
        if scorer is not None and not hasattr(scorer, "mean_log_probs"):
            raise ValueError(f"`scorer` is {scorer!r}: give an object with `mean_log_probs`, or none for the policy.")
        # `rule` is how the base elects the label that is logged
        self.steps, self.class_rule, self.statement, self.scorer = steps, rule, _checked(statement), scorer
        self.needs_policy = scorer is None

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """The course of each completion; None without an answer, or without another to compare it with."""
        ids = self.group_ids(batch)
        rows, start = gathered(list(zip(ids, batch.prompts, batch.texts, strict=True)))
        # merging has a time budget, in which processes could come to different keys: one merges for all
        _, keys = over_all_processes(self._merged, list(zip(ids, batch.answers(self.rule.mode), strict=True)))
        asked: dict[Hashable, Asked] = {}  # a state that completions share is scored once
        plans: dict[int, tuple[int, tuple[Hashable, ...]]] = {}  # row → number of its answer, its states
        for group in groups_of(name for name, _, _ in rows):
            answers = tuple(dict.fromkeys(key for row in group if (key := keys[row]) is not None))
            for row in group:
                if len(answers) > 1 and (key := keys[row]) is not None:
                    _, prompt, text = rows[row]
                    states = [Asked(prompt, state, answers) for state in reasoning_states(text, self.steps)]
                    name = prompt_id(prompt)
                    names = tuple((name, each.state, answers) for each in states)
                    asked.update(zip(names, states, strict=True))
                    plans[row] = answers.index(key), names
        scorer = self.scorer if self.scorer is not None else batch.column("policy")[0]
        scores = shared_out(list(asked.values()), lambda share: self._scored(share, scorer))
        found = dict(zip(asked, scores, strict=True))
        courses = {  # of equal completions once
            (own, names): course_of(distance_ratios(np.array([found[name] for name in names]), own))
            for own, names in set(plans.values())
        }
        return {"course": [courses[plans[row]] if row in plans else None for row in range(start, start + len(ids))]}

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        if not any(key is not None for key in group.keys):
            return [None] * len(group.keys)
        rewarded: set[str | None] = {key for key, of in _classes(group).items() if self._is_rewarded(of)}
        return [float(key in rewarded) for key in group.keys]

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """Mean consistency and volatility, and the share of classes rewarded; nothing where nothing was scored."""
        classes = [courses for group in groups for courses in _classes(group).values()]
        courses = [course for of_class in classes for course in of_class]
        if not courses:
            return {}
        return {
            "consistency": fmean(course.consistency for course in courses),
            "volatility": fmean(course.volatility for course in courses),
            "rewarded": fmean(map(self._is_rewarded, classes)),
        }

    def _is_rewarded(self, courses: Sequence[Course]) -> bool:
        return class_score(courses, self.class_rule) >= BOUNDS[self.class_rule] - ROUNDING

    def _merged(self, rows: Sequence[tuple[Hashable, ReadAnswer]]) -> tuple[list[None], list[str | None]]:
        """The merged key of each row of the global batch, for all processes."""
        keys: list[str | None] = [None] * len(rows)
        for group in groups_of(name for name, _ in rows):
            (merged,), _ = self.rule.merged([rows[row][1] for row in group])
            for row, key in zip(group, merged, strict=True):
                keys[row] = key
        return [None] * len(rows), keys

    def _scored(self, share: Sequence[Asked], scorer: ContinuationScorer) -> list[list[float]]:
        """Mean log-probabilities of each state's answers."""
        rows = [
            Continuation(each.prompt, each.state, self.statement.format(answer=answer))
            for each in share
            for answer in each.answers
        ]
        scores = scorer.mean_log_probs(rows) if rows else []
        for row, score in zip(rows, scores, strict=True):
            if not math.isfinite(score):
                raise ValueError(f"The scorer gave {score} for {row.text!r:.80}: see whether its model has diverged.")
        rest = iter(scores)
        return [[next(rest) for _ in each.answers] for each in share]


def _classes(group: Group) -> dict[str, list[Course]]:
    """Courses by answer."""
    classes: dict[str, list[Course]] = defaultdict(list)
    for key, course in zip(group.keys, group.columns["course"], strict=True):
        if key is not None and course is not None:
            classes[key].append(course)
    return classes


def _checked(statement: str) -> str:
    """The template, if it can be filled in.

    Raises:
        ValueError: if it names anything but `answer`, or not even that.
    """
    try:
        fields = {name for _, name, _, _ in Formatter().parse(statement) if name is not None}
        statement.format(answer="4")
    except (ValueError, LookupError, AttributeError):
        fields = set()
    if fields != {"answer"}:
        raise ValueError(
            f"`statement` is {statement!r}: it must hold {{answer}} and no other field; write braces of its own double."
        )
    return statement
