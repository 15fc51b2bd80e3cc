"""What a proposer earns, from its reply to the rule; and real runs, against a frozen solver and against itself."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset
from support.runs import tiny_run

from selfrl.generation import Generation, Prompt, Sampling
from selfrl.models import model_path
from selfrl.rewards import ProposerReward
from selfrl.rewards.program_item import read_proposal
from selfrl.rewards.proposals import LONGEST, read_program, read_question, request_for
from selfrl.rewards.proposed_items import read_item
from selfrl.trainers import GRPOTrainer

ADDS = "```python\ndef f(x):\n    return x + 1\n```\n```input\n41\n```"
DRAWS = "```python\ndef f(x):\n    import random\n    return random.random()\n```\n```input\n41\n```"
SIX = "".join(f"```input\n{i}\n```\n" for i in range(6))


class Solver:
    """Says, of each question, what it is told to; and remembers what it was asked."""

    def __init__(self, said: dict[str, Sequence[str]]) -> None:
        self.said, self.asked, self.seeds = said, [], []  # type: ignore[var-annotated]

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        texts = [prompt[-1]["content"] for prompt in prompts]  # type: ignore[index]
        self.asked += texts
        self.seeds.append(sampling.seed)
        found = []
        for text in texts:
            said = next((answers for key, answers in self.said.items() if key in text), ())
            found.append([Generation(answer, "stop", 1, 1) for answer in said])
        return found

    def close(self) -> None: ...


def question(text: str) -> str:
    return f"So be it. <question>{text}</question>"


def rate(right: int, n: int = 10) -> list[str]:
    """Answers of which so many agree, and all others differ."""
    return [r"\boxed{7}"] * right + [rf"\boxed{{{100 + i}}}" for i in range(n - right)]


def earned(reward: ProposerReward, replies: Sequence[str], solver: Solver, **columns: Any) -> list[float | None]:
    return reward(["?"] * len(replies), replies, policy=[solver] * len(replies), **columns)


def test_r_zero_subtracts_the_share_of_near_duplicates_also_of_what_is_malformed() -> None:
    one, two = "What is the sum of three and four today ?", "What is the sum of three and four now ?"
    three = "A farmer sells nine eggs each morning for cash"
    solver = Solver({one: rate(5), two: rate(9), three: rate(3)})
    replies = [question(one), question(two), question(three), "no question at all here, sorry"]
    assert earned(ProposerReward("policy"), replies, solver) == pytest.approx([0.0, -0.4, 0.05, -1.25])


def test_the_rate_is_the_majoritys_share_of_all_samples_the_empty_ones_too() -> None:
    solver = Solver({"How many": [r"\boxed{0.5}", r"\boxed{1/2}", "I do not know", "I do not know"]})
    reward = ProposerReward("policy", "hard", samples=4)
    assert earned(reward, [question("How many?")], solver) == [0.5]


@pytest.mark.parametrize(
    ("rule", "at_eighth", "invalid", "malformed"),
    [
        ("absolute_zero", 0.875, -0.5, -1.0),
        ("learnability", 0.4375, 0.0, 0.0),
        ("hard", 0.875, 0.0, 0.0),
        ("medium", 0.25, 0.0, 0.0),
        ("sqlm", 1.0, 0.0, 0.0),
        ("spice", 0.372034, -0.1, -0.1),
        ("r_zero", 0.125 - 1 / 3, -1 - 1 / 3, -1 - 1 / 3),
    ],
)
def test_programs_are_run_and_answers_to_them_judged(
    rule: Any, at_eighth: float, invalid: float, malformed: float
) -> None:
    solver = Solver({"x + 1": [r"\boxed{42}"] + [r"\boxed{43}"] * 7})  # the majority is wrong
    reward, logged = ProposerReward("policy", rule, items="deduction", samples=8), {}
    found = earned(reward, [ADDS, DRAWS, "def f"], solver, log_metric=logged.__setitem__)
    assert found == pytest.approx([at_eighth, invalid, malformed], abs=1e-6)
    assert len(solver.asked) == 1
    assert logged["ProposerReward/invalid"] == logged["ProposerReward/malformed"] == 1 / 3
    assert logged["ProposerReward/solve_rate"] == 0.125


def test_abduction_takes_any_input_and_induction_asks_for_the_program() -> None:
    solver = Solver({"== 42": [r"\boxed{41}", r"\boxed{41.0}", r"\boxed{3}", r"\boxed{4}"]})
    assert earned(ProposerReward("policy", "hard", items="abduction", samples=4), [ADDS], solver) == [0.5]
    reply = f"```python\ndef f(x):\n    return x + 1\n```\n{SIX}```message\nIt adds.\n```"
    right, wrong = (f"```python\ndef f(x):\n    return x + {i}\n```" for i in (1, 2))
    solver = Solver({"It adds.": [right, wrong, wrong, wrong]})
    assert earned(ProposerReward("policy", "hard", items="induction", samples=4), [reply], solver) == [0.75]
    assert read_program(reply, "deduction") is None
    assert read_program(ADDS, "induction") is None


def test_equal_proposals_are_asked_once_and_failures_abstain() -> None:
    solver = Solver({"How many": rate(5)})
    replies = [question("How many?")] * 3 + [question("Nobody answers this one.")]
    found = earned(ProposerReward("policy", "learnability"), replies, solver)
    assert found == [1.0, 1.0, 1.0, None]
    assert sorted(solver.asked) == ["How many?", "Nobody answers this one."]


def test_the_solver_is_sampled_anew_each_step_and_alike_after_a_resume() -> None:
    solver = Solver({"How many": rate(5)})
    for step in (1, 2, 1):
        state = SimpleNamespace(global_step=step)
        earned(ProposerReward("policy"), [question("How many?")], solver, trainer_state=state)
    first, second, again = solver.seeds
    assert first == again != second


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "<question></question>",
        "<question>  \n</question>",
        "<question>open",
        "<think><question>a?</question>",
        "<question>a<question>b</question></question>",
        question("x" * (LONGEST + 1)),
        "<question>" * 100_000,
        question("a?") + question("b?"),
    ],
)
def test_what_is_no_single_question_is_malformed(reply: str) -> None:
    assert read_question(reply) is None


def test_a_question_is_read_after_the_thought_and_requests_cannot_be_imitated() -> None:
    assert read_question("<think><question>a?</question></think><question> b? </question>") == "b?"
    asked = request_for("questions", "</example> Say <question>x</question>")
    assert asked.count("</example>") == 1
    for kind in ("deduction", "abduction", "induction"):
        assert "```input" in request_for(kind, "def f(x): ...")
        assert read_proposal(request_for(kind, "def f(x): ...")) is None


def test_a_program_that_may_not_run_is_an_item_without_its_outputs() -> None:
    item = read_item(DRAWS, "deduction")
    assert item is not None
    assert item.invalid is not None
    assert item.item is not None
    assert item.item.outputs == ("None",)


def test_options_that_cannot_be_are_refused_and_copies_open_their_own_solver() -> None:
    for options in ({"rule": "best"}, {"items": "poems"}, {"samples": 1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            ProposerReward("tiny", **options)  # type: ignore[arg-type]
    reward = ProposerReward(str(model_path("tiny")), samples=2, max_tokens=4)
    assert reward(["?"], [question("Add 3 and 4.")])[0] is not None
    assert pickle.loads(pickle.dumps(reward))._opened is None
    with pytest.raises(ValueError, match="asks the policy"):
        ProposerReward("policy")(["?"], ["?"])


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["policy", str(model_path("tiny"))])
def test_a_proposer_trains_against_a_solver(solver: str, tmp_path: Path) -> None:
    """The packaged model writes no tags: all it proposes is malformed, but the run is real."""
    data = Dataset.from_list([{"prompt": [{"role": "user", "content": "Add 3 and 4."}]}] * 4)
    reward = ProposerReward(solver, samples=2, max_tokens=8)
    trainer = tiny_run(GRPOTrainer, model_path("tiny"), tmp_path, reward, data, max_steps=2)
    trainer.train()
    logs = [row for row in trainer.state.log_history if "rewards/ProposerReward/mean" in row]
    assert len(logs) == 2
    assert all(row["rewards/ProposerReward/mean"] < -1 for row in logs)
