"""Self-supervised questions about a graph, as text (the graph tasks that SSL4RL, 2510.16416, names; no code is public).

Where an answer could follow from how many neighbours a node has, the wrong ones have as many.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from selfrl.rewards.graph_task import GraphSource, GraphTask, NodeNames, OptionTask, drawn, several, strangers
from selfrl.rewards.pretext_answers import read_word
from selfrl.rewards.pretext_task import FORM, Item, UnusableError


@dataclass(frozen=True)
class NeighbourPrediction(OptionTask):
    """Which option is a neighbour of the centre? Its other neighbours are given, and those of each option.

    The edge that is asked about is in neither list. Wrong options show as many neighbours as the right one.

    Example:
        >>> import networkx as nx
        >>> graph = nx.karate_club_graph()
        >>> item = NeighbourPrediction().make(GraphSource(graph, tuple(graph)), random.Random(1))
        >>> item.answer, item.images
        ('4', [])
    """

    name: ClassVar[str] = "neighbour"

    def make(self, source: GraphSource, rng: random.Random) -> Item:
        """See the class."""
        graph = source.graph
        centre = drawn(rng, source.centres)
        right = drawn(rng, graph[centre])
        others = strangers(source, centre, graph.degree[right] - 1, {right})
        wrong = several(rng, others, self.options_shown - 1)
        names = NodeNames(rng, graph)
        known = [n for n in graph[centre] if n != right]
        lists = {node: [n for n in graph[node] if n != centre] for node in (right, *wrong)}
        self.check_shown(known, *lists.values())
        texts = [f"{names(node)}, whose other neighbours are {names.all(lists[node])}" for node in (right, *wrong)]
        options, answer = self.numbered_options(texts[0], texts[1:], rng)
        question = (
            f"In a graph, node {names(centre)} has these neighbours: {names.all(known)}, and one more. Which of "
            f"these is it?{options}\nAnswer with the number before it. {FORM}"
        )
        return Item((question,), answer, {"centre": str(centre), "right": str(right), "wrong": [str(n) for n in wrong]})


@dataclass(frozen=True)
class LinkPrediction(GraphTask):
    """Are two nodes joined? Their other neighbours are given; yes is right as often as no.

    Each question begins with an edge. For "no" it gives way to two nodes that are not joined and show as many
    neighbours as the ends of that edge show without it; an edge for which there is no such pair is never asked about,
    so that the numbers of neighbours are the same for both answers.

    Example:
        >>> import networkx as nx
        >>> graph = nx.karate_club_graph()
        >>> LinkPrediction().make(GraphSource(graph, tuple(graph)), random.Random(1)).answer
        'no'
    """

    name: ClassVar[str] = "link"

    def make(self, source: GraphSource, rng: random.Random) -> Item:
        """See the class."""
        graph = source.graph
        centre = drawn(rng, source.centres)
        other = drawn(rng, graph[centre])
        answer = "yes" if rng.random() < 0.5 else "no"
        allowed = set(source.centres)
        firsts = [n for n in source.by_degree.get(graph.degree[centre] - 1, ()) if n in allowed]
        seconds = source.by_degree.get(graph.degree[other] - 1, ())
        apart = [(a, b) for a in firsts for b in seconds if a != b and not graph.has_edge(a, b)]
        if not apart:
            raise UnusableError("no pair with as many neighbours")
        pair = (centre, other) if answer == "yes" else drawn(rng, apart)
        names = NodeNames(rng, graph)
        lists = [[n for n in graph[a] if n != b] for a, b in (pair, pair[::-1])]
        self.check_shown(*lists)
        told = " ".join(f"Node {names(a)} has the neighbours {names.all(n)}." for a, n in zip(pair, lists, strict=True))
        question = (
            f"{told} Whether {names(pair[0])} and {names(pair[1])} are neighbours of each other is left out. Are they, "
            f"yes or no? {FORM}"
        )
        return Item((question,), answer, {"pair": [str(node) for node in pair], "shown": [len(n) for n in lists]})

    @property
    def chance(self) -> float:
        """One of two."""
        return 0.5

    def read(self, said: str) -> str | None:
        """ "yes" or "no"."""
        return read_word(said, {"yes": "yes", "no": "no"})


@dataclass(frozen=True)
class Similarity(OptionTask):
    """Which option has most neighbours in common with the centre, by Jaccard's share? All show as many neighbours.

    Example:
        >>> import networkx as nx
        >>> graph = nx.karate_club_graph()
        >>> item = Similarity(options_shown=2).make(GraphSource(graph, tuple(graph)), random.Random(3))
        >>> item.facts["shares"]
        [0.4, 0.167]
    """

    name: ClassVar[str] = "similarity"

    def make(self, source: GraphSource, rng: random.Random) -> Item:
        """See the class."""
        graph = source.graph
        centre = drawn(rng, source.centres)
        near = set(graph[centre])
        degree = graph.degree[drawn(rng, graph)]
        candidates = [n for n in source.by_degree[degree] if n != centre]
        chosen = several(rng, candidates, self.options_shown)
        shares = {n: len(near & set(graph[n])) / max(len(near | set(graph[n])), 1) for n in chosen}
        right, second, *_ = sorted(chosen, key=lambda n: -shares[n])
        if shares[right] == shares[second]:
            raise UnusableError("equally similar")
        lists = {node: list(graph[node]) for node in chosen}
        self.check_shown(near, *lists.values())
        names = NodeNames(rng, graph)
        texts = {n: f"{names(n)}, with the neighbours {names.all(lists[n])}" for n in chosen}
        options, answer = self.numbered_options(texts[right], [texts[n] for n in chosen if n != right], rng)
        question = (
            f"In a graph, node {names(centre)} has the neighbours {names.all(graph[centre])}. Which of these nodes is "
            "most like it, by the number of common neighbours divided by the number of all neighbours of the two?"
            f"{options}\nAnswer with the number before it. {FORM}"
        )
        facts = {"centre": str(centre), "shares": sorted((round(s, 3) for s in shares.values()), reverse=True)}
        return Item((question,), answer, facts)


@dataclass(frozen=True)
class AttributeMask(OptionTask):
    """What is the hidden attribute of a node, given those of its neighbours?

    Each value is the right one as often as any other, however many nodes have it, and so is each wrong option.

    Args:
        attribute: of the nodes.

    Example:
        >>> import networkx as nx
        >>> graph = nx.karate_club_graph()
        >>> task = AttributeMask(options_shown=2, attribute="club")
        >>> task.make(GraphSource(graph, tuple(graph)), random.Random(0)).facts["value"]
        'Officer'
    """

    attribute: str = "label"
    name: ClassVar[str] = "attribute"

    def make(self, source: GraphSource, rng: random.Random) -> Item:
        """See the class."""
        graph = source.graph
        values = {n: v for n, v in graph.nodes(data=self.attribute) if v is not None}
        kinds = sorted({str(value) for value in values.values()})
        if len(kinds) < self.options_shown:
            raise UnusableError(f"fewer than {self.options_shown} values")
        value = drawn(rng, kinds)
        centre = drawn(rng, [n for n in source.centres if str(values.get(n)) == value])
        wrong = several(rng, [kind for kind in kinds if kind != value], self.options_shown - 1)
        names = NodeNames(rng, graph)
        self.check_shown(graph[centre])
        told = rng.sample([f"{names(n)} ({values.get(n, 'unknown')})" for n in graph[centre]], len(graph[centre]))
        options, answer = self.numbered_options(value, wrong, rng)
        question = (
            f"In a graph, each node has a {self.attribute}. That of node {names(centre)} is hidden. Its neighbours are "
            f"{', '.join(told) or 'none'}. What is its {self.attribute}?{options}\nAnswer with the number before it. "
            f"{FORM}"
        )
        return Item((question,), answer, {"centre": str(centre), "value": value})


GRAPH_TASKS: dict[str, type[GraphTask]] = {
    task.name: task for task in (AttributeMask, NeighbourPrediction, LinkPrediction, Similarity)
}
