"""Colour-channel order: which channel of the original does each channel show?"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from selfrl.rewards.pretext_answers import read_order
from selfrl.rewards.pretext_task import FORM, Item, UnusableError, one_of
from selfrl.rewards.vision.picture_task import PictureTask, Source, mean_difference, numbered

CHANNELS = ("red", "green", "blue")
ORDERS = tuple(itertools.permutations(range(3)))
_SPELLINGS = {spelling: name for name in CHANNELS for spelling in (name, name[0])}
_LEAST_DIFFERENCE = 3.0  # mean grey levels between two channels of a picture that has colours


@dataclass(frozen=True)
class ChannelOrder(PictureTask):
    """The red, green and blue channels of a picture in another order, or the same: all six are as likely.

    A picture without colours cannot be asked about.

    Args:
        reference: show the picture in its own colours before; without, only what is pictured tells.

    Example:
        >>> ramp, ring = Image.linear_gradient("L"), Image.radial_gradient("L")
        >>> colours = Image.merge("RGB", [ramp, Image.new("L", ramp.size), ring])
        >>> item = ChannelOrder().make(Source(colours), random.Random(2))
        >>> item.answer, ChannelOrder().read("G, R, B")
        ('blue,green,red', 'green,red,blue')
    """

    reference: bool = False
    name: ClassVar[str] = "channel_order"
    stages: ClassVar[tuple[dict[str, Any], ...]] = ({"reference": True}, {"reference": False})

    def make(self, source: Source, rng: random.Random) -> Item:
        """See the class."""
        self.check_size(source.picture)
        channels = source.picture.split()
        if min(mean_difference(a, b) for a, b in itertools.combinations(channels, 2)) < _LEAST_DIFFERENCE:
            raise UnusableError("without colours")
        order = one_of(rng, ORDERS)
        mixed = Image.merge("RGB", [channels[i] for i in order])
        shown = numbered([source.picture, mixed]) if self.reference else ["Picture: ", mixed]
        which = "picture 2, which is picture 1 with its" if self.reference else "the picture, which has its"
        question = (
            f"\nSomebody shuffled the colour channels of {which} red, green and blue in some order. Name, separated by "
            f"commas, the original channel that is now shown as red, the one shown as green, and the one shown as "
            f"blue. {FORM}"
        )
        return Item((*shown, question), ",".join(CHANNELS[i] for i in order), {"order": list(order)})

    @property
    def chance(self) -> float:
        """One of six."""
        return 1 / len(ORDERS)

    def read(self, said: str) -> str | None:
        """The three channels' names, or first letters, in an order."""
        return read_order(said, _SPELLINGS)
