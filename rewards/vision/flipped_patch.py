"""Flipped patch (Spatial-SSRL, 2510.27606): which patch of the picture was mirrored?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from selfrl.rewards.pretext_answers import numbers, read_word
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.picture_task import PictureTask, Source, mean_difference

_FLIPS = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
_LEAST_DIFFERENCE = 2.0  # mean grey levels: a patch that looks the same mirrored cannot be found


@dataclass(frozen=True)
class FlippedPatch(PictureTask):
    """One patch of a picture that is cut into side x side equal ones was mirrored, left to right or top to bottom.

    What does not divide is cut off the right and bottom edge.

    Args:
        side: patches along each side, 2 to 4.

    Raises:
        ValueError: for another number.

    Example:
        >>> item = FlippedPatch().make(Source(Image.linear_gradient("L").convert("RGB")), random.Random(1))
        >>> item.answer, item.facts["flip"], FlippedPatch(side=3).chance
        ('1', 'top to bottom', 0.1111111111111111)
    """

    side: int = 2
    name: ClassVar[str] = "flipped_patch"
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"side": 2}, {"side": 3}, {"side": 4})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.side <= 4:
            raise ValueError(f"side of flipped_patch is {self.side}: it must be 2, 3 or 4.")

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        width, height = (length // self.side for length in source.picture.size)
        picture = source.picture.crop((0, 0, width * self.side, height * self.side))
        number = one_of(rng, range(self.side**2))
        flip = one_of(rng, _FLIPS)
        left, top = number % self.side * width, number // self.side * height
        patch = picture.crop((left, top, left + width, top + height))
        self.check_size(patch)
        flipped = patch.transpose(flip)
        if mean_difference(patch, flipped) < _LEAST_DIFFERENCE:
            raise UnusableError("patch alike when mirrored")
        picture.paste(flipped, (left, top))
        question = (
            f"\nThe picture is cut into {self.side} x {self.side} equal patches, numbered row by row from 1 at the top "
            f"left. One of them was mirrored in its place. Which one? {FORM}"
        )
        facts = {"flip": "left to right" if flip == _FLIPS[0] else "top to bottom"}
        return Item(("Picture: ", picture, question), str(number + 1), facts)

    @property
    def chance(self) -> float:
        """One patch of all."""
        return 1 / self.side**2

    def read(self, said: str) -> str | None:
        """The number of a patch."""
        return read_word(said, numbers(self.side**2))
