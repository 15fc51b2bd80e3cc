"""Rotation (SSL4RL, 2510.16416): by how much was the second picture turned?"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from selfrl.rewards.pretext_answers import read_degrees
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.picture_task import PictureTask, Source, centre_square, even, numbered

_QUARTERS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Rotation(PictureTask):
    """Picture 2 is picture 1 turned counter-clockwise by a multiple of `step` degrees.

    Both are squares of one even side, so neither size nor aspect tells the angle. Multiples of 90° are exact turns. For
    a finer step both pictures are tilted by one random angle besides, so that no angle is free of interpolation, and
    cut to the square that fits at every angle.

    Args:
        step: degrees between two answers; divides 360.

    Raises:
        ValueError: for another step.

    Example:
        >>> item = Rotation().make(Source(Image.new("RGB", (641, 481))), random.Random(0))
        >>> [picture.size for picture in item.images], item.answer
        ([(480, 480), (480, 480)], '270')
        >>> Rotation().read("-90°"), Rotation(step=45).chance
        ('270', 0.125)
    """

    step: int = 90
    name: ClassVar[str] = "rotation"
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"step": 90}, {"step": 45}, {"step": 30})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.step <= 180 or 360 % self.step:
            raise ValueError(f"step of rotation is {self.step}: it must divide 360, and be at most 180.")

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        square = centre_square(source.picture)
        angle = self.step * one_of(rng, range(360 // self.step))
        tilt = 0.0
        if self.step % 90 == 0:
            first = square
            second = square.transpose(_QUARTERS[angle]) if angle else square.copy()
        else:
            tilt = self.step * (0.2 + 0.6 * rng.random())
            side = even(int(square.width / math.sqrt(2)))
            if side == 0:
                raise UnusableError("too small")
            first, second = _turned(square, tilt, side), _turned(square, tilt + angle, side)
        self.check_size(first, second)
        assert first.size == second.size
        answers = ", ".join(str(a) for a in range(0, 360, self.step))
        question = (
            "\nPicture 2 is picture 1, turned counter-clockwise. By how many degrees? The answer is one of "
            f"{answers}. {FORM}"
        )
        return Item((*numbered([first, second]), question), str(angle), {"angle": angle, "tilt": round(tilt, 3)})

    @property
    def chance(self) -> float:
        """One of 360 / step."""
        return self.step / 360

    def read(self, said: str) -> str | None:
        """Whole degrees modulo 360, if they are a multiple of the step."""
        degrees = read_degrees(said)
        return None if degrees is None or degrees % self.step else str(degrees)


def _turned(square: Image.Image, degrees: float, side: int) -> Image.Image:
    """The middle of a square turned counter-clockwise."""
    turned = square.rotate(degrees, resample=Image.Resampling.BICUBIC)
    left = (square.width - side) // 2
    return turned.crop((left, left, left + side, left + side))
