"""What is around the pictures must not tell the answer: their sizes, files, borders, corners and order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sklearn.ensemble import HistGradientBoostingClassifier
from support.pictures import SIZES, noise, texture

from selfrl.pictures import plain_png
from selfrl.rewards.pretext_task import Item, UnusableError
from selfrl.rewards.vision import (
    ChannelOrder,
    Contrastive,
    DepthOrder,
    FlippedPatch,
    Inpainting,
    Jigsaw,
    PictureTask,
    Position,
    Rotation,
    Source,
)

ITEMS, TRAINED = 700, 350
PHOTOS = ("astronaut", "coffee", "rocket", "cat")
TASKS: list[PictureTask] = [
    Rotation(),
    Rotation(step=45),
    Rotation(step=30),
    Rotation(step=180),
    Jigsaw(grid="2x1", min_side=8),
    Jigsaw(grid="1x2", min_side=8, direction="forward"),
    Jigsaw(min_side=8),
    Jigsaw(grid="3x3", min_side=8),
    Contrastive(side=40),
    Contrastive(side=40, strength="strong"),
    Position(min_side=8),
    Position(min_side=8, least=0.2, most=0.4, augment=True),
    FlippedPatch(min_side=8),
    FlippedPatch(side=3, min_side=8),
    ChannelOrder(),
    ChannelOrder(reference=True),
]


def name(task: PictureTask) -> str:
    return task.spec().replace('"', "")


def items(task: PictureTask, draw: Callable[[np.random.Generator], Image.Image], count: int = ITEMS) -> list[Item]:
    """Items of pictures that the task can ask about."""
    rng, made, number = np.random.default_rng(5), [], 0
    while len(made) < count:
        number += 1
        source = Source(draw(rng), other=draw(rng) if task.needs_other else None)
        with suppress(UnusableError):  # a smooth piece of sky
            made.append(task.make(source, random.Random(f"leaks/{number}")))
    return made


def around(item: Item) -> list[float]:
    """Of every picture: size, aspect, length of its file."""
    return [v for p in item.images for v in (*p.size, p.width / p.height, len(plain_png(p)))]


def features(item: Item) -> list[float]:
    """Of every picture: size, aspect, file length, mean of each border, every corner.

    Of a turned picture's original no pixels: to compare both is the task itself, and tells on noise, too.
    """
    found: list[float] = []
    for number, picture in enumerate(item.images):
        found += [*picture.size, picture.width / picture.height, len(plain_png(picture))]
        if number == 0 and "tilt" in item.facts:
            continue
        pixels = np.asarray(picture, dtype=float)
        borders = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        corners = (pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1])
        found += [border.mean() for border in borders] + [corner.mean() for corner in corners]
    return found


def asked(item: Item) -> str:
    """The answer, or the first part of one that is an order."""
    return item.answer.split(",")[0]


def accuracy(made: list[Item], of: Callable[[Item], list[float]] = features) -> float:
    """Of a gradient-boosted classifier on held-out pictures."""
    x, y = np.array([of(item) for item in made]), np.array([asked(item) for item in made])
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x[:TRAINED], y[:TRAINED])
    return float((model.predict(x[TRAINED:]) == y[TRAINED:]).mean())


def highest(chance: float, count: int = ITEMS - TRAINED) -> float:
    """Upper end of the binomial 99 % interval around chance."""
    return chance + 2.576 * math.sqrt(chance * (1 - chance) / count)


def chance_of(made: list[Item]) -> float:
    return 1 / len({asked(item) for item in made})


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_nothing_around_the_pictures_tells(task: PictureTask) -> None:
    made = items(task, noise)
    assert accuracy(made) <= highest(chance_of(made))


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_nothing_around_real_pictures_tells(task: PictureTask) -> None:
    """Crops of photographs; of what they show, only sizes and files are looked at: a sky does say where above is."""
    photos = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOS]

    def crop(rng: np.random.Generator) -> Image.Image:
        photo = photos[rng.integers(len(photos))]
        width, height = SIZES[rng.integers(len(SIZES))]
        left, top = rng.integers(photo.width - width), rng.integers(photo.height - height)
        return photo.crop((left, top, left + width, top + height))

    made = items(task, crop)
    assert accuracy(made, around) <= highest(chance_of(made))


def test_nothing_around_the_patches_of_a_hole_tells() -> None:
    made = items(Inpainting(min_side=8), texture)
    assert accuracy(made) <= highest(0.25)


def test_nothing_around_the_marked_places_tells() -> None:
    ramp = np.tile(1 / np.linspace(1, 9, 240), (90, 1))
    task, rng = DepthOrder(), np.random.default_rng(0)
    made = [
        task.make(Source(noise(rng, (240, 90)), disparity=np.fliplr(ramp) if i % 2 else ramp), random.Random(i))
        for i in range(ITEMS)
    ]
    assert accuracy(made) <= highest(1 / 3)


def test_the_authors_arithmetic_does_tell() -> None:
    """Sides that shrink by a pixel when turned say "not 0": the classifier must be able to find a leak."""

    def leaky(picture: Image.Image, rng: random.Random) -> Item:
        angle = rng.choice((0, 90, 180, 270))
        turned = picture.rotate(angle, expand=True)
        if angle and turned.width % 2:
            turned = turned.crop((0, 0, turned.width - 1, turned.height - 1))
        return Item((picture, turned), str(angle))

    rng = np.random.default_rng(0)
    made = [leaky(noise(rng), random.Random(i)) for i in range(ITEMS)]
    assert accuracy(made) > highest(0.25) + 0.1


@pytest.mark.parametrize("task", [*TASKS, Inpainting(min_side=8)], ids=name)
def test_every_answer_is_as_likely(task: PictureTask) -> None:
    draw: Any = texture if task.name == "inpainting" else noise
    made = items(task, draw)
    counts = {answer: sum(asked(item) == answer for item in made) for answer in map(asked, made)}
    assert max(counts.values()) / len(made) <= highest(1 / len(counts), ITEMS) + 0.02
    assert all(task.read(item.answer) == item.answer for item in made)


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_pictures_of_an_item_that_are_compared_have_one_size(task: PictureTask) -> None:
    for item in items(task, noise, 40):
        sizes = [picture.size for picture in item.images]
        assert len(set(sizes if task.name != "position" else sizes[:1])) == 1
        assert all(picture.mode == "RGB" for picture in item.images)
