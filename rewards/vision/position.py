"""Position (SSL4RL, 2510.16416): which part of the picture does the crop show?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

from selfrl.rewards.pretext_answers import read_word
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.augmentation import SENTENCES, Augmentation
from selfrl.rewards.vision.picture_task import PictureTask, Source, even, numbered

QUADRANTS = ("top-left", "top-right", "bottom-left", "bottom-right")
_CHANGES = Augmentation(flip=0.0)  # a mirrored crop would have another place


@dataclass(frozen=True)
class Position(PictureTask):
    """Picture 2 is a crop of one quadrant of picture 1: which one?

    The quadrants of an odd side would differ in size, and so tell themselves apart: an odd last pixel is cut off.

    Args:
        least: of a crop's sides, as a share of the quadrant's.
        most: of the same.
        augment: change the crop's colours and sharpness by chance; the question then says what was done to it.

    Raises:
        ValueError: for shares that are not 0 < least <= most <= 1.

    Example:
        >>> from PIL import Image
        >>> item = Position().make(Source(Image.new("RGB", (101, 80))), random.Random(0))
        >>> item.images[0].size, item.answer, Position().read("Top left.")
        ((100, 80), 'bottom-right', 'top-left')
    """

    least: float = 0.2
    most: float = 0.8
    augment: bool = False
    name: ClassVar[str] = "position"
    stages: ClassVar[tuple[dict[str, Any], ...]] = (
        {"least": 0.5, "most": 0.8},
        {"least": 0.2, "most": 0.8},
        {"least": 0.2, "most": 0.4},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least <= self.most <= 1:
            raise ValueError(
                f"least and most of position are {self.least} and {self.most}: take 0 < least <= most <= 1."
            )

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        whole = source.picture.crop((0, 0, even(source.picture.width), even(source.picture.height)))
        half_w, half_h = whole.width // 2, whole.height // 2
        if min(half_w, half_h) < max(self.min_side, 1):
            raise UnusableError("too small")
        quadrant = one_of(rng, QUADRANTS)
        width, height = (
            max(round(half * rng.uniform(self.least, self.most)), self.min_side) for half in (half_w, half_h)
        )
        left = half_w * quadrant.endswith("right") + rng.randint(0, half_w - width)
        top = half_h * quadrant.startswith("bottom") + rng.randint(0, half_h - height)
        crop = whole.crop((left, top, left + width, top + height))
        done: list[str] = []
        if self.augment:
            crop, done = _CHANGES(crop, rng)
        said = f" Then {', and '.join(SENTENCES[name] for name in done)}." if done else ""
        question = (
            f"\nPicture 2 was cut out of picture 1.{said} Which part of picture 1 does it come from? The answer is one "
            f"of {', '.join(QUADRANTS)}. {FORM}"
        )
        facts = {"box": [left, top, left + width, top + height], "changes": done}
        return Item((*numbered([whole, crop]), question), quadrant, facts)

    @property
    def chance(self) -> float:
        """One of four."""
        return 1 / len(QUADRANTS)

    def read(self, said: str) -> str | None:
        """A quadrant."""
        return read_word(said, {name.replace("-", " "): name for name in QUADRANTS})
