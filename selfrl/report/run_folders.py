"""Which folders hold runs, and what to call them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from selfrl.monitor.run_file import RUN

METRICS = "metrics.jsonl"
_SEED = re.compile(r"seed(\d+)")


class RunFolder(NamedTuple):
    """Where a run lies.

    Args:
        path: its folder.
        arm: what runs that differ by their seed alone share.
        seed: told by the folder's name in a comparison; None elsewhere.
    """

    path: Path
    arm: str
    seed: int | None

    @property
    def name(self) -> str:
        """Name of the run.

        >>> RunFolder(Path("out/random/seed1"), "random", 1).name
        'random seed1'
        """
        return self.arm if self.seed is None else f"{self.arm} seed{self.seed}"


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs in some folders, each once, under names that differ.

    Args:
        paths: folders of runs, whose controls come with them, or folders that hold these one or two levels down, as a
            comparison's does.

    Raises:
        ValueError: for a folder without a run.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path] if _holds_run(path) else _below(path)
        if not inside:
            raise ValueError(
                f"{path} is no run and holds none: name an output folder of `selfrl train` or `selfrl compare`, "
                f"with {METRICS} in it."
            )
        whole = [run.resolve() for one in inside for run in (one, *_below(one / "controls"))]
        found += [folder for folder in dict.fromkeys(whole) if folder not in found]
    return named(found)


def named(folders: Sequence[Path]) -> list[RunFolder]:
    """Runs by the last names of their folders, and as many names before these as tell them apart.

    >>> [run.name for run in named([Path("/a/x/seed0"), Path("/b/x/seed0"), Path("/c")])]
    ['a/x seed0', 'b/x seed0', 'c']
    """
    for depth in range(1, max((len(folder.parts) for folder in folders), default=0) + 1):
        runs = [_run(folder, depth) for folder in folders]
        if len({run.name for run in runs}) == len(runs):
            return runs
    return []


def _holds_run(folder: Path) -> bool:
    return (folder / METRICS).is_file() or (folder / RUN).is_file()


def _below(folder: Path) -> list[Path]:
    inside = {
        file.parent for depth in ("*", "*/*") for name in (METRICS, RUN) for file in folder.glob(f"{depth}/{name}")
    }
    return sorted(inside, key=lambda run: (run.parent, len(run.name), run.name))  # seed2 before seed10


def _run(folder: Path, depth: int) -> RunFolder:
    seed = _SEED.fullmatch(folder.name)
    base = folder.parent if seed else folder
    parts = [part for part in base.parts if part != base.anchor]
    return RunFolder(folder, "/".join(parts[-depth:]), int(seed[1]) if seed else None)
