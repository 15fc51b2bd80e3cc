"""Contrastive (SSL4RL, 2510.16416): do two crops come from one picture?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from selfrl.rewards.pretext_answers import read_word
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.augmentation import STRONG, WEAK, random_resized_crop
from selfrl.rewards.vision.picture_task import PictureTask, Source, numbered

SCALES = {"weak": (0.08, 1.0), "strong": (0.08, 0.3)}
_ANSWERS = ("positive", "negative")


@dataclass(frozen=True)
class Contrastive(PictureTask):
    """Two crops, each changed by chance, of one picture (positive) or of two (negative), as often the one as the other.

    The builder sees to it that the other picture is not the same one in another row of the data.

    Args:
        side: pixels of the square that both crops are resized to.
        strength: "weak" crops 8 % to all of the area; "strong", the paper's for ImageNet, 8 to 30 %, and changes
            colours, sharpness and direction far more often.

    Raises:
        ValueError: for another strength, or no side.

    Example:
        >>> from PIL import Image
        >>> source = Source(Image.new("RGB", (60, 60), "red"), other=Image.new("RGB", (80, 60), "blue"))
        >>> item = Contrastive(side=28).make(source, random.Random(0))
        >>> item.answer, [picture.size for picture in item.images]
        ('negative', [(28, 28), (28, 28)])
    """

    side: int = 224
    strength: Literal["weak", "strong"] = "weak"
    name: ClassVar[str] = "contrastive"
    needs_other: ClassVar[bool] = True
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"strength": "weak"}, {"strength": "strong"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength not in SCALES:
            raise ValueError(f"strength of contrastive is {self.strength!r}: choose weak or strong.")
        if self.side < 1:
            raise ValueError(f"side of contrastive is {self.side}: it must be 1 or more.")

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        self.check_size(source.picture)
        if source.other is None:
            raise UnusableError("no other picture")
        answer = one_of(rng, _ANSWERS)
        pair = (source.picture, source.picture if answer == "positive" else source.other)
        augment = WEAK if self.strength == "weak" else STRONG
        views, changes = [], []
        for picture in pair:
            view, done = augment(random_resized_crop(picture, rng, SCALES[self.strength], self.side), rng)
            views.append(view)
            changes.append(done)
        self.check_size(*views)
        question = (
            "\nEach of these is a random crop of a picture, and may have been mirrored, blurred or recoloured besides. "
            f"Do both come from the same picture (positive) or from two (negative)? {FORM}"
        )
        return Item((*numbered(views), question), answer, {"changes": changes})

    @property
    def chance(self) -> float:
        """One of two."""
        return 0.5

    def read(self, said: str) -> str | None:
        """ "positive" or "negative"."""
        return read_word(said, {answer: answer for answer in _ANSWERS})
