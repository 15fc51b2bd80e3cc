"""Pictures that are made, so that it is known what they can tell."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIZES = ((64, 64), (65, 65), (81, 64), (64, 81), (97, 75), (120, 90))


def noise(rng: np.random.Generator, size: tuple[int, int] | None = None) -> Image.Image:
    """Independent pixels: nothing in the picture says where it belongs or how it stands."""
    width, height = SIZES[rng.integers(len(SIZES))] if size is None else size
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def texture(rng: np.random.Generator, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """Noise with a spectrum of 1/f, which looks the same at every scale and turned any way."""
    width, height = size
    fx, fy = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    spectrum = np.fft.fft2(rng.standard_normal((height, width, 3)), axes=(0, 1))
    spectrum /= np.maximum(np.hypot(fx, fy), 1 / max(size))[..., None]
    values = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return Image.fromarray((128 + 50 * values / values.std()).clip(0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, orientation: int | None = None) -> bytes:
    """A JPEG file, with an EXIF orientation."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()
