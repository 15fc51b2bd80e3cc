"""Pictures from anywhere, as upright RGB, and as text for a page or a request."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 64_000_000  # a decoded picture of 192 MB
_WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class PictureError(ValueError):
    """A picture that cannot be used; the message says why in a few words."""


def read_picture(data: bytes) -> Image.Image:
    """A picture file, upright and in RGB; of an animation the first frame.

    Raises:
        PictureError: for what is no picture, is cut off, or would take more than 64 million pixels.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise PictureError("too many pixels")
        picture.load()
        return upright_rgb(picture)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("too many pixels") from error
    except Exception as error:  # pictures are hostile: decoders fail in every way there is
        raise PictureError("unreadable") from error


def upright_rgb(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF orientation asks, in RGB: 16 bits scaled down, transparency over white.

    Example:
        >>> dim = Image.fromarray(np.full((2, 2), 65535 // 2, dtype=np.uint16))
        >>> upright_rgb(dim).getpixel((0, 0))
        (127, 127, 127)
        >>> upright_rgb(Image.new("RGBA", (1, 1), (9, 9, 9, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in _WIDE:
        picture = Image.fromarray(_eight_bits(np.asarray(picture), picture.mode))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than 8 bits, by the range of their type; floats and 32 bits by their own range."""
    if mode.startswith("I;16") or (mode == "I" and values.min() >= 0 and values.max() > 255):
        return (values.astype(np.int64) * 255 // max(65535, int(values.max()))).astype(np.uint8)
    if mode == "I":
        return values.clip(0, 255).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = 1.0 if finite.min() >= 0 and finite.max() <= 1 else 255.0
    return (finite / top * 255).clip(0, 255).astype(np.uint8)


def content_hash(picture: Image.Image) -> str:
    """A digest of size and pixels: the same for one picture in two files, whatever their format.

    >>> content_hash(Image.new("RGB", (2, 3))) == content_hash(Image.new("RGB", (3, 2)))
    False
    """
    head = f"{picture.mode} {picture.width}x{picture.height} ".encode()
    return hashlib.sha256(head + picture.tobytes()).hexdigest()[:32]


def plain_png(picture: Image.Image) -> bytes:
    """PNG without compression: its length follows from the size alone, so that it tells nothing of what is shown.

    >>> len(plain_png(Image.new("RGB", (8, 8)))) == len(plain_png(Image.effect_noise((8, 8), 50).convert("RGB")))
    True
    """
    return png(picture, compress_level=0)


def png(picture: Image.Image, **options: Any) -> bytes:
    """A picture as a PNG file, small by default.

    >>> png(Image.new("RGB", (1, 1)))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def thumbnail(picture: Image.Image, side: int = 192) -> Image.Image:
    """A picture whose longer side has at most `side` pixels.

    >>> thumbnail(Image.new("RGB", (400, 200))).size
    (192, 96)
    """
    small = picture.copy()
    small.thumbnail((side, side))
    return small


def data_url(picture: Any) -> str:
    """A picture as a `data:` URL: what an endpoint takes, and what a page shows without a file.

    >>> data_url(Image.new("RGB", (1, 1)))[:22]
    'data:image/png;base64,'
    """
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()
