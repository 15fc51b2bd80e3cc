"""Crop inpainting (after Spatial-SSRL, 2510.27606): which patch fits the hole?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from selfrl.rewards.pretext_answers import numbers, read_word
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.picture_task import PictureTask, Source, even, mean_difference, numbered

OPTIONS = 4
SHRUNK = 0.6  # of all that is shown: every patch is then made smaller, none larger, whatever it was cut from
_GREY = (128, 128, 128)
_LEAST_DIFFERENCE = 2.0  # mean grey levels between the right patch and each other one


@dataclass(frozen=True)
class Inpainting(PictureTask):
    """Picture 1 has a square hole, half as long as its shorter side; one of four patches was cut out of it.

    The others are the right one turned by a quarter, its inner part, and a larger cut around it. All patches have one
    size, and the place of the right one is drawn anew each time.

    Args:
        inner: side of the inner part, as a share of the hole's; the larger cut is as much longer. Near 1 is hard.

    Raises:
        ValueError: for a share outside 0.6 and 1, at which patches would have to be enlarged.

    Example:
        >>> picture = Image.linear_gradient("L").convert("RGB")
        >>> item = Inpainting().make(Source(picture), random.Random(0))
        >>> len(item.images), {picture.size for picture in item.images[1:]}, item.answer
        (5, {(76, 76)}, '4')
    """

    inner: float = 0.75
    name: ClassVar[str] = "inpainting"
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"inner": 0.65}, {"inner": 0.75}, {"inner": 0.85})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not SHRUNK <= self.inner < 1:
            raise ValueError(f"inner of inpainting is {self.inner}: it must be from {SHRUNK} to below 1.")

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        picture = source.picture
        side = even(min(picture.size) // 2)
        inset = round(side * (1 - self.inner) / 2)
        outset = round(side * (1 / self.inner - 1) / 2)
        shown = even(round(side * SHRUNK))
        if shown < self.min_side or min(picture.size) < side + 2 * outset:
            raise UnusableError("too small")
        left = rng.randint(outset, picture.width - side - outset)
        top = rng.randint(outset, picture.height - side - outset)
        turn = one_of(rng, (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))

        def cut(grown: int) -> Image.Image:
            return picture.crop((left - grown, top - grown, left + side + grown, top + side + grown))

        true = cut(0)
        patches = [p.resize((shown, shown), Image.Resampling.LANCZOS) for p in (true, true.transpose(turn))]
        patches += [cut(grown).resize((shown, shown), Image.Resampling.LANCZOS) for grown in (-inset, outset)]
        if min(mean_difference(patches[0], patch) for patch in patches[1:]) < _LEAST_DIFFERENCE:
            raise UnusableError("patches alike")
        order = rng.sample(range(OPTIONS), OPTIONS)  # the kind of each patch that is shown
        holed = picture.copy()
        holed.paste(_GREY, (left, top, left + side, top + side))
        size = (max(round(picture.width * SHRUNK), 1), max(round(picture.height * SHRUNK), 1))
        first = holed.resize(size, Image.Resampling.LANCZOS)
        question = (
            "\nA grey square hides a part of picture 1. Which of patches 1 to 4 was there? One was cut out of it; the "
            f"others are turned, or show too little or too much. {FORM}"
        )
        content = ("Picture 1: ", first, "\n", *numbered([patches[kind] for kind in order], "Patch"), question)
        return Item(content, str(order.index(0) + 1), {"box": [left, top, left + side, top + side], "order": order})

    @property
    def chance(self) -> float:
        """One of four."""
        return 1 / OPTIONS

    def read(self, said: str) -> str | None:
        """The number of a patch."""
        return read_word(said, numbers(OPTIONS))
