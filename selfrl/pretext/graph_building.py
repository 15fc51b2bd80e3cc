"""Build a pretext data set of text questions from a graph."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
from datasets import Dataset

from selfrl.files import whole_file
from selfrl.pretext.building import SPLITS, split_of
from selfrl.rewards.graph import GraphSource, GraphTask
from selfrl.rewards.pretext_task import UnusableError

PACKAGED = {
    "karate_club": nx.karate_club_graph,
    "les_miserables": nx.les_miserables_graph,
    "florentine_families": nx.florentine_families_graph,
}
_TRIES = 50  # an item; most graphs have centres that few others are like


@dataclass(frozen=True)
class GraphBuild:
    """A data set of questions about a graph.

    Args:
        graph: see [`read_graph`].
        tasks: (task, stage); each has its share of the questions.
        out: folder of the data set.
        items: questions in all, of both splits.
        held_out: share of the nodes that only the split "heldout" asks about.
        seed: of everything that is drawn.

    Raises:
        ValueError: for no items, or a share outside 0 and 1.
    """

    graph: Any
    tasks: tuple[tuple[GraphTask, int], ...]
    out: Path
    items: int = 1000
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.items < 1:
            raise ValueError(f"items is {self.items}: it must be 1 or more.")
        if not 0 <= self.held_out <= 1:
            raise ValueError(f"held_out is {self.held_out}: it is a share, from 0 to 1.")


def build_graph(wanted: GraphBuild) -> dict[str, int]:
    """Write both splits, and count: `TASK/kept`, and `TASK/why not` of the draws that led to no question.

    Raises:
        ValueError: for a graph that a task finds nothing to ask about.
    """
    counts: Counter[str] = Counter()
    wanted.out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        centres = tuple(n for n in wanted.graph if split_of(_digest(n), wanted.held_out) == split)
        share = wanted.held_out if split == "heldout" else 1 - wanted.held_out
        if share == 0:
            continue
        source = GraphSource(wanted.graph, centres)
        rows = []
        for task, stage in wanted.tasks:
            count = max(round(wanted.items * share / len(wanted.tasks)), 1)
            rows += _rows(source, task, stage, count, random.Random(f"{wanted.seed}/{split}/{task.spec()}"), counts)
        with whole_file(wanted.out / f"{split}-00000.parquet") as part:
            Dataset.from_list(rows).to_parquet(part)
    return dict(counts)


def _rows(
    source: GraphSource, task: GraphTask, stage: int, count: int, rng: random.Random, counts: Counter[str]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for _ in range(_TRIES * count):
        if len(rows) == count:
            break
        try:
            item = task.make(source, rng)
        except UnusableError as error:
            counts[f"{task.name}/{error}"] += 1
            continue
        counts[f"{task.name}/kept"] += 1
        prompt = [{"role": "user", "content": str(item.content[0])}]
        facts = json.dumps(item.facts)
        rows.append({"prompt": prompt, "answer": item.answer, "task": task.spec(), "stage": stage, "facts": facts})
    if len(rows) < count:
        why = ", ".join(f"{n} {key.partition('/')[2]}" for key, n in counts.items() if key.startswith(f"{task.name}/"))
        raise ValueError(f"The graph gives only {len(rows)} of {count} questions of {task.name} ({why}).")
    return rows


def _digest(node: Any) -> str:
    return hashlib.sha256(str(node).encode()).hexdigest()


def read_graph(where: str, nodes: str | None = None) -> Any:
    """An undirected graph without loops.

    Args:
        where: a .csv, .tsv, .txt or .edgelist file with two nodes a line (further columns, and a line that begins with
            "#", are left out), or "networkx:NAME" with a graph that networkx ships.
        nodes: a .csv file with a header; its first column are nodes, the others their attributes.

    Raises:
        ValueError: for a file that holds no edges, an unknown name, or a node table with nodes that have no edge alone.
        OSError: for a file that does not exist.

    Example:
        >>> len(read_graph("networkx:karate_club"))
        34
    """
    kind, _, name = where.partition(":")
    if kind == "networkx":
        if name not in PACKAGED:
            raise ValueError(f"networkx ships no graph {name!r} that is used here: choose among {', '.join(PACKAGED)}.")
        graph = nx.Graph(PACKAGED[name]())
    else:
        graph = nx.Graph(_edges(Path(where)))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    if nodes is not None:
        with Path(nodes).open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                first, *_ = row
                if row[first] in graph:
                    graph.nodes[row[first]].update({k: v for k, v in row.items() if k != first and v})
    if graph.number_of_edges() == 0:
        raise ValueError(f"{where} holds no edges: write two nodes a line.")
    return graph


def _edges(path: Path) -> list[tuple[str, str]]:
    edges = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.split("," if path.suffix == ".csv" else None)
        if len(parts) < 2:
            raise ValueError(f"{path} has no two nodes in line {number}: write one edge a line.")
        edges.append((parts[0].strip(), parts[1].strip()))
    return edges
