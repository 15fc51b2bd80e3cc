"""The worked numbers of the specification, and each task against its own transform, undone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.pictures import noise, texture

from selfrl.rewards.pretext_task import UnusableError
from selfrl.rewards.vision import (
    PICTURE_TASKS,
    ChannelOrder,
    Contrastive,
    DepthOrder,
    FlippedPatch,
    Inpainting,
    Jigsaw,
    Position,
    Rotation,
    Source,
)
from selfrl.rewards.vision.augmentation import Augmentation
from selfrl.rewards.vision.jigsaw import inverse, neighbour_share, place_share


def picture(seed: int = 0, size: tuple[int, int] = (97, 75)) -> Image.Image:
    return noise(np.random.default_rng(seed), size)


def joined(tiles: Sequence[Image.Image], order: Sequence[int], rows: int, columns: int) -> Image.Image:
    """The picture that shown tiles give in an order of the "inverse" direction."""
    width, height = tiles[0].size
    whole = Image.new("RGB", (columns * width, rows * height))
    for cell, tile in enumerate(order):
        whole.paste(tiles[tile - 1], (cell % columns * width, cell // columns * height))
    return whole


def equal(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("size", [(224, 224), (225, 225), (641, 481), (64, 97)])
def test_turning_back_gives_the_first_picture_whatever_the_size(size: tuple[int, int]) -> None:
    seen = set()
    for seed in range(12):
        item = Rotation().make(Source(picture(0, size)), random.Random(seed))
        first, second = item.images
        seen.add(item.answer)
        side = min(size) - min(size) % 2
        assert first.size == second.size == (side, side)
        assert equal(second.rotate(-int(item.answer)), first)
    assert seen == {"0", "90", "180", "270"}


def test_a_turn_is_counter_clockwise() -> None:
    half = Image.new("RGB", (40, 40))
    half.paste("white", (0, 0, 40, 20))  # light above
    for seed in range(20):
        item = Rotation().make(Source(half), random.Random(seed))
        if item.answer == "90":
            assert item.images[1].getpixel((5, 20)) == (255, 255, 255)  # light at the left
            assert item.images[1].getpixel((35, 20)) == (0, 0, 0)
            return
    raise AssertionError("no turn by 90")


@pytest.mark.parametrize("step", [45, 30])
def test_finer_turns_leave_no_angle_without_interpolation(step: int) -> None:
    source = texture(np.random.default_rng(0), (200, 200))
    for seed in range(8):
        item = Rotation(step=step).make(Source(source), random.Random(seed))
        first, second = (np.asarray(p, dtype=float) for p in item.images)
        back = np.asarray(item.images[1].rotate(-int(item.answer), resample=Image.Resampling.BICUBIC), dtype=float)
        middle = slice(50, 90)
        assert np.abs(back - first)[middle, middle].mean() < 6
        assert (item.answer == "0") == bool(np.array_equal(first, second))
        assert not 0 <= item.facts["tilt"] % step < 1


def test_the_jigsaw_of_the_sheet() -> None:
    assert inverse([3, 1, 4, 2]) == [2, 4, 1, 3]
    both = [order for order in itertools.permutations(range(1, 5)) if inverse(order) == list(order)]
    assert len(both) == 10
    assert sum(inverse(order) == list(order) for order in itertools.permutations(range(1, 10))) == 2620


@pytest.mark.parametrize("grid", ["2x1", "1x2", "2", "2x3", "3"])
def test_the_inverse_order_puts_a_jigsaw_together(grid: str) -> None:
    source = picture()
    for seed in range(10):
        task = Jigsaw(grid=grid, min_side=8)
        item = task.make(Source(source), random.Random(seed))
        rows, columns = task.shape
        whole = joined(item.images, list(map(int, item.answer.split(","))), rows, columns)
        assert equal(whole, source.crop((0, 0, *whole.size)))
        forward = Jigsaw(grid=grid, min_side=8, direction="forward").make(Source(source), random.Random(seed))
        assert inverse(list(map(int, forward.answer.split(",")))) == list(map(int, item.answer.split(",")))
        assert forward.answer == ",".join(map(str, item.facts["shown"]))


@pytest.mark.parametrize(
    ("said", "score"), [("2,4,1,3", 1.0), ("1,1,1,1", None), ("2", None), ("2,4,1,3,9", None), ("2,4,3,1", 0.0)]
)
def test_what_a_jigsaw_accepts(said: str, score: float | None) -> None:
    task = Jigsaw()
    read = task.read(said)
    assert (None if read is None else task.score(read, "2,4,1,3")) == score


def test_partial_credit_is_that_of_the_papers() -> None:
    three = Jigsaw(grid="3")
    gold, said = "1,2,3,4,5,6,7,8,9", "1,2,3,5,6,7,8,9,4"
    assert three.score(said, gold) == pytest.approx(0.066667, abs=1e-6)
    assert three.score(said, gold, "exact") == 0
    assert three.score(said, gold, "places") == pytest.approx(1 / 3)
    assert three.score(gold, gold, "neighbours") == 1
    assert Jigsaw().score("2,4,3,1", "2,4,1,3", "places") == 0.5
    assert Jigsaw().score("2,4,3,1", "2,4,1,3") == 0  # no part of a 2x2 counts


def test_neighbours_are_counted_over_all_borders() -> None:
    gold = list(range(1, 10))
    assert neighbour_share(gold, gold, 3, 3) == 1
    two_swapped = [2, 1, 3, 4, 5, 6, 7, 8, 9]
    # of 12 borders those at the two swapped tiles go: 1-2, 2-3, 1-4, 2-5
    assert neighbour_share(two_swapped, gold, 3, 3) == pytest.approx(8 / 12)
    assert neighbour_share([1, 2, 4, 3], [1, 2, 3, 4], 2, 2) == 1 / 4
    moved = [4, 5, 6, 1, 2, 3, 7, 8, 9]  # whole rows
    assert neighbour_share(moved, gold, 3, 3) == pytest.approx(6 / 12)
    assert place_share(moved, gold) == pytest.approx(1 / 3)


def test_a_crop_comes_from_where_it_says() -> None:
    source = picture(size=(121, 90))
    seen = set()
    for seed in range(30):
        item = Position(min_side=8).make(Source(source), random.Random(seed))
        whole, crop = item.images
        left, top, right, bottom = item.facts["box"]
        assert whole.size == (120, 90)
        assert equal(crop, whole.crop((left, top, right, bottom)))
        vertical = "top" if bottom <= 45 else "bottom"
        horizontal = "left" if right <= 60 else "right"
        assert item.answer == f"{vertical}-{horizontal}"
        assert top >= 45 * (vertical == "bottom")
        assert left >= 60 * (horizontal == "right")
        assert "was" not in item.content[-1].split("Which")[0].replace("was cut out", "")  # nothing that was not done
        seen.add(item.answer)
    assert len(seen) == 4


def test_the_question_says_what_was_done_to_the_crop() -> None:
    task = Position(min_side=8, augment=True)
    for seed in range(20):
        item = task.make(Source(picture(size=(120, 90))), random.Random(seed))
        text = str(item.content[-1])
        assert ("colours were taken away" in text) == ("greyscale" in item.facts["changes"])
        assert ("it was blurred" in text) == ("blur" in item.facts["changes"])
        assert "mirrored" not in text


def test_a_pair_is_of_one_picture_if_it_is_positive() -> None:
    red, blue = Image.new("RGB", (60, 50), (200, 0, 0)), Image.new("RGB", (50, 60), (0, 0, 200))
    for seed in range(40):
        item = Contrastive(side=28).make(Source(red, other=blue), random.Random(seed))
        done = {change for changes in item.facts["changes"] for change in changes}
        if done <= {"blur", "flip"}:
            same = item.images[0].getpixel((9, 9)) == item.images[1].getpixel((9, 9))
            assert same == (item.answer == "positive")
    with pytest.raises(UnusableError, match="no other picture"):
        Contrastive().make(Source(red), random.Random(0))


def test_strong_views_change_as_often_as_the_paper_says() -> None:
    rng = random.Random(0)
    counts = dict.fromkeys(vars(Augmentation()), 0)
    for _ in range(2000):
        for change in Augmentation(greyscale=0.8, solarise=0.8)(Image.new("RGB", (4, 4), "red"), rng)[1]:
            counts[change] += 1
    shares = {change: count / 2000 for change, count in counts.items()}
    expected = {"jitter": 0.8, "greyscale": 0.8, "blur": 0.5, "solarise": 0.8, "equalise": 0.0, "flip": 0.5}
    assert shares == pytest.approx(expected, abs=0.04)


def test_the_right_patch_fits_the_hole() -> None:
    source = texture(np.random.default_rng(1), (120, 100))
    for seed in range(10):
        item = Inpainting(min_side=8).make(Source(source), random.Random(seed))
        left, top, right, bottom = item.facts["box"]
        assert right - left == bottom - top == 50
        cut = source.crop((left, top, right, bottom)).resize(item.images[1].size, Image.Resampling.LANCZOS)
        fits = [equal(patch, cut) for patch in item.images[1:]]
        assert fits.index(True) + 1 == int(item.answer)
        assert sum(fits) == 1


def test_one_patch_is_mirrored_where_it_stands() -> None:
    source = picture(size=(90, 66))
    for seed in range(10):
        item = FlippedPatch(side=3, min_side=8).make(Source(source), random.Random(seed))
        shown = item.images[0]
        changed = []
        for number in range(9):
            box = (number % 3 * 30, number // 3 * 22, number % 3 * 30 + 30, number // 3 * 22 + 22)
            if not equal(shown.crop(box), source.crop(box)):
                changed.append(number + 1)
        assert changed == [int(item.answer)]
    with pytest.raises(UnusableError, match="alike when mirrored"):
        FlippedPatch().make(Source(Image.new("RGB", (80, 80), "red")), random.Random(0))


def test_channels_come_back_in_the_order_that_is_named() -> None:
    source = picture()
    names = ("red", "green", "blue")
    seen = set()
    for seed in range(30):
        item = ChannelOrder().make(Source(source), random.Random(seed))
        shown, original = item.images[-1].split(), source.split()
        for band, name in zip(shown, item.answer.split(","), strict=True):
            assert band.tobytes() == original[names.index(name)].tobytes()
        seen.add(item.answer)
    assert len(seen) == 6
    with pytest.raises(UnusableError, match="without colours"):
        ChannelOrder().make(Source(source.convert("L").convert("RGB")), random.Random(0))


def test_places_are_ordered_by_depth() -> None:
    depth = np.tile(np.linspace(1, 9, 240), (90, 1))
    for seed in range(10):
        item = DepthOrder().make(Source(picture(size=(240, 90)), disparity=1 / depth), random.Random(seed))
        near, middle, far = item.facts["places"]
        assert near[1] < middle[1] < far[1]
        assert sorted(item.answer.split(",")) == ["1", "2", "3"]
    with pytest.raises(UnusableError, match="no disparity"):
        DepthOrder().make(Source(picture()), random.Random(0))
    with pytest.raises(UnusableError, match="another size"):
        DepthOrder().make(Source(picture(), disparity=depth), random.Random(0))
    with pytest.raises(UnusableError, match="no three depths"):
        DepthOrder().make(Source(picture(size=(240, 90)), disparity=np.full((90, 240), 3.0)), random.Random(0))


@pytest.mark.parametrize("name", sorted(PICTURE_TASKS))
def test_a_task_says_everything_of_itself(name: str) -> None:
    kind = PICTURE_TASKS[name]
    disparity = 1 / np.tile(np.linspace(1, 9, 240), (90, 1))
    source = Source(texture(np.random.default_rng(0), (240, 90)), texture(np.random.default_rng(1)), disparity)
    for stage in range(len(kind.stages)):
        task = kind(min_side=8).at_stage(stage)
        one, again = (task.make(source, random.Random(3)) for _ in range(2))
        others = [task.make(source, random.Random(seed)) for seed in range(4, 12)]
        assert one.answer == again.answer
        assert all(equal(a, b) for a, b in zip(one.images, again.images, strict=True))
        assert len({item.answer for item in others}) > 1
        assert sum(part["type"] == "image" for part in one.prompt[0]["content"]) == len(one.images)
        assert 0 < task.chance <= 0.5
        assert task.read(one.answer) == one.answer
        assert task.score(one.answer, one.answer) == 1
        assert "<answer>" in str(one.content[-1])


@pytest.mark.parametrize("name", sorted(PICTURE_TASKS))
def test_small_pictures_are_refused(name: str) -> None:
    kind = PICTURE_TASKS[name]
    options: dict[str, Any] = {"side": 20} if name == "contrastive" else {}
    dot = Image.new("RGB", (3, 20), "red")
    with pytest.raises(UnusableError, match="too small"):
        kind(**options).make(Source(dot, dot, np.ones((20, 3))), random.Random(0))
