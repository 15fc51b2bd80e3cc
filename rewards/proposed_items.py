"""From a proposer's reply to an item that a solver can be asked, its program run and checked in the limited child."""

from __future__ import annotations

from dataclasses import dataclass

from selfrl.limited_program import run_calls
from selfrl.rewards.program_check import UNDECIDED, program_reason
from selfrl.rewards.program_item import Kind, ProgramItem, prompt_of
from selfrl.rewards.proposals import Items, read_program, read_question

_UNKNOWN = "None"


@dataclass(frozen=True)
class ProposedItem:
    """A proposal that kept its form.

    Args:
        text: what a solver is asked.
        told: what is compared between proposals: the question, or the program.
        item: of a program.
        invalid: why the program may not be asked; None if it may.
    """

    text: str
    told: str
    item: ProgramItem | None = None
    invalid: str | None = None


def read_item(reply: str, items: Items) -> ProposedItem | None:
    """The item of a reply; None if it is malformed.

    >>> read_item("<question>What is 3 and 4?</question>", "questions").text
    'What is 3 and 4?'
    >>> read_item("```python\\ndef f(x):\\n    return x + 1\\n```\\n```input\\n41\\n```", "deduction").item.outputs
    ('42',)
    """
    if items == "questions":
        question = read_question(reply)
        return None if question is None else ProposedItem(question, question)
    proposed = read_program(reply, items)
    if proposed is None:
        return None
    return _program_item(items, proposed.program, proposed.inputs, proposed.message)


def _program_item(kind: Kind, program: str, inputs: tuple[str, ...], message: str) -> ProposedItem:
    """The item of a program; of one that may not be run, the outputs are unknown."""
    invalid = program_reason(program, inputs)
    outputs = [_UNKNOWN] * len(inputs)
    if invalid is None:
        literals = [outcome.literal for outcome in run_calls(program, inputs)]
        outputs = [literal or _UNKNOWN for literal in literals]
        invalid = UNDECIDED if None in literals else None  # it gave them a moment ago
    item = ProgramItem(kind, program, inputs, tuple(outputs), message)
    return ProposedItem(prompt_of(item), program, item, invalid)
