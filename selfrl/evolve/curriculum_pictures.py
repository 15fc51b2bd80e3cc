"""Pictures of a curriculum, as PNG in text for a page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure

from selfrl.evolve.curriculum_views import RoundView
from selfrl.selfplay.curriculum_figures import BINS
from selfrl.selfplay.pool import Entry, PromptPool

TREES = 6  # seeds whose descent is drawn


def pictures(pool: PromptPool, rounds: Sequence[RoundView]) -> dict[str, str]:
    """Title → a picture as a data address."""
    drawn: dict[str, Callable[[Any], None]] = {}
    if any(view.bins and sum(view.bins) for view in rounds):
        drawn["Scored prompts by their solve rate"] = lambda axis: _rates(axis, rounds)
    if any(view.children for view in rounds):
        drawn["What became of the children"] = lambda axis: _gate(axis, rounds)
    if any(view.accepted for view in rounds):
        drawn["How far the accepted are from their seeds"] = lambda axis: _depth(axis, rounds)
    if any(view.vote_share is not None for view in rounds):
        drawn["Vote share against right labels"] = lambda axis: _votes(axis, rounds)
    if any(entry.depth for entry in pool):
        drawn["Descent from the seeds with the longest lineages"] = lambda axis: _trees(axis, pool)
    return {title: _png(draw) for title, draw in drawn.items()}


def _png(draw: Callable[[Any], None]) -> str:
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    draw(figure.subplots())
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


def _stacked(axis: Any, rounds: Sequence[RoundView], parts: dict[str, list[float]], colours: Sequence[Any]) -> None:
    below = [0.0] * len(rounds)
    for (name, values), colour in zip(parts.items(), colours, strict=False):
        axis.bar([view.number for view in rounds], values, bottom=below, label=name, color=colour)
        below = [b + v for b, v in zip(below, values, strict=True)]
    axis.set(xlabel="round", ylabel="prompts", xticks=[view.number for view in rounds])
    axis.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def _rates(axis: Any, rounds: Sequence[RoundView]) -> None:
    parts = {name: [float(view.bins[i]) if view.bins else 0.0 for view in rounds] for i, name in enumerate(BINS)}
    _stacked(axis, rounds, parts, [(0.75 - 0.1 * i, 0.25 + 0.08 * i, 0.3 + 0.05 * i) for i in range(len(BINS))])


def _gate(axis: Any, rounds: Sequence[RoundView]) -> None:
    names = list(dict.fromkeys(name for view in rounds for name in view.refused))
    parts = {"accepted": [float(view.accepted) for view in rounds]}
    parts |= {name.replace("_", " "): [float(view.refused.get(name, 0)) for view in rounds] for name in names}
    _stacked(axis, rounds, parts, ["#2e8b57", *(f"C{i}" for i in (1, 3, 4, 5, 6, 7, 8, 9, 0)), "black"])


def _depth(axis: Any, rounds: Sequence[RoundView]) -> None:
    some = [view for view in rounds if view.accepted]  # a round under way has no depth yet
    axis.plot([v.number for v in some], [v.descent.mean_depth for v in some], marker="o", label="mean")
    axis.plot([v.number for v in some], [v.descent.max_depth for v in some], marker="o", label="most")
    axis.set(xlabel="round", ylabel="steps", xticks=[view.number for view in rounds])
    axis.legend(fontsize="small")


def _votes(axis: Any, rounds: Sequence[RoundView]) -> None:
    for label, values in (("vote share", [v.vote_share for v in rounds]), ("right labels", [v.right for v in rounds])):
        points = [(view.number, value) for view, value in zip(rounds, values, strict=True) if value is not None]
        if points:
            axis.plot(*zip(*points, strict=True), marker="o", label=label)
    axis.set(xlabel="round", ylim=(0, 1.02), xticks=[view.number for view in rounds])
    axis.legend(fontsize="small")


def _trees(axis: Any, pool: PromptPool) -> None:
    """Each column a seed, each dot a prompt, as high as it is deep, under its parent."""
    families: dict[str, list[Entry]] = {}
    for entry in pool:
        families.setdefault(entry.root, []).append(entry)
    largest = sorted(families.values(), key=lambda family: (-max(entry.depth for entry in family), -len(family)))[
        :TREES
    ]
    for column, family in enumerate(largest):
        levels: dict[int, list[str]] = {}
        for entry in family:
            levels.setdefault(entry.depth, []).append(entry.id)
        place = {
            name: column + (i + 0.5) / len(names) * 0.8 for names in levels.values() for i, name in enumerate(names)
        }
        for entry in family:
            if entry.parent is not None:
                above = pool[entry.parent].depth  # not one less where the link between them was refused
                axis.plot([place[entry.parent], place[entry.id]], [above, entry.depth], color="#b9c0c7", lw=0.7)
        axis.scatter([place[e.id] for e in family], [e.depth for e in family], s=12, zorder=2)
    axis.set(ylabel="steps from the seed", xticks=[])
    axis.yaxis.get_major_locator().set_params(integer=True)
