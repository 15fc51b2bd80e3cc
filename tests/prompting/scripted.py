"""Back ends that act out the roles by rule, with a right winner that is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfrl.generation import Generation, Prompt, Sampling
from selfrl.prompting import Example, PromptTask

QUESTIONS = tuple(Example(f"question {i}", f"reference {i}" if i % 2 else None) for i in range(8))


def task(prompt: str = "quality 1", questions: int = 3) -> PromptTask:
    return PromptTask(prompt, "Be good.", 20, QUESTIONS[:questions])


def role_of(prompt: Any) -> str:
    """Which of the three requests a conversation is."""
    text = prompt[-1]["content"]
    if "You improve" in text or text.startswith("Improve this"):
        return "optimizer"
    return "evaluator" if "Two models" in text or text.startswith("Compare.") else "executor"


def qualities(request: str) -> tuple[float, float]:
    """What A and B stand for in an evaluator's request, summed over the questions."""
    sides = []
    for tag in ("output_a", "output_b"):
        parts = request.split(f"<{tag}>")[1:]
        sides.append(sum(float(part.split(f"</{tag}>")[0].split()[-1]) for part in parts))
    return sides[0], sides[1]


@dataclass
class Scripted:
    """Answers "output Q" under a prompt that ends in the number Q, and judges by those numbers.

    Args:
        proposals: prompts that the optimiser writes, in turn; a text without a number is its whole reply. The last is
            repeated.
        right: probabilities of a right verdict with the better outputs shown first, and second.
        seed: of the verdicts.
        fails: whether a call gets no reply, by role, prompt and number of the call.
    """

    proposals: Sequence[str] = ("quality 2",)
    right: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    fails: Callable[[str, Any, int], bool] = lambda role, prompt, number: False
    asked: list[tuple[str, Any, Sampling]] = field(default_factory=list)
    verdicts: Iterator[str] | None = None

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.written = 0

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        groups = []
        for prompt in prompts:
            role = role_of(prompt)
            self.asked.append((role, prompt, sampling))
            text = self.reply(role, prompt)
            failed = self.fails(role, prompt, len(self.asked))
            groups.append([] if failed else [Generation(text, "stop", 10, len(text.split()))])
        return groups

    def close(self) -> None:
        pass

    def reply(self, role: str, prompt: Any) -> str:
        text = prompt[-1]["content"]
        if role == "optimizer":
            proposal = self.proposals[min(self.written, len(self.proposals) - 1)]
            self.written += 1
            if not proposal[-1].isdigit():
                return proposal
            return f"<analysis>why</analysis><modification>to {proposal}</modification><prompt>{proposal}</prompt>"
        if role == "executor":
            return f"output {prompt[0]['content'].split()[-1]}"
        if self.verdicts is not None:
            return next(self.verdicts)
        first, second = qualities(text)
        if first == second:
            return "<choice>tie</choice>"
        is_right = self.rng.random() < self.right[0 if first > second else 1]
        return f"<analysis>…</analysis><choice>{'A' if (first > second) == is_right else 'B'}</choice>"

    def counts(self) -> dict[str, int]:
        """Calls of each role."""
        names = [name for name, _, _ in self.asked]
        return {name: names.count(name) for name in ("optimizer", "executor", "evaluator")}

    def requests(self, role: str) -> list[str]:
        """Texts of a role's requests."""
        return [prompt[-1]["content"] for name, prompt, _ in self.asked if name == role]
