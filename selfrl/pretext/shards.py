"""One shard of a pretext data set: from some pictures to a Parquet file, with a count of what was dropped and why."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, List, Value
from datasets import Image as ImageFeature
from PIL import Image

from selfrl.files import whole_file
from selfrl.pictures import PictureError, plain_png
from selfrl.pretext.picture_sources import PictureSource
from selfrl.rewards.pretext_task import Item, UnusableError
from selfrl.rewards.vision import PictureTask, Source

FEATURES = Features(
    {
        "images": List(ImageFeature()),
        "prompt": List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})}),
        "answer": Value("string"),
        "task": Value("string"),
        "stage": Value("int64"),
        "picture": Value("string"),
        "facts": Value("string"),
    }
)
_COUNTS = "selfrl.counts"
ROWS_A_GROUP = 32
_SHRINKS = 4  # tries to come under the pixel budget; rounding can miss it by a little at the first


@dataclass(frozen=True)
class ItemPlan:
    """What is asked about each picture.

    Args:
        tasks: (task, stage) in order; each is asked.
        per_picture: items of each task about each picture.
        max_pixels: of a prompt's pictures together; a source that leads to more is made smaller.
        seed: of everything that is drawn; what a picture gets depends on it, the task and the picture alone.
    """

    tasks: tuple[tuple[PictureTask, int], ...]
    per_picture: int
    max_pixels: int
    seed: int

    def items(self, pictures: PictureSource, number: int, digest: str, others: Sequence[tuple[int, str]]) -> ShardRows:
        """Rows about one picture, and what became of them.

        Args:
            pictures: where it is.
            number: of the picture.
            digest: of its content.
            others: numbers and digests of the pictures that may stand beside it.
        """
        found = ShardRows([], Counter())
        try:
            picture = pictures.read(number)
        except PictureError as error:
            for task, _ in self.tasks:
                found.counts[f"{task.name}/{error}"] += self.per_picture
            return found
        for task, stage in self.tasks:
            for draw in range(self.per_picture):
                rng = random.Random(f"{self.seed}/{task.spec()}/{digest}/{draw}")
                try:
                    source = Source(picture, *self._beside(task, pictures, number, digest, others, rng))
                    item = within_budget(task, source, rng, self.max_pixels)
                except (UnusableError, PictureError) as error:
                    found.counts[f"{task.name}/{error}"] += 1
                    continue
                found.counts[f"{task.name}/kept"] += 1
                found.rows.append(row_of(item, task, stage, digest))
        return found

    def _beside(
        self,
        task: PictureTask,
        pictures: PictureSource,
        number: int,
        digest: str,
        others: Sequence[tuple[int, str]],
        rng: random.Random,
    ) -> tuple[Image.Image | None, Any]:
        other = None
        if task.needs_other:
            if len(others) < 2:
                raise UnusableError("no other picture")
            at = int(rng.random() * len(others))
            if others[at][1] == digest:
                at = (at + 1) % len(others)
            other = pictures.read(others[at][0])
        return other, pictures.disparity_of(number) if task.needs_disparity else None


@dataclass(frozen=True)
class ShardRows:
    """Rows, and how many were kept or dropped: `TASK/kept`, `TASK/why not`."""

    rows: list[dict[str, Any]]
    counts: Counter[str]


def within_budget(task: PictureTask, source: Source, rng: random.Random, max_pixels: int) -> Item:
    """The task's item, from a picture that is made smaller if the item's pictures have too many pixels together.

    Raises:
        UnusableError: if that cannot be, or leaves the pictures too small.

    Example:
        >>> from selfrl.rewards.vision import Rotation
        >>> item = within_budget(Rotation(), Source(Image.new("RGB", (640, 480))), random.Random(0), 100_000)
        >>> [picture.size for picture in item.images]
        [(222, 222), (222, 222)]
    """
    state, before = rng.getstate(), math.inf
    for _ in range(_SHRINKS):
        rng.setstate(state)
        item = task.make(source, rng)
        pixels = sum(picture.width * picture.height for picture in item.images)
        if pixels <= max_pixels:
            return item
        if source.disparity is not None or pixels >= before:
            break  # a disparity cannot be averaged, and some tasks show as much of a smaller source
        before = pixels
        share = 0.997 * math.sqrt(max_pixels / pixels)
        picture = source.picture
        size = (max(int(picture.width * share), 1), max(int(picture.height * share), 1))
        source = Source(picture.resize(size, Image.Resampling.LANCZOS), source.other)
    raise UnusableError("over the pixel budget")


def row_of(item: Item, task: PictureTask, stage: int, digest: str) -> dict[str, Any]:
    """A row of the data set; pictures as PNG without compression, whose length tells nothing."""
    return {
        "images": [{"bytes": plain_png(picture), "path": None} for picture in item.images],
        "prompt": item.prompt,
        "answer": item.answer,
        "task": task.spec(),
        "stage": stage,
        "picture": digest,
        "facts": json.dumps(item.facts),
    }


def write_shard(
    path: Path,
    plan: ItemPlan,
    pictures: PictureSource,
    numbers: Sequence[tuple[int, str]],
    others: Sequence[tuple[int, str]],
) -> None:
    """Make the items of some pictures and write them, whole or not at all, with few of them in memory."""
    schema = FEATURES.arrow_schema
    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    with whole_file(path) as part, pq.ParquetWriter(part, schema) as writer:
        for number, digest in numbers:
            found = plan.items(pictures, number, digest, others)
            rows += found.rows
            counts += found.counts
            if len(rows) >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))
        writer.add_key_value_metadata({_COUNTS: json.dumps(counts)})


def shard_counts(path: Path) -> Mapping[str, int]:
    """What was kept and dropped for a shard that is written."""
    counts: dict[str, int] = json.loads(pq.read_metadata(path).metadata[_COUNTS.encode()])
    return counts
