"""CoVo: the sheet's numbers, a second formula, groups with nothing to compare, and a training run."""

from __future__ import annotations

import hashlib
import math
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.processes import on_two_processes
from support.runs import tiny_run

from selfrl.generation.continuations import Continuation
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import TINY_MODEL
from selfrl.rewards.robust_votes.consistency_volatility import (
    ConsistencyVolatilityReward,
    Course,
    class_score,
    course_of,
    distance_ratios,
    reasoning_states,
)
from selfrl.trainers import GRPOTrainer

TOWER = "9^{9^9}"  # unsafe to read
LONG = "+".join(f"{i}x^{{{i}}}" for i in range(2, 60))  # too long to compare with what is no number
SHEET = [(2.0, 4.0), (1.5, 6.0), (3.0, 2.0), (1.0, 5.0)]
BOXES = r"\boxed{{{answer}}}"


class Table:
    """Scores by the last line of what was said and the answer: a perplexity that `distance` gives."""

    def __init__(self, distance: Callable[[str, str], float]) -> None:
        self.distance = distance
        self.calls: list[list[Continuation]] = []

    def mean_log_probs(self, continuations: Sequence[Continuation]) -> list[float]:
        self.calls.append(list(continuations))
        found = [(c.prefix.splitlines()[-1], re.findall(r"\{(.*)\}", c.text)[0]) for c in continuations]
        return [-math.log(self.distance(line, answer)) for line, answer in found]


def stated(line: str, answer: str) -> float:
    """Distances as a line states them: "4=2.0 5=1.0"; the line with the box leads to what it holds."""
    if "boxed" in line:
        return 1.0 if rf"\boxed{{{answer}}}" in line else 9.0
    return float(dict(pair.split("=") for pair in line.split())[answer])


def completion(answer: str | None, *states: str) -> str:
    return "\n".join([*states, "I do not know" if answer is None else rf"\boxed{{{answer}}}"])


def rewards(completions: list[str], distance: Any = stated, **options: Any) -> list[float | None]:
    reward = ConsistencyVolatilityReward(scorer=Table(distance), statement=BOXES, **options)
    return reward(["p"] * len(completions), completions)


def test_the_sheets_completion() -> None:
    ratios = distance_ratios(-np.log(SHEET), own=0)
    assert ratios.tolist() == pytest.approx([0.5, 0.25, 1.5, 0.2], abs=1e-6)
    assert course_of(ratios) == pytest.approx((0.75, 0.75), abs=1e-6)
    assert course_of(distance_ratios(-np.log(SHEET), own=1)) == pytest.approx((0.25, 1.0), abs=1e-6)
    # rows divided by their sums have the same ratios
    normalised = [(a / (a + b), b / (a + b)) for a, b in SHEET]
    assert distance_ratios(-np.log(normalised), own=0).tolist() == pytest.approx(ratios.tolist(), abs=1e-12)


def test_the_sheets_classes() -> None:
    first = [Course(0.75, 0.5), Course(1.0, 0.0), Course(1.0, 0.0)]
    second = [Course(0.25, 0.75), Course(0.5, 1.0)]
    assert class_score(first) == pytest.approx(0.894132, abs=1e-6)
    assert class_score(second) == pytest.approx(0.372400, abs=1e-6)
    assert class_score(first, "linear") == pytest.approx(2.75 / 3 - 0.5 / 3, abs=1e-12)
    assert class_score(second, "linear") == pytest.approx(0.375 - 0.875, abs=1e-12)


NEAR, FAR = "4=1.0 5=2.0", "4=2.0 5=1.0"  # to the answer 4


