"""Prompts that a language model rewrites, in depth and in breadth (Evol-Instruct, 2304.12244, as eva uses it)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, get_args

from selfrl.generation import Generator, Prompt, Sampling, seed_of
from selfrl.generation.load import Backend
from selfrl.preferences.templates import fill, read_tag
from selfrl.selfplay.creator import Parent
from selfrl.selfplay.pool import Entry
from selfrl.selfplay.writer import POLICY, Writer

Keep = Literal["all", "last"]
LINKS = 4
_TASK = {
    "constraints": "Add one more condition or requirement to it.",
    "deepen": "Ask for more depth: make its matter go further than it does.",
    "concretise": "Put something specific in the place of what is general in it.",
    "reasoning": "Make it need several more steps of reasoning, if it can be answered in one or two.",
    "breadth": "Write another question of the same domain, of the same length and difficulty, that is rarer.",
}
OPERATORS = tuple(_TASK)
REQUEST = """Below is a question. {{ task }} The new question must be complete in itself, must have one answer that \
can be checked, and must be understood by people. Never answer it, and add at most {{ words }} words to it.

<question>
{{ question }}
</question>

Reply in this form, with nothing after it:
<new_question>the new question</new_question>"""


class EvolCreator:
    """Rewrites each prompt in a chain: number k rewrites number k − 1, by an operator that is drawn.

    A reply without the tags is taken as it stands; a link that came back empty ends its chain. Children have no answer,
    so they are for rewards that need none.

    Args:
        writer: "policy" is the model in training; else a model folder, a hub name, or the name that an endpoint knows.
        backend: of a writer that is not the policy: transformers, vllm or endpoint.
        base_url: address of the endpoint.
        api_key_env: environment variable with its key.
        links: of a chain.
        keep: "all" links, as the authors do, or the "last" alone.
        operators: among which each link's is drawn, names of [`OPERATORS`].
        request: Jinja template of what is asked, with `task`, `question` and `words`.
        temperature: 1.0 is the authors' code.
        max_tokens: length limit of a reply.
        words: that a link may add.

    Raises:
        ValueError: for an unknown operator or `keep`, or no links.

    Example:
        >>> from selfrl.generation import Generation
        >>> class Writer:
        ...     def generate(self, prompts, sampling):
        ...         reply = Generation("<new_question>Add 3 and 4 and 5.</new_question>", "stop", 9, 9)
        ...         return [[reply] for _ in prompts]
        >>> [child] = EvolCreator(links=1).create([Parent(Entry.of_seed("Add 3 and 4."))], seed=0, policy=Writer())
        >>> child.text, child.depth, child.writer
        ('Add 3 and 4 and 5.', 1, 'policy')
    """

    gives: tuple[str, ...] = ()

    def __init__(
        self,
        writer: str = POLICY,
        backend: Backend = "transformers",
        base_url: str | None = None,
        api_key_env: str | None = None,
        links: int = LINKS,
        keep: Keep = "all",
        operators: Sequence[str] = OPERATORS,
        request: str = REQUEST,
        temperature: float = 1.0,
        max_tokens: int = 512,
        words: int = 20,
    ) -> None:
        unknown = set(operators) - set(OPERATORS)
        if unknown or not operators:
            raise ValueError(f"The operators {sorted(unknown)} are unknown: take some of {', '.join(OPERATORS)}.")
        if keep not in get_args(Keep) or links < 1:
            raise ValueError(f"links is {links} and keep {keep!r}: take 1 link or more, and all or last.")
        self.writer, self.links, self.keep = Writer(writer, backend, base_url, api_key_env), links, keep
        self.operators, self.request, self.words = tuple(operators), request, words
        self.temperature, self.max_tokens = temperature, max_tokens

    @property
    def needs_policy(self) -> bool:
        """Whether the model in training writes."""
        return self.writer.is_policy

    def create(self, parents: Sequence[Parent], seed: int, policy: Generator | None = None) -> list[Entry]:
        """See [`selfrl.selfplay.creator.Creator`].

        Raises:
            ValueError: if the policy is to write and is not given.
        """
        writer = self.writer.open(policy)
        chains: list[list[Entry]] = [[] for _ in parents]
        for link in range(self.links):
            going = [i for i, chain in enumerate(chains) if len(chain) == link]
            heads = [chains[i][-1] if chains[i] else parents[i].entry for i in going]
            drawn = [random.Random(f"{seed}/{i}/{link}").choice(self.operators) for i in going]
            asked: list[Prompt] = [
                [{"role": "user", "content": self._asked(operator, head)}]
                for operator, head in zip(drawn, heads, strict=True)
            ]
            own = seed_of(seed, "link", link)
            replies = writer.generate(asked, Sampling(self.max_tokens, self.temperature, seed=own)) if asked else []
            for i, operator, head, group in zip(going, drawn, heads, replies, strict=True):
                text = new_question(group[0].text) if group else ""
                if text:
                    chains[i].append(head.child(text, operator, self.writer.name, own))
        if self.keep == "all":
            return [child for chain in chains for child in chain]
        last = [(chain[-1], parent.entry) for chain, parent in zip(chains, parents, strict=True) if chain]
        return [child.under(parent) for child, parent in last]

    def _asked(self, operator: str, head: Entry) -> str:
        values = {"task": _TASK[operator], "question": head.text, "words": self.words}
        return fill(self.request, values, "the creator's request")


def new_question(reply: str) -> str:
    """What stands between the tags of a reply, or all of it without them.

    >>> new_question("Sure. <new_question> Add 3. </new_question>"), new_question(" Add 4. ")
    ('Add 3.', 'Add 4.')
    """
    return (read_tag(reply, "new_question") or reply).strip()
