"""Questions about graphs, each checked against the graph; wrong answers have as many neighbours as the right one."""

from __future__ import annotations

import random
import re
from collections import Counter

import networkx as nx
import pytest

from selfrl.rewards import PretextReward
from selfrl.rewards.graph import AttributeMask, LinkPrediction, NeighbourPrediction, Similarity
from selfrl.rewards.graph_task import GraphSource, GraphTask
from selfrl.rewards.pretext_task import Item, UnusableError

KARATE = nx.Graph(nx.karate_club_graph())
SOURCE = GraphSource(KARATE, tuple(KARATE))
TASKS: list[GraphTask] = [
    NeighbourPrediction(options_shown=3),
    LinkPrediction(),
    Similarity(options_shown=3),
    AttributeMask(options_shown=2, attribute="club"),
]


def made(task: GraphTask, count: int = 200, seed: int = 0) -> list[Item]:
    rng, items = random.Random(seed), []
    while len(items) < count:
        try:
            items.append(task.make(SOURCE, rng))
        except UnusableError:
            continue
    return items


def question(item: Item) -> str:
    return str(item.content[0])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_answer_is_as_likely_and_read_as_it_is_written(task: GraphTask) -> None:
    items = made(task, 600)
    counts = Counter(item.answer for item in items)
    assert len(counts) == round(1 / task.chance)
    assert max(counts.values()) / 600 < task.chance + 3 * (task.chance * (1 - task.chance) / 600) ** 0.5
    assert all(task.read(item.answer) == item.answer for item in items)
    assert all("<answer>" in question(item) and not item.images for item in items)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_question_follows_from_its_seed(task: GraphTask) -> None:
    assert [question(i) for i in made(task, 5, seed=3)] == [question(i) for i in made(task, 5, seed=3)]
    assert [question(i) for i in made(task, 5, seed=3)] != [question(i) for i in made(task, 5, seed=4)]


def test_the_neighbour_is_one_and_the_others_are_none() -> None:
    for item in made(NeighbourPrediction(options_shown=3)):
        centre, right = int(item.facts["centre"]), int(item.facts["right"])
        wrong = [int(node) for node in item.facts["wrong"]]
        assert KARATE.has_edge(centre, right)
        assert not any(KARATE.has_edge(centre, node) or node == centre for node in wrong)
        assert {KARATE.degree[node] for node in wrong} == {KARATE.degree[right] - 1}
        listed = [len(part.split(", ")) for part in re.findall(r"whose other neighbours are ([\d, ]+)", question(item))]
        assert len(set(listed)) == 1  # so the numbers of neighbours tell nothing


def test_a_link_is_asked_about_with_the_same_numbers_of_neighbours_for_yes_and_no() -> None:
    items = made(LinkPrediction(), 2000)
    for item in items:
        a, b = map(int, item.facts["pair"])
        assert KARATE.has_edge(a, b) == (item.answer == "yes")
    shown = {answer: Counter(tuple(i.facts["shown"]) for i in items if i.answer == answer) for answer in ("yes", "no")}
    assert set(shown["yes"]) == set(shown["no"])
    total = {answer: sum(counts.values()) for answer, counts in shown.items()}
    for degrees, count in shown["yes"].items():
        assert abs(count / total["yes"] - shown["no"][degrees] / total["no"]) < 0.06
    by_degrees_alone = sum(max(shown["yes"][d], shown["no"][d]) for d in shown["yes"]) / len(items)
    assert by_degrees_alone < 0.56


def test_the_most_similar_one_is() -> None:
    for item in made(Similarity(options_shown=3)):
        shares = item.facts["shares"]
        assert shares[0] > shares[1]
        lists = [set(part.split(", ")) for part in re.findall(r"neighbours ([\d, ]+\d)", question(item))]
        centre, options = lists[0], lists[1:]
        jaccard = [len(centre & other) / len(centre | other) for other in options]
        assert jaccard.index(max(jaccard)) + 1 == int(item.answer)
        assert len({len(other) for other in options}) == 1


def test_the_hidden_attribute_is_as_often_each_value() -> None:
    items = made(AttributeMask(options_shown=2, attribute="club"), 400)
    values = Counter(item.facts["value"] for item in items)
    assert max(values.values()) / 400 < 0.58
    for item in items:
        assert KARATE.nodes[int(item.facts["centre"])]["club"] == item.facts["value"]
        assert f"{item.answer}: {item.facts['value']}" in question(item)


def test_nodes_get_new_numbers_for_every_question() -> None:
    asked = {re.search(r"node (\d+)", question(item))[1] for item in made(Similarity(options_shown=2), 60)}  # type: ignore[index]
    assert len(asked) > 15


def test_what_cannot_be_asked_is_said() -> None:
    path = nx.path_graph(3)
    with pytest.raises(UnusableError):
        NeighbourPrediction().make(GraphSource(path, tuple(path)), random.Random(0))
    with pytest.raises(UnusableError, match="fewer than 4 values"):
        AttributeMask(attribute="club").make(SOURCE, random.Random(0))
    with pytest.raises(ValueError, match="undirected"):
        GraphSource(nx.DiGraph([(0, 1)]), (0,))
    with pytest.raises(ValueError, match="No node is left"):
        GraphSource(path, ())
    with pytest.raises(ValueError, match="options_shown of similarity is 1"):
        Similarity(options_shown=1)


def test_the_reward_grades_them() -> None:
    said = ["<answer>yes</answer>", "<answer>No.</answer>", "<answer>maybe</answer>"]
    rewards = PretextReward()(["?"] * 3, said, task=[LinkPrediction().spec()] * 3, answer=["yes"] * 3)
    assert rewards == [1.0, 0.0, 0.0]