def test_the_sheets_group() -> None:
    """The courses of its classes, out of states; a state more of each holds the box and leads to it."""
    even = "4=1.0 5=1.0"  # leads nowhere: not below 1, and ends no run
    group = [
        completion("4", FAR, NEAR, NEAR),  # Con 3/4, Vol 1/4
        completion("4", NEAR, NEAR, NEAR),
        completion("5", NEAR, NEAR, NEAR),  # Con 1/4, Vol 3/4
        completion("5", FAR, even, NEAR),  # Con 2/4, Vol 3/4
    ]
    logged: dict[str, float] = {}
    reward = ConsistencyVolatilityReward(scorer=Table(stated), statement=BOXES)
    assert reward(["p"] * 4, group, log_metric=logged.__setitem__) == [1.0, 1.0, 0.0, 0.0]
    assert logged["ConsistencyVolatilityReward/consistency"] == pytest.approx((0.75 + 1 + 0.25 + 0.5) / 4)
    assert logged["ConsistencyVolatilityReward/volatility"] == pytest.approx((0.25 + 0 + 0.75 + 0.75) / 4)
    assert logged["ConsistencyVolatilityReward/rewarded"] == 0.5
    assert logged["ConsistencyVolatilityReward/majority_ratio"] == 0.5


def test_both_rules_and_their_bounds() -> None:
    # Con .5 and Vol .5: alone in its class it has .5, which is enough, whatever the rounding
    for volatile in range(1, 8):
        assert rewards([completion("4", *[FAR] * volatile, *[NEAR] * (volatile - 1)), completion("5", FAR)])[0] == 1.0
    assert rewards([completion("4", FAR, FAR, FAR, NEAR), completion("5", FAR)])[0] == 0.0
    group = [completion("4", FAR, NEAR), completion("5", NEAR, FAR, NEAR)]  # (2/3, 1/3), (1/2, 3/4)
    assert rewards(group) == [1.0, 1.0]
    assert rewards(group, rule="linear") == [1.0, 0.0]
    # of equal consistency, a class whose volatility spreads falls below the bound: (1/2, 1/2), (1/2, 3/4)
    spread = [completion("4", FAR, FAR, NEAR), completion("4", NEAR, FAR, FAR)]
    assert rewards([*spread, completion("5", FAR)]) == [0.0, 0.0, 1.0]
    assert rewards([spread[1], spread[1], completion("5", FAR)]) == [1.0, 1.0, 1.0]
    # .3 − .25 is .05, but for rounding
    assert class_score([Course(0.3, 0.25)], "linear") < 0.05
    halves = ConsistencyVolatilityReward(rule="linear", scorer=Table(stated))
    assert halves._is_rewarded([Course(0.3, 0.25)])
    assert not halves._is_rewarded([Course(0.3, 0.26)])


def test_a_tie_is_no_lead_and_ends_no_run() -> None:
    assert course_of(np.array([0.5, 1.0, 1.0])) == Course(1 / 3, 0.0)
    assert course_of(np.array([1.5, 1.0])) == Course(0.0, 0.5)
    assert course_of(np.array([0.5, 1.5])) == Course(0.5, 1.0)


RATIOS = st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=8)


