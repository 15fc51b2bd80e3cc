"""Questions about small Python programs, whose answers are checked by running them (Absolute Zero, 2505.03335)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

from selfrl.answers.extract import after_thought

Kind = Literal["deduction", "abduction", "induction"]
COLUMN = "program_item"
MOST_CHARACTERS = 20_000  # of a completion that holds a program
_BLOCKS = ("python", "input", "message")
_FENCE = re.compile(r"```(\w*)\s*")
_DEFINED = re.compile(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)

_DEDUCTION = r"""What does this Python function return?

```python
{program}
```

It is called as f({input}).

Reason step by step, and end with the value, as a Python literal, in \boxed{{}}."""
_ABDUCTION = r"""With which arguments does this Python function return the value below?

```python
{program}
```

f(...) == {output}

Any arguments will do. Reason step by step, and end with them, as Python literals that could stand in the brackets of
the call, in \boxed{{}}."""
_INDUCTION = """Which Python function f gives these values, and others like them?

{message}

{pairs}

Reason step by step, and end with the function in one block that begins with ```python. It holds one function f, whose
helpers are inside it, without imports, print and calls of f."""


@dataclass(frozen=True)
class ProgramItem:
    """A program, calls of it and what they give, of which one part is asked for.

    Args:
        kind: "deduction" asks for the output, "abduction" for an input, "induction" for the program.
        program: with a function `f`.
        inputs: each the arguments of one call, as literals.
        outputs: of these calls, as literals.
        message: for induction, what the program does in words.

    Raises:
        ValueError: for an unknown kind, or other than one input and output; for induction other than two or more of
            each.

    Example:
        >>> item = ProgramItem("induction", "def f(x):\\n    return x + 1", ("1", "2", "3"), ("2", "3", "4"), "Adds.")
        >>> item.shown, item.held_back
        ((('1', '2'),), (('2', '3'), ('3', '4')))
        >>> ProgramItem.from_columns(item.to_columns()) == item
        True
    """

    kind: Kind
    program: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"A program item has the kind {self.kind!r}: choose {', '.join(get_args(Kind))}.")
        several = self.kind == "induction"
        count = len(self.inputs)
        if len(self.outputs) != count or (count < 2 if several else count != 1):
            wanted = "two or more pairs" if several else "one of each"
            raise ValueError(
                f"An item for {self.kind} has {count} inputs and {len(self.outputs)} outputs: give {wanted}."
            )

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The pairs of input and output that induction shows: the first half, rounded down."""
        return self._pairs[: len(self.inputs) // 2]

    @property
    def held_back(self) -> tuple[tuple[str, str], ...]:
        """The other pairs, by which its answers are graded."""
        return self._pairs[len(self.inputs) // 2 :]

    @property
    def _pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip(self.inputs, self.outputs, strict=True))

    def to_columns(self) -> dict[str, str]:
        """The column of a data row that holds the item, as JSON."""
        return {COLUMN: json.dumps(asdict(self))}

    @classmethod
    def from_columns(cls, row: Mapping[str, Any]) -> ProgramItem:
        """The item of a data row.

        Raises:
            ValueError: if the row has none, or one that cannot be.
        """
        try:
            fields = json.loads(row[COLUMN])
            lists = {name: tuple(map(_text, fields.pop(name))) for name in ("inputs", "outputs")}
            texts = {name: _text(value) for name, value in fields.items()}
            return cls(**lists, **texts)  # type: ignore[arg-type]
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"The column {COLUMN!r} holds no program item: write it with ProgramItem.to_columns()."
            ) from error


class Proposed(NamedTuple):
    """What a proposer wrote, as it stands: a program, one input, or several and a message (for induction)."""

    program: str
    inputs: tuple[str, ...]
    message: str = ""


def read_proposal(text: str) -> Proposed | None:
    """A proposer's completion: one ```python block with one function `f`, and one ```input block; nothing of it is run.

    For induction there are two or more ```input blocks, and one ```message block. None if anything is missing, empty,
    doubled or in a block of another name, and where [`fenced`] reads nothing.

    Example:
        >>> read_proposal("```python\\ndef f(x):\\n    return x + 1\\n```\\n```input\\n41\\n```")
        Proposed(program='def f(x):\\n    return x + 1', inputs=('41',), message='')
        >>> read_proposal("```python\\ndef g(x):\\n    return x + 1\\n```\\n```input\\n41\\n```") is None
        True
    """
    blocks = fenced(text)
    if any(name not in _BLOCKS or not body for name, body in blocks):
        return None
    programs, inputs, messages = ([body for name, body in blocks if name == wanted] for wanted in _BLOCKS)
    if len(programs) != 1 or not inputs or len(messages) != (len(inputs) > 1):
        return None
    if _DEFINED.findall(programs[0]) != ["f"]:  # a first look: what the text really defines is seen in the child
        return None
    return Proposed(programs[0], tuple(inputs), "".join(messages))


def fenced(text: str) -> list[tuple[str, str]]:
    """The fenced blocks after a thought, as (name, content without blanks at its end), in time linear in the text.

    None are read where the thought or the last block is not over, or of more than 20,000 characters.

    >>> fenced("It is\\n```python\\nx = 1\\n```\\nor so.")
    [('python', 'x = 1')]
    """
    after = after_thought(text) if len(text) <= MOST_CHARACTERS else None
    if after is None:
        return []
    found: list[tuple[str, str]] = []
    name: str | None = None
    lines: list[str] = []
    for line in text[slice(*after)].split("\n"):
        fence = _FENCE.fullmatch(line)
        if name is not None and line.rstrip() == "```":
            found.append((name, "\n".join(lines).rstrip()))
            name, lines = None, []
        elif name is not None:
            lines.append(line)
        elif fence:
            name = fence[1]
    return found if name is None else []


def prompt_of(item: ProgramItem) -> str:
    r"""What the solver is asked: never the output (deduction), the input (abduction), or program and held-back pairs.

    >>> item = ProgramItem("deduction", "def f(x):\n    return x + 1", ("41",), ("42",))
    >>> "f(41)" in prompt_of(item), "42" in prompt_of(item)
    (True, False)
    """
    if item.kind == "deduction":
        return _DEDUCTION.format(program=item.program, input=item.inputs[0])
    if item.kind == "abduction":
        return _ABDUCTION.format(program=item.program, output=item.outputs[0])
    pairs = "\n".join(f"f({given}) == {output}" for given, output in item.shown)
    return _INDUCTION.format(message=item.message, pairs=pairs)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
