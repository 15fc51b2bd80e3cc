"""Depth order (Spatial-SSRL, 2510.27606): which of three marked places is nearest?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw, ImageFont

from selfrl.rewards.pretext_answers import numbers, read_order
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.picture_task import PictureTask, Source

RANGES = ((0.0, 0.3), (0.35, 0.65), (0.7, 1.0))  # of the depth, from near to far
_MOST_SPREAD = 0.15
_ORDERS = 6


@dataclass(frozen=True)
class DepthOrder(PictureTask):
    """Three numbered places of a picture, one near, one between, one far, to be put in order from the nearest.

    Needs a disparity beside the picture. Places are squares in which the depth, as a share of the picture's own range,
    spreads by less than 0.15; where they stand says nothing of their numbers.

    Args:
        patch: pixels of a place's side.

    Raises:
        ValueError: for a patch without pixels.

    Example:
        >>> ramp = np.tile(1 / np.linspace(1, 9, 240), (90, 1))
        >>> item = DepthOrder().make(Source(Image.new("RGB", (240, 90)), disparity=ramp), random.Random(0))
        >>> sorted(item.answer.split(",")), DepthOrder().read("3, 1, 2")
        (['1', '2', '3'], '3,1,2')
    """

    patch: int = 25
    name: ClassVar[str] = "depth_order"
    needs_disparity: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < 1:
            raise ValueError(f"patch of depth_order is {self.patch}: it must be 1 or more.")

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        self.check_size(source.picture)
        if source.disparity is None:
            raise UnusableError("no disparity")
        places = self._places(source.disparity, source.picture, rng)
        order = rng.sample((1, 2, 3), 3)  # of the near, the middle and the far place
        picture = source.picture.copy()
        for (top, left), number in zip(places, order, strict=True):
            _mark(picture, left, top, self.patch, number)
        question = (
            "\nThree places of the picture are marked 1, 2 and 3. Order them from the nearest to the farthest, "
            f"separated by commas. {FORM}"
        )
        return Item(("Picture: ", picture, question), ",".join(map(str, order)), {"places": places})

    def _places(self, disparity: np.ndarray, picture: Image.Image, rng: random.Random) -> list[list[int]]:
        """Top and left of a near, a middle and a far place, which do not overlap."""
        if disparity.shape != (picture.height, picture.width):
            raise UnusableError("disparity of another size")
        if min(disparity.shape) < self.patch:
            raise UnusableError("too small")
        depth = depth_shares(disparity)
        windows = sliding_window_view(depth, (self.patch, self.patch))[::4, ::4]
        low, high = windows.min((2, 3)), windows.max((2, 3))  # NaN, which no range holds, where a pixel is unknown
        places: list[list[int]] = []
        for start, end in RANGES:
            fits = (low >= start) & (high <= end) & (high - low < _MOST_SPREAD)
            found = [
                [int(top) * 4, int(left) * 4]
                for top, left in np.argwhere(fits)
                if all(max(abs(top * 4 - t), abs(left * 4 - x)) >= self.patch for t, x in places)
            ]
            if not found:
                raise UnusableError("no three depths")
            places.append(one_of(rng, found))
        return places

    @property
    def chance(self) -> float:
        """One of six orders."""
        return 1 / _ORDERS

    def read(self, said: str) -> str | None:
        """The three numbers in an order."""
        return read_order(said, numbers(3))


def depth_shares(disparity: np.ndarray) -> np.ndarray:
    """Depth, the inverse of disparity, as a share of the picture's own range: 0 is nearest; NaN where unknown.

    The range is that between the 1st and the 99th of a hundred parts; what lies beyond is at its ends.

    >>> depth_shares(np.array([[4.0, 2.0, 1.0, np.nan]])).round(2).tolist()
    [[0.0, 0.33, 1.0, nan]]
    """
    known = np.isfinite(disparity) & (disparity > 0)
    if not known.any():
        raise UnusableError("no disparity")
    depth = np.full(disparity.shape, np.nan)
    depth[known] = 1 / disparity[known].astype(float)
    near, far = np.nanpercentile(depth, (1, 99)) if known.sum() >= 100 else (np.nanmin(depth), np.nanmax(depth))
    if far <= near:
        raise UnusableError("no three depths")
    return ((depth - near) / (far - near)).clip(0, 1)


def _mark(picture: Image.Image, left: int, top: int, side: int, number: int) -> None:
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, left + side - 1, top + side - 1), outline=(255, 0, 0), width=2)
    font = ImageFont.load_default(max(side * 0.7, 8))
    draw.text((left + side / 2, top + side / 2), str(number), (255, 0, 0), font, anchor="mm")