@given(RATIOS)
def test_courses_are_as_counted_one_by_one(ratios: list[float]) -> None:
    run = 0
    for ratio in reversed(ratios):
        if ratio > 1:
            break
        run += 1
    expected = (sum(ratio < 1 for ratio in ratios) / len(ratios), 1 - run / len(ratios))
    assert course_of(np.array(ratios)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_scores_of_a_class(pairs: list[tuple[float, float]]) -> None:
    courses = [Course(*pair) for pair in pairs]
    x = sum(con * math.cos(vol) for con, vol in pairs) / len(pairs)
    y = sum(con * math.sin(vol) for con, vol in pairs) / len(pairs)
    assert class_score(courses) == pytest.approx(math.sqrt(x * x + y * y), abs=1e-9)
    mean = sum(con for con, _ in pairs) / len(pairs)
    assert class_score(courses) <= mean + 1e-9  # at most the consistency, and that where volatility does not spread
    assert class_score([Course(con, 0.4) for con, _ in pairs]) == pytest.approx(mean, abs=1e-9)


def reference(answers: list[str | None], rows: list[list[dict[str, float]]]) -> list[float | None]:
    """The sheet, completion by completion, over distances of each state to each answer."""
    distinct = sorted({a for a in answers if a is not None})
    if not distinct:
        return [None] * len(answers)
    courses: dict[str, list[tuple[float, float]]] = {}
    for answer, states in zip(answers, rows, strict=True):
        if answer is None or len(distinct) == 1:
            continue
        normalised = [{a: d[a] / sum(d[b] for b in distinct) for a in distinct} for d in states]
        ratios = [d[answer] / min(d[a] for a in distinct if a != answer) for d in normalised]
        run = next((k for k, ratio in enumerate(reversed(ratios)) if ratio > 1), len(ratios))
        courses.setdefault(answer, []).append((sum(r < 1 for r in ratios) / len(ratios), 1 - run / len(ratios)))
    good = set()
    for answer, found in courses.items():
        x, y = (sum(con * f(vol) for con, vol in found) / len(found) for f in (math.cos, math.sin))
        if math.sqrt(x * x + y * y) >= 0.5 - 1e-9:
            good.add(answer)
    return [float(answer in good) for answer in answers]


def drawn(line: str, answer: str) -> float:
    """Any distance, the same whenever it is asked for, and sometimes equal to another."""
    return 1 + hashlib.sha256(f"{line}/{answer}".encode()).digest()[0] % 5


GROUPS = st.lists(
    st.tuples(st.sampled_from(["3", "4", "5", None]), st.lists(st.integers(0, 99), max_size=4)), min_size=1, max_size=7
)


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.randoms(use_true_random=False))
def test_any_group_is_the_references_in_any_order(group: list[tuple[str | None, list[int]]], rng: Any) -> None:
    texts = [completion(answer, *(f"line {i}" for i in lines)) for answer, lines in group]
    rows = [[{a: drawn(line, a) for a in "345"} for line in text.splitlines()] for text in texts]
    expected = reference([answer for answer, _ in group], rows)
    assert rewards(texts, drawn) == expected
    order = rng.sample(range(len(texts)), len(texts))
    assert rewards([texts[i] for i in order], drawn) == [expected[i] for i in order]


def test_groups_with_nothing_to_compare_ask_nobody() -> None:
    def asked(line: str, answer: str) -> float:
        raise AssertionError("asked")

    assert rewards([completion("4"), completion("4.0"), completion(None)], asked) == [0.0, 0.0, 0.0]
    assert rewards([completion("4")], asked) == [0.0]
    assert rewards([completion(None), completion(None)], asked) == [None, None]
    assert rewards([completion(None)], asked) == [None]
    assert rewards([completion("4"), completion(TOWER)], asked) == [0.0, None]
    logged: dict[str, float] = {}
    reward = ConsistencyVolatilityReward(scorer=Table(asked))
    assert reward(["p", "q"], [completion("4"), completion("5")], log_metric=logged.__setitem__) == [0.0, 0.0]
    assert "ConsistencyVolatilityReward/rewarded" not in logged


def test_no_answer_gets_0_and_what_is_unsure_abstains() -> None:
    assert rewards([completion("4", NEAR), completion("5", FAR), completion(None, NEAR)]) == [1.0, 1.0, 0.0]
    assert rewards([completion("4", NEAR), completion("5", FAR), completion(TOWER)]) == [1.0, 1.0, None]
    # the long sum may be the same as the most common answer; the others stand for themselves
    found = rewards([completion(answer, "a line") for answer in ("x+1", "1+x", LONG, "4")], drawn)
    assert [reward is None for reward in found] == [False, False, True, False]


def test_answers_are_compared_by_meaning_and_scored_by_key() -> None:
    scorer = Table(drawn)
    group = [completion(answer, "a line") for answer in ("0.5", r"\frac{1}{2}", "x+1", "1+x", "$4$")]
    found = ConsistencyVolatilityReward(scorer=scorer, statement=BOXES)(["p"] * 5, group)
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert {c.text for c in scorer.calls[0]} == {r"\boxed{1/2}", r"\boxed{x+1}", r"\boxed{4}"}


def test_what_is_asked() -> None:
    scorer = Table(lambda line, answer: 1.0)
    completions = ["First.\n\nThen.\n\\boxed{4}", "First.\n\\boxed{5}", "First.\n\\boxed{5}"]
    conversation = [{"role": "user", "content": "2+2?"}]
    other = [{"role": "user", "content": "3+3?"}]
    reward = ConsistencyVolatilityReward(scorer=scorer)
    reward([conversation] * 3 + [other] * 2, [*completions, "First.\n\\boxed{4}", "First.\n\\boxed{5}"])
    (asked,) = scorer.calls
    states = [(conversation, state) for state in ("First.", "First.\n\nThen.", *completions[:2])]
    states += [(other, state) for state in ("First.", "First.\n\\boxed{4}", "First.\n\\boxed{5}")]
    expected = [(*state, f"\nThe answer is: \\boxed{{{a}}}") for state in states for a in "45"]
    assert sorted(map(repr, map(tuple, asked))) == sorted(map(repr, expected))  # each once


