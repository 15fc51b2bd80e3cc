"""What a pretext task on pictures is, and what several of them do.

A new task is one file: a frozen dataclass over [`PictureTask`] whose fields are its options, with `make`, `read`,
`chance` and `stages`, and one line in `selfrl.rewards.vision.PICTURE_TASKS`.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from selfrl.rewards.pretext_task import Item, PretextTask, UnusableError


@dataclass(frozen=True)
class Source:
    """What an item is made from.

    Args:
        picture: upright, RGB.
        other: another picture, for tasks that set `needs_other`.
        disparity: (height, width), larger is nearer, NaN where unknown; for tasks that set `needs_disparity`.
    """

    picture: Image.Image
    other: Image.Image | None = None
    disparity: np.ndarray | None = None


@dataclass(frozen=True)
class PictureTask(PretextTask):
    """Base of the tasks on pictures.

    Args:
        min_side: pixels; no side of a picture that is shown may be shorter.

    Raises:
        ValueError: for a side without pixels.
    """

    min_side: int = 28
    needs_other: ClassVar[bool] = False
    needs_disparity: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.min_side < 1:
            raise ValueError(f"min_side of {self.name} is {self.min_side}: it must be 1 or more.")

    @abstractmethod
    def make(self, source: Source, rng: random.Random) -> Item:
        """An item; the same for the same source and the same state of `rng`.

        Raises:
            UnusableError: for a picture that this cannot be asked about.
        """

    def check_size(self, *pictures: Image.Image) -> None:
        """Refuse pictures that are too small.

        Raises:
            UnusableError: for a side shorter than `min_side`.
        """
        if min(side for picture in pictures for side in picture.size) < self.min_side:
            raise UnusableError("too small")


def numbered(pictures: Iterable[Image.Image], what: str = "Picture") -> list[str | Image.Image]:
    """Pictures with their numbers before them.

    >>> numbered([Image.new("RGB", (1, 1))])[0]
    'Picture 1: '
    """
    parts: list[str | Image.Image] = []
    for number, picture in enumerate(pictures, start=1):
        parts += [f"\n{what} {number}: " if parts else f"{what} {number}: ", picture]
    return parts


def even(length: int) -> int:
    """The length without an odd last pixel, so that halves and turns are exact.

    >>> even(225)
    224
    """
    return length - length % 2


def centre_square(picture: Image.Image) -> Image.Image:
    """The largest square of even side in the middle: neither aspect nor rounding can tell how it was turned.

    Raises:
        UnusableError: for a picture with a side of one pixel.

    Example:
        >>> centre_square(Image.new("RGB", (641, 481))).size
        (480, 480)
    """
    side = even(min(picture.size))
    if side == 0:
        raise UnusableError("too small")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures of one size, in grey levels.

    >>> mean_difference(Image.new("RGB", (2, 2), (9, 9, 9)), Image.new("RGB", (2, 2)))
    9.0
    """
    a, b = (np.asarray(picture, dtype=np.float32) for picture in (one, other))
    return float(np.abs(a - b).mean())
