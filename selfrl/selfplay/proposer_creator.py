"""Items that a proposer writes, which may itself be trained: questions, or programs with what is asked about them."""

from __future__ import annotations

from collections.abc import Sequence

from selfrl.generation import Generator, Prompt, Sampling, seed_of
from selfrl.generation.load import Backend
from selfrl.rewards.program_check import UNDECIDED
from selfrl.rewards.program_item import COLUMN, ProgramItem
from selfrl.rewards.proposals import checked_items, request_for
from selfrl.rewards.proposed_items import read_item
from selfrl.selfplay.creator import Parent
from selfrl.selfplay.pool import Entry
from selfrl.selfplay.writer import POLICY, Writer


class ProposerCreator:
    """Asks for new items, with each parent as an example (R-Zero 2508.05004, Absolute Zero 2505.03335).

    A program's outputs come from the limited child; one that may not be run is a child too, which the gate refuses. So
    is a reply that is malformed, or whose program the child could not decide: its text is empty.

    Args:
        items: "questions"; or "deduction", "abduction", "induction" about programs.
        children: of each parent.
        writer: "policy" is the model in training, or the recipe's trained proposer; else a model folder, a hub name, or
            the name that an endpoint knows.
        backend: of a writer that is not the policy: transformers, vllm or endpoint.
        base_url: address of the endpoint.
        api_key_env: environment variable with its key.
        temperature: of the writer.
        max_tokens: length limit of a reply.

    Raises:
        ValueError: for an unknown kind of items, or no children.

    Example:
        >>> from selfrl.generation import Generation
        >>> class Writer:
        ...     def generate(self, prompts, sampling):
        ...         reply = "```python\\ndef f(x):\\n    return x + 1\\n```\\n```input\\n41\\n```"
        ...         return [[Generation(reply, "stop", 9, 9)] for _ in prompts]
        >>> [child] = ProposerCreator("deduction").create([Parent(Entry.of_seed("def f(): ..."))], 0, Writer())
        >>> "f(41)" in child.text, ProgramItem.from_columns(child.columns).outputs
        (True, ('42',))
    """

    def __init__(
        self,
        items: str = "questions",
        children: int = 1,
        writer: str = POLICY,
        backend: Backend = "transformers",
        base_url: str | None = None,
        api_key_env: str | None = None,
        temperature: float = 1.0,
        max_tokens: int = 2048,
    ) -> None:
        if children < 1:
            raise ValueError(f"children is {children}: take 1 or more.")
        self.items, self.children = checked_items(items), children
        self.writer = Writer(writer, backend, base_url, api_key_env)
        self.temperature, self.max_tokens = temperature, max_tokens
        self.gives: tuple[str, ...] = () if items == "questions" else (COLUMN,)

    @property
    def needs_policy(self) -> bool:
        """Whether the model in training writes."""
        return self.writer.is_policy

    def requests(self, parents: Sequence[Parent]) -> list[Prompt]:
        """What is asked, one a parent: also what a proposer is trained on."""
        return [[{"role": "user", "content": request_for(self.items, _example(p.entry))}] for p in parents]

    def create(self, parents: Sequence[Parent], seed: int, policy: Generator | None = None) -> list[Entry]:
        """See [`selfrl.selfplay.creator.Creator`].

        Raises:
            ValueError: if the policy is to write and is not given.
        """
        own = seed_of(seed, "proposals")
        sampling = Sampling(self.max_tokens, self.temperature, n=self.children, seed=own)
        groups = self.writer.open(policy).generate(self.requests(parents), sampling)
        return [
            self._child(parent.entry, reply.text, own + number)
            for parent, group in zip(parents, groups, strict=True)
            for number, reply in enumerate(group)
        ]

    def _child(self, parent: Entry, reply: str, seed: int) -> Entry:
        proposed = read_item(reply, self.items)
        if proposed is None or proposed.invalid == UNDECIDED:  # without outputs, and the gate might decide it
            return parent.child("", self.items, self.writer.name, seed)
        columns = {} if proposed.item is None else proposed.item.to_columns()
        return parent.child(proposed.text, self.items, self.writer.name, seed, **columns)


def _example(entry: Entry) -> str:
    """What stands as example: a program as it is, without the question about it."""
    return ProgramItem.from_columns(entry.columns).program if entry.columns.get(COLUMN) else entry.text.strip()