def test_states() -> None:
    assert reasoning_states("a\n \n\nb  \r\nc") == ["a", "a\n \n\nb", "a\n \n\nb  \r\nc"]
    assert reasoning_states("\n\na. b\n") == ["\n\na. b"]
    assert reasoning_states("3.5 is it. No.\nYes", "sentences") == [
        "3.5 is it.",
        "3.5 is it. No.",
        "3.5 is it. No.\nYes",
    ]
    assert reasoning_states(" \n") == reasoning_states("") == []
    assert reasoning_states("82 + 67 = 149. \\boxed{149}", "sentences") == [
        "82 + 67 = 149.",
        "82 + 67 = 149. \\boxed{149}",
    ]


@given(st.lists(st.sampled_from(["a", "b. c", "", " "]), max_size=50), st.integers(1, 20))
def test_states_are_few_and_each_goes_on_from_the_last(lines: list[str], most: int) -> None:
    text = "\n".join(lines)
    states = reasoning_states(text, most=most)
    written = [sum(bool(line.strip()) for line in state.splitlines()) for state in states]
    total = sum(bool(line.strip()) for line in lines)
    assert len(states) == min(total, most)
    assert all(text.startswith(state) and state == state.rstrip() for state in states)
    assert written == sorted(set(written))
    assert not states or states[-1] == text.rstrip()
    steps = np.diff([0, *written])
    assert not len(steps) or max(steps) - min(steps) <= 1


def test_scores_are_those_of_the_model() -> None:
    """Real distances: after a sum the packaged model finds its result likelier than any other number."""
    tiny = TransformersGenerator.load(str(TINY_MODEL))
    prompt = "Find the sum of 34 and 25.\n"
    right, wrong = r"34 + 25 = 59. \boxed{59}", r"34 + 25 = 59. \boxed{12}"
    options: dict[str, Any] = {"steps": "sentences", "statement": r" \boxed{{{answer}}}"}
    for reward, columns in (
        (ConsistencyVolatilityReward(scorer=tiny, **options), {}),
        (ConsistencyVolatilityReward(**options), {"policy": [tiny] * 3}),
    ):
        logged: dict[str, float] = {}
        assert reward([prompt] * 3, [right, right, wrong], **columns, log_metric=logged.__setitem__)[:2] == [1.0, 1.0]
        assert logged["ConsistencyVolatilityReward/consistency"] < 1  # the first state of the wrong one leads elsewhere


@pytest.mark.slow
def test_it_trains_with_the_policy_of_the_step(tmp_path: Path) -> None:
    calls: list[tuple[Any, Any, list[float | None]]] = []
    options: dict[str, Any] = {"steps": "sentences", "statement": r" \boxed{{{answer}}}"}

    class Heard(ConsistencyVolatilityReward):
        def __call__(self, prompts: Any, completions: Any, *args: Any, **columns: Any) -> Any:
            found = super().__call__(prompts, completions, *args, **columns)
            calls.append((prompts, completions, found))
            again = ConsistencyVolatilityReward(scorer=TransformersGenerator.load(str(TINY_MODEL)), **options)
            frozen.append(again(prompts, completions))
            return found

    frozen: list[list[float | None]] = []
    trainer = tiny_run(
        GRPOTrainer,
        TINY_MODEL,
        tmp_path,
        Heard(**options),
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=32,
        temperature=1.3,
    )
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert len(calls) == 2
    assert {0.0, 1.0} <= set(calls[0][2])
    assert calls[0][2] == frozen[0]  # the first step's policy is the model that was loaded
    rows = [row for row in trainer.state.log_history if "Heard/consistency" in row]
    assert len(rows) == 2
    assert all(0 <= row[f"Heard/{name}"] <= 1 for row in rows for name in ("consistency", "volatility", "rewarded"))
    assert any((p != q).any() for p, q in zip(before, trainer.model.parameters(), strict=True))


