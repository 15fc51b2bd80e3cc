"""`selfrl pretext build PICTURES --task jigsaw --grid 3 …`: a data set of self-supervised questions.

PICTURES is a folder, a .parquet, .npy or .npz file, or a hub data set (NAME#split); for a graph task, an edge list or
networkx:karate_club. Options of a task stand behind it; several tasks are mixed:

    selfrl pretext build photos --task rotation --task jigsaw --grid 3 --out runs/pretext/photos

writes train-*.parquet, heldout-*.parquet, counts.json and contact_sheet.png into that folder, which is the `dataset` of
a recipe. What was written stays when it is killed, and the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from selfrl.data.loading import load_rows
from selfrl.pretext.building import Build, build
from selfrl.pretext.contact_sheet import contact_sheet
from selfrl.pretext.graph_building import GraphBuild, build_graph, read_graph
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan
from selfrl.rewards.graph import GraphTask
from selfrl.rewards.pretext import TASKS
from selfrl.rewards.pretext_task import PretextTask
from selfrl.rewards.vision import PictureTask
from selfrl.suggest import refuse_unknown
from selfrl.tables import wrapping_table

SHEET_ROWS = 8


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: selfrl pretext build …\n\n{__doc__}\nTasks: {', '.join(TASKS)}.")
        return 0
    if argv[0] != "build":
        raise ValueError(f"{argv[0]!r} is no command of `selfrl pretext`: it has `build`.")
    general, chosen = split_tasks(argv[1:])
    args = _parser().parse_args(general)
    console = Console(markup=False, highlight=False)
    tasks = [built(name, options, args.stages) for name, options in chosen]
    if not tasks:
        raise ValueError(f"No task is named: add --task with one of {', '.join(TASKS)}.")
    pairs = tuple(pair for task in tasks for pair in task)
    out = args.out or Path("runs/pretext") / "_".join(dict.fromkeys(task.name for task, _ in pairs))
    kinds = {isinstance(task, GraphTask) for task, _ in pairs}
    if len(kinds) > 1:
        raise ValueError("Tasks about pictures and about a graph cannot be mixed: build two data sets.")
    counts = _graph(args, pairs, out) if kinds == {True} else _pictures(args, pairs, out, console)
    console.print(wrapping_table(["what", "count"], [[name, f"{n:,}"] for name, n in counts.items()]))
    console.print(f"{out} holds the data set: `dataset: {out}` in a recipe, with dataset_split train or heldout.")
    return 0


def _pictures(args: Any, pairs: tuple[tuple[PictureTask, int], ...], out: Path, console: Console) -> dict[str, int]:
    items = ItemPlan(pairs, args.per_picture, args.max_pixels, args.seed)
    source = PictureSource(args.source, args.column, args.disparity)
    wanted = Build(source, items, out, args.held_out, args.max_dropped, args.processes)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done)

        counts = build(wanted, advance)
    rows = load_rows(str(out), f"train[:{SHEET_ROWS}]")
    contact_sheet(list(rows)).save(out / "contact_sheet.png")
    return counts


def _graph(args: Any, pairs: tuple[tuple[GraphTask, int], ...], out: Path) -> dict[str, int]:
    graph = read_graph(args.source, args.nodes)
    return build_graph(GraphBuild(graph, pairs, out, args.items, args.held_out, args.seed))


def split_tasks(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The tasks with their options, which stand behind each `--task`, and everything else.

    Raises:
        ValueError: for an unknown task, or an option without a value.

    Example:
        >>> split_tasks(["photos", "--task", "jigsaw", "--grid", "3", "--seed", "1"])
        (['photos', '--seed', '1'], [('jigsaw', {'grid': '3'})])
    """
    general: list[str] = []
    tasks: list[tuple[str, dict[str, str]]] = []
    rest = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while rest:
        word = rest.pop(0)
        option = word.removeprefix("--").replace("-", "_")
        own = TASKS[tasks[-1][0]].options() if tasks else []
        if word == "--task" or (word.startswith("--") and option in own):
            if not rest:
                raise ValueError(f"{word} has no value: give one.")
            value = rest.pop(0)
            if word == "--task":
                refuse_unknown("pretext task", value, TASKS, "on the command line")
                tasks.append((value, {}))
            else:
                tasks[-1][1][option] = value
        else:
            general.append(word)
    return general, tasks


def built(name: str, options: dict[str, str], stages: bool) -> list[tuple[Any, int]]:
    """A task with its options, typed as they are declared; at each of its stages, if these are asked for.

    Raises:
        ValueError: for a value of a wrong kind.

    Example:
        >>> built("rotation", {"step": "45"}, False)
        [(Rotation(min_side=28, step=45), 0)]
        >>> [task.grid for task, _ in built("jigsaw", {}, True)]
        ['2x1', '2x2', '3x3']
    """
    default: PretextTask = TASKS[name]()
    typed: dict[str, Any] = {}
    for option, value in options.items():
        kind = type(getattr(default, option))
        try:
            typed[option] = value.lower() in ("true", "1", "yes") if kind is bool else kind(value)
        except ValueError as error:
            raise ValueError(f"--{option} of {name} is {value!r}: it must be {kind.__name__}.") from error
    task = type(default)(**typed)
    return [(task.at_stage(stage), stage) for stage in range(len(task.stages))] if stages else [(task, 0)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="selfrl pretext build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="folder, file, hub data set, or graph")
    parser.add_argument("--out", type=Path, help="folder of the data set; runs/pretext/TASKS by default")
    parser.add_argument("--stages", action="store_true", help="each task at all its stages, for a curriculum")
    parser.add_argument("--column", help="column of pictures, of a Parquet file or hub data set")
    parser.add_argument("--disparity", help="folder with an array (.npy) of each picture's name, for depth_order")
    parser.add_argument("--per_picture", type=int, default=1, help="items of each task about each picture (1)")
    parser.add_argument(
        "--max_pixels", type=int, default=768 * 28 * 28, help="of a prompt's pictures together (768 tokens of 28 x 28)"
    )
    parser.add_argument("--held_out", type=float, default=0.1, help="share of pictures, or nodes, held out (0.1)")
    parser.add_argument("--max_dropped", type=float, default=0.05, help="share of items that may be dropped (0.05)")
    parser.add_argument("--processes", type=int, default=2, help="side by side (2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nodes", help="table of a graph's nodes (.csv), with their attributes")
    parser.add_argument("--items", type=int, default=1000, help="questions about a graph (1000)")
    return parser
