"""What a self-supervised question about a graph is made of.

Nodes get new numbers for every question, so that neither a name nor its place in the data can tell. Where an answer is
the number of an option, the right one stands anywhere.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from selfrl.rewards.pretext_answers import numbers, read_word
from selfrl.rewards.pretext_task import Item, PretextTask, UnusableError, one_of

Node = Hashable


@dataclass(frozen=True)
class GraphSource:
    """What questions about a graph are made from.

    Args:
        graph: undirected, without loops.
        centres: nodes that may be asked about; held-out ones are others.

    Raises:
        ValueError: for a directed graph, or no centres.
    """

    graph: Any
    centres: tuple[Node, ...]

    def __post_init__(self) -> None:
        if self.graph.is_directed() or self.graph.is_multigraph():
            raise ValueError("Graph questions need an undirected graph with single edges: convert it.")
        if not self.centres:
            raise ValueError("No node is left to ask about: give more nodes, or hold out fewer.")

    @cached_property
    def by_degree(self) -> dict[int, list[Node]]:
        """Nodes by their number of neighbours, in the graph's order."""
        found: dict[int, list[Node]] = {}
        for node, degree in self.graph.degree:
            found.setdefault(degree, []).append(node)
        return found


@dataclass(frozen=True)
class GraphTask(PretextTask):
    """Base of the questions about graphs.

    Args:
        most_shown: neighbours of a node that a question may list.
    """

    most_shown: int = 40

    def check_shown(self, *lists: Collection[Node]) -> None:
        """Refuse lists of neighbours that are too long to show.

        Raises:
            UnusableError: for one longer than `most_shown`.
        """
        if max(map(len, lists)) > self.most_shown:
            raise UnusableError("too many neighbours")

    @abstractmethod
    def make(self, source: GraphSource, rng: random.Random) -> Item:
        """A question about one centre.

        Raises:
            UnusableError: where the centre that was drawn cannot be asked about.
        """


@dataclass(frozen=True)
class OptionTask(GraphTask):
    """A question whose answer is the number of an option.

    Raises:
        ValueError: for fewer than 2 options, or more than 9.
    """

    options_shown: int = 4
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"options_shown": 2}, {"options_shown": 4}, {"options_shown": 6})

    def __post_init__(self) -> None:
        if not 2 <= self.options_shown <= 9:
            raise ValueError(f"options_shown of {self.name} is {self.options_shown}: it must be from 2 to 9.")

    @property
    def chance(self) -> float:
        """One option of all."""
        return 1 / self.options_shown

    def read(self, said: str) -> str | None:
        """The number of an option."""
        return read_word(said, numbers(self.options_shown))

    def numbered_options(self, right: str, wrong: Sequence[str], rng: random.Random) -> tuple[str, str]:
        """The options, one a line, in a random order, and the number of the right one."""
        texts = [right, *wrong]
        order = rng.sample(range(len(texts)), len(texts))
        lines = "".join(f"\n{number}: {texts[i]}" for number, i in enumerate(order, start=1))
        return lines, str(order.index(0) + 1)


class NodeNames:
    """New numbers for the nodes of one question, and lists of them in a random order."""

    def __init__(self, rng: random.Random, graph: Any) -> None:
        self.rng = rng
        self.numbers = dict(zip(graph, rng.sample(range(1, len(graph) + 1), len(graph)), strict=True))

    def __call__(self, node: Node) -> str:
        """The number of a node in this question."""
        return str(self.numbers[node])

    def all(self, nodes: Iterable[Node]) -> str:
        """The numbers of some nodes, mixed."""
        found = [self(node) for node in nodes]
        return ", ".join(self.rng.sample(found, len(found))) or "none"


def drawn(rng: random.Random, choices: Iterable[Any]) -> Any:
    """One of some choices.

    Raises:
        UnusableError: without any.
    """
    found = list(choices)
    if not found:
        raise UnusableError("nothing to choose from")
    return one_of(rng, found)


def several(rng: random.Random, choices: Sequence[Any], count: int) -> list[Any]:
    """Some of them, none twice.

    Raises:
        UnusableError: if there are not so many.
    """
    if len(choices) < count:
        raise UnusableError("too few nodes with as many neighbours")
    return rng.sample(list(choices), count)


def strangers(source: GraphSource, centre: Node, degree: int, barred: set[Node]) -> list[Node]:
    """Nodes of a degree that are neither the centre nor its neighbours."""
    joined: Callable[[Node], bool] = source.graph[centre].__contains__
    return [n for n in source.by_degree.get(degree, ()) if n != centre and n not in barred and not joined(n)]