def test_a_policy_that_is_not_there_is_asked_for() -> None:
    reward = ConsistencyVolatilityReward()
    assert reward.needs_policy
    assert not ConsistencyVolatilityReward(scorer=Table(stated)).needs_policy
    for columns in ({}, {"policy": None}):
        with pytest.raises(
            ValueError, match=r"ConsistencyVolatilityReward .* train with selfrl\.trainers\.GRPOTrainer"
        ):
            reward(["p"] * 2, [completion("4"), completion("5")], **columns)


def test_a_score_that_is_no_number_is_an_error() -> None:
    class Diverged:
        def mean_log_probs(self, continuations: Any) -> list[float]:
            return [float("nan")] * len(continuations)

    with pytest.raises(ValueError, match="The scorer gave nan for"):
        ConsistencyVolatilityReward(scorer=Diverged())(["p"] * 2, [completion("4"), completion("5")])
    with pytest.raises(ValueError, match=r"log_probs \(2, 1\) must be \(K, J\)"):
        distance_ratios(np.zeros((2, 1)), 0)
    assert distance_ratios(np.array([[-9000.0, 0.0]]), 0)[0] > 1e300  # does not overflow


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": "words"}, "`steps` is 'words'"),
        ({"rule": "cubic"}, "`rule` is 'cubic'"),
        ({"scorer": "policy"}, "`scorer` is 'policy': give an object"),
        *[
            ({"statement": statement}, f"`statement` is {statement!r}: it must hold {{answer}} and no other field")
            for statement in (
                "The answer is",
                "{}",
                "{answer} of {question}",
                r"\boxed{{answer}}",
                "{answer",
                "{answer.x}",
            )
        ],
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ConsistencyVolatilityReward(**options)


def test_it_can_be_pickled() -> None:
    reward = pickle.loads(pickle.dumps(ConsistencyVolatilityReward("sentences", "linear", scorer=Table(stated))))
    assert (reward.steps, reward.class_rule, reward.__name__) == ("sentences", "linear", "ConsistencyVolatilityReward")


def rows_of(border: int | None = None, rank: int = 0) -> dict[str, list[Any]]:
    """Three groups in turns, and the part of one process."""
    answers = ["3", "4", "5", "4", "3", None, "5", "5"]
    rows = [
        (f"prompt {i % 3}", completion(answers[i % 8], *[f"line {i * j % 7}" for j in range(i % 4)])) for i in range(24)
    ]
    part = rows if border is None else rows[:border] if rank == 0 else rows[border:]
    return {"prompts": [prompt for prompt, _ in part], "completions": [text for _, text in part]}


def score_together() -> dict[str, Any]:
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    found: dict[str, Any] = {"rewards": [], "asked": [], "errors": []}
    for border in (12, 1, 24):
        scorer = Table(drawn)
        reward = ConsistencyVolatilityReward(scorer=scorer, statement=BOXES)
        found["rewards"].append(reward(**rows_of(border, rank)))
        found["asked"].append(sum(map(len, scorer.calls)))

    def away(line: str, answer: str) -> float:
        raise OSError("the scorer is away")

    for failing in (0, 1):
        try:
            scorer = Table(away if failing == rank else drawn)
            ConsistencyVolatilityReward(scorer=scorer, statement=BOXES)(**rows_of(12, rank))
        except OSError as error:
            found["errors"].append(str(error))
    return found


@pytest.mark.slow
def test_two_processes_agree_with_one_and_share_the_scoring() -> None:
    first, second = on_two_processes(score_together)
    scorer = Table(drawn)
    whole = ConsistencyVolatilityReward(scorer=scorer, statement=BOXES)(**rows_of())
    assert {0.0, 1.0} <= set(whole)
    asked = sum(map(len, scorer.calls))
    assert [a + b for a, b in zip(first["rewards"], second["rewards"], strict=True)] == [whole] * 3
    for one, two in zip(first["asked"], second["asked"], strict=True):
        assert one + two == asked
        assert abs(one - two) <= 3  # a state with its answers
    assert first["errors"] == second["errors"] == ["the scorer is away"] * 2
