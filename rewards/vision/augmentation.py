"""Photometric changes and random crops, with the parameters of SSL4RL's contrastive task (2510.16416)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

_RATIOS = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Augmentation:
    """How likely each change is, in the order in which they are made.

    Args:
        jitter: brightness, contrast and saturation by a factor of 0.2 to 1.8, hue by up to 0.2 of the circle.
        greyscale: no colour.
        blur: Gaussian, σ 0.1 to 2 pixels.
        solarise: values above half are inverted.
        equalise: a flat histogram.
        flip: left and right exchanged.

    Raises:
        ValueError: for a probability outside 0 and 1.
    """

    jitter: float = 0.8
    greyscale: float = 0.2
    blur: float = 0.5
    solarise: float = 0.0
    equalise: float = 0.0
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name, p in vars(self).items():
            if not 0 <= p <= 1:
                raise ValueError(f"{name} is {p}: it is a probability, from 0 to 1.")

    def __call__(self, picture: Image.Image, rng: random.Random) -> tuple[Image.Image, list[str]]:
        """The changed picture, of the same size, and the names of what was done to it.

        >>> picture, done = Augmentation()(Image.new("RGB", (8, 8), "red"), random.Random(0))
        >>> picture.size, done
        ((8, 8), ['blur', 'flip'])
        """
        changes = {
            "jitter": _jitter,
            "greyscale": lambda p, _: p.convert("L").convert("RGB"),
            "blur": lambda p, r: p.filter(ImageFilter.GaussianBlur(r.uniform(0.1, 2.0))),
            "solarise": lambda p, _: ImageOps.solarize(p, 128),
            "equalise": lambda p, _: ImageOps.equalize(p),
            "flip": lambda p, _: ImageOps.mirror(p),
        }
        done = [name for name in changes if rng.random() < getattr(self, name)]
        for name in done:
            picture = changes[name](picture, rng)
        return picture, done


WEAK = Augmentation()
STRONG = Augmentation(greyscale=0.8, blur=0.8, solarise=0.8, equalise=0.8, flip=0.8)
SENTENCES = {
    "jitter": "its brightness, contrast and colours were changed",
    "greyscale": "its colours were taken away",
    "blur": "it was blurred",
    "solarise": "its bright values were inverted",
    "equalise": "its histogram was equalised",
    "flip": "it was mirrored",
}


def random_resized_crop(picture: Image.Image, rng: random.Random, scale: tuple[float, float], side: int) -> Image.Image:
    """A crop of a random share of the area, with an aspect of 3/4 to 4/3, resized to a square (bicubic).

    Where no such crop is found in ten tries, the largest one of the nearest aspect in the middle.

    >>> random_resized_crop(Image.new("RGB", (90, 30)), random.Random(0), (0.08, 1.0), 28).size
    (28, 28)
    """
    width, height = picture.size
    for _ in range(10):
        area = width * height * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(math.log(_RATIOS[0]), math.log(_RATIOS[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.randint(0, width - w), rng.randint(0, height - h)
            break
    else:
        ratio = min(max(width / height, _RATIOS[0]), _RATIOS[1])
        w, h = min(width, max(round(height * ratio), 1)), min(height, max(round(width / ratio), 1))
        left, top = (width - w) // 2, (height - h) // 2
    crop = picture.crop((left, top, left + w, top + h))
    return crop.resize((side, side), Image.Resampling.BICUBIC)


def _jitter(picture: Image.Image, rng: random.Random) -> Image.Image:
    for name in rng.sample(("brightness", "contrast", "saturation", "hue"), 4):
        if name == "hue":
            picture = _hue_shifted(picture, rng.uniform(-0.2, 0.2))
            continue
        kind = {
            "brightness": ImageEnhance.Brightness,
            "contrast": ImageEnhance.Contrast,
            "saturation": ImageEnhance.Color,
        }[name]
        picture = kind(picture).enhance(rng.uniform(0.2, 1.8))
    return picture


def _hue_shifted(picture: Image.Image, share: float) -> Image.Image:
    """Hues moved by a share of the circle."""
    hsv = np.array(picture.convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(share * 255)) % 256
    return Image.fromarray(hsv, "HSV").convert("RGB")
