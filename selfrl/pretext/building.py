"""Build a pretext data set from pictures: find duplicates, hold pictures out, write it shard by shard."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfrl.files import whole_file, write_whole
from selfrl.pictures import PictureError, content_hash
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan, shard_counts, write_shard

SPLITS = ("train", "heldout")
PLAN, INDEX = "build.json", "pictures.parquet"

Digests = list[tuple[int, str, str]]  # number, digest, why it cannot be used ("" if it can)
OnDone = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Build:
    """A pretext data set to be written.

    Args:
        pictures: what it is made from.
        items: what is asked about each.
        out: folder of the data set.
        held_out: share of the pictures that go into the split "heldout". A picture goes by its content, so that no
            picture, nor a copy of it, is ever in both.
        max_dropped: share of a task's items that may be dropped.
        processes: side by side.
        pictures_per_shard: pictures to a file.

    Raises:
        ValueError: for a share outside 0 and 1, or a number below 1.
    """

    pictures: PictureSource
    items: ItemPlan
    out: Path
    held_out: float = 0.1
    max_dropped: float = 0.05
    processes: int = 1
    pictures_per_shard: int = 128

    def __post_init__(self) -> None:
        for name in ("held_out", "max_dropped"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it is a share, from 0 to 1.")
        for name, value in (
            ("processes", self.processes),
            ("per_picture", self.items.per_picture),
            ("max_pixels", self.items.max_pixels),
            ("pictures_per_shard", self.pictures_per_shard),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be 1 or more.")

    def facts(self) -> dict[str, Any]:
        """What decides the data set's content."""
        return {
            "pictures": self.pictures.where,
            "column": self.pictures.column,
            "disparity": self.pictures.disparity,
            "fingerprint": self.pictures.fingerprint(),
            "tasks": [{**json.loads(task.spec()), "stage": stage} for task, stage in self.items.tasks],
            "per_picture": self.items.per_picture,
            "max_pixels": self.items.max_pixels,
            "seed": self.items.seed,
            "held_out": self.held_out,
            "pictures_per_shard": self.pictures_per_shard,
        }


def build(wanted: Build, on_done: OnDone = lambda what, done, total: None) -> dict[str, int]:
    """Write the data set, or what is missing of it, and count.

    Args:
        wanted: the data set.
        on_done: told what is under way, how much of it is done, and of how much.

    Returns:
        `pictures`, `duplicates`, `unreadable` pictures by reason, and for each task `TASK/kept` and `TASK/why not`.

    Raises:
        ValueError: for a folder that holds another build; or, with everything written, if more of a task than
            `max_dropped` was dropped.
    """
    _claim(wanted)
    with _workers(wanted.processes) as executor:
        digests = _index(wanted, executor, on_done)
        unique: dict[str, int] = {}
        for number, digest, why in digests:
            if not why:
                unique.setdefault(digest, number)
        jobs = list(_missing_shards(wanted, unique))
        running = [executor.submit(write_shard, path, wanted.items, wanted.pictures, *rows) for path, rows in jobs]
        for done, future in enumerate(as_completed(running), start=1):
            future.result()
            on_done("shards", done, len(jobs))
    counts = Counter({"pictures": len(digests), "duplicates": sum(not why for *_, why in digests) - len(unique)})
    counts.update(Counter(f"pictures {why}" for *_, why in digests if why))
    for path in sorted(wanted.out.glob("*-*.parquet")):
        counts.update(shard_counts(path))
    write_whole(wanted.out / "counts.json", json.dumps(counts, indent=1) + "\n")
    _check_dropped(wanted, counts)
    return dict(counts)


def _claim(wanted: Build) -> None:
    """Note down what the folder is for; another build in it is refused."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    path, text = wanted.out / PLAN, json.dumps(wanted.facts(), indent=1) + "\n"
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{wanted.out} holds another build: name another folder with --out, or remove it.")
    write_whole(path, text)


def _index(wanted: Build, executor: Executor, on_done: OnDone) -> Digests:
    """Digest of every picture, so that equal ones are found before anything is made of them."""
    path = wanted.out / INDEX
    if not path.exists():
        size, count = wanted.pictures_per_shard, len(wanted.pictures)
        chunks = [range(start, min(start + size, count)) for start in range(0, count, size)]
        digests: Digests = []
        for done, found in enumerate(executor.map(digests_of, [wanted.pictures] * len(chunks), chunks), start=1):
            digests += found
            on_done("pictures", min(done * size, count), count)
        columns = dict(zip(("number", "picture", "unusable"), map(list, zip(*digests, strict=True)), strict=True))
        columns["name"] = [wanted.pictures.name(number) for number, *_ in digests]
        with whole_file(path) as part:
            pq.write_table(pa.table(columns), part)
    table = pq.read_table(path, columns=["number", "picture", "unusable"]).to_pydict()
    return list(zip(*table.values(), strict=True))


def digests_of(pictures: PictureSource, numbers: Sequence[int]) -> Digests:
    """Digests of some pictures."""
    found: Digests = []
    for number in numbers:
        try:
            found.append((number, content_hash(pictures.read(number)), ""))
        except PictureError as error:
            found.append((number, "", str(error)))
    return found


def split_of(digest: str, held_out: float) -> str:
    """The split of a picture, by its content alone.

    >>> split_of("00000000" + "a" * 24, 0.1), split_of("ffffffff" + "a" * 24, 0.1)
    ('heldout', 'train')
    """
    return "heldout" if int(digest[:8], 16) < held_out * 2**32 else "train"


def _missing_shards(wanted: Build, unique: dict[str, int]) -> Iterator[tuple[Path, tuple[Any, Any]]]:
    for split in SPLITS:
        rows = [(number, digest) for digest, number in unique.items() if split_of(digest, wanted.held_out) == split]
        needs_others = any(task.needs_other for task, _ in wanted.items.tasks)
        for shard, start in enumerate(range(0, len(rows), wanted.pictures_per_shard)):
            path = wanted.out / f"{split}-{shard:05d}.parquet"
            if not path.exists():
                yield path, (rows[start : start + wanted.pictures_per_shard], rows if needs_others else [])


def _check_dropped(wanted: Build, counts: Counter[str]) -> None:
    for name in dict.fromkeys(task.name for task, _ in wanted.items.tasks):
        of_task = Counter({key.partition("/")[2]: n for key, n in counts.items() if key.startswith(f"{name}/")})
        stages = sum(task.name == name for task, _ in wanted.items.tasks)
        for key, n in counts.items():
            if key.startswith("pictures "):  # that could not be read, so that nothing was made of them
                of_task[key.removeprefix("pictures ")] += n * stages * wanted.items.per_picture
        dropped = {why: n for why, n in of_task.items() if why != "kept"}
        total = sum(of_task.values())
        if total == 0 or sum(dropped.values()) > wanted.max_dropped * total:
            reasons = ", ".join(f"{n} {why}" for why, n in sorted(dropped.items(), key=lambda pair: -pair[1]))
            raise ValueError(
                f"{sum(dropped.values())} of {total} items of {name} were dropped ({reasons or 'no usable picture'}), "
                f"more than {wanted.max_dropped:.0%}: give other pictures or options, or raise --max_dropped."
            )


class _Here(Executor):
    """Runs in this process, when it is asked to."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _workers(processes: int) -> Iterator[Executor]:
    if processes == 1:
        yield _Here()
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ValueError(
                "A process was ended, perhaps for memory: the same command goes on; take fewer --processes."
            ) from error
