"""Building pretext data: python -m benchmarks.pretext.

`items_per_s`: rotation and jigsaw items a second, from JPEG files of 224 x 224 to the Parquet shards, by two processes,
once these have started. `memory_growth_mb`: resident memory of one process after 10,000 items against after 1,000.
"""

import gc
import json
import random
import resource
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from selfrl.pretext import building
from selfrl.pretext.building import Build, build
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan
from selfrl.rewards.vision import Jigsaw, PictureTask, Rotation

SIDE = 224
PICTURES = 600


def write_pictures(folder: Path, count: int) -> None:
    """Crops of scikit-image's photographs, as JPEG files."""
    photos = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee", "rocket")]
    rng = random.Random(0)
    for number in range(count):
        photo = rng.choice(photos).convert("RGB")
        left, top = rng.randint(0, photo.width - SIDE), rng.randint(0, photo.height - SIDE)
        photo.crop((left, top, left + SIDE, top + SIDE)).save(folder / f"{number}.jpg", quality=90)


def items_per_s(folder: Path, task: PictureTask) -> float:
    """From the first shard that is asked for to the last that is written."""
    with tempfile.TemporaryDirectory() as out:
        items = ItemPlan(((task, 0),), per_picture=2, max_pixels=10**7, seed=0)
        wanted = Build(PictureSource(str(folder)), items, Path(out), processes=2, pictures_per_shard=50)
        with building._workers(2) as pool:
            _warm(pool, wanted)
            building._claim(wanted)
            started = time.perf_counter()
            digests = building._index(wanted, pool, lambda *told: None)
            unique = {digest: number for number, digest, why in digests if not why}
            jobs = [
                pool.submit(building.write_shard, path, wanted.items, wanted.pictures, *rows)
                for path, rows in building._missing_shards(wanted, unique)
            ]
            for job in jobs:
                job.result()
            seconds = time.perf_counter() - started
    return 2 * len(unique) / seconds


def _warm(pool: Executor, wanted: Build) -> None:
    for job in [pool.submit(building.digests_of, wanted.pictures, [0]) for _ in range(8)]:
        job.result()


def resident_mb() -> float:
    """Of this process, now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory_growth_mb(folder: Path) -> float:
    """After 10,000 items against after 1,000, in one process."""
    items = ItemPlan(((Rotation(), 0), (Jigsaw(), 0)), per_picture=5, max_pixels=10**7, seed=0)
    few, all_ = folder / "few", folder / "all"
    for sub, count in ((few, 100), (all_, 1000)):
        sub.mkdir()
        rng = np.random.default_rng(count)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(sub / f"{number}.jpg")
    sizes = []
    for sub in (few, all_):
        build(Build(PictureSource(str(sub)), items, folder / f"out_{sub.name}"))
        sizes.append(resident_mb())
    return sizes[1] - sizes[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        write_pictures(folder, PICTURES)
        rates = {task.name: items_per_s(folder, task) for task in (Rotation(), Jigsaw())}
        print({name: round(rate) for name, rate in rates.items()})
        growth = memory_growth_mb(Path(place))
    print(json.dumps({"items_per_s": round(min(rates.values())), "memory_growth_mb": round(growth, 1)}))


if __name__ == "__main__":
    main()
