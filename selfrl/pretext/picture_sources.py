"""Pictures from a folder, a Parquet file, an array or a hub data set, one at a time by their number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfrl.pictures import PictureError, read_picture, upright_rgb

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .gif .bmp .tif .tiff .ppm .pgm .avif .jp2 .tga .ico .dds".split()
)
ARRAYS = (".npy", ".npz")
SEPARATOR = "#"  # between a data set's name and its split, as in nielsr/food#train


@dataclass(frozen=True)
class PictureSource:
    """Pictures by number. It is opened anew in every process, and holds no picture.

    Args:
        where: a folder (searched to its depth), a .parquet file, a .npy or .npz file of (N, H, W), (N, H, W, 3) or
            (N, H, W, 4) values, or a hub data set, with its split after a "#" ("train" without).
        column: of a Parquet file or hub data set; by default its first column of pictures.
        disparity: folder with an array (.npy) for each picture, of the same name, for depth tasks.

    Raises:
        ValueError: for a place that holds no pictures.
        OSError: for one that does not exist.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> Image.new("L", (3, 2)).save(f"{folder}/a.png")
        >>> source = PictureSource(folder)
        >>> len(source), source.name(0), source.read(0).size, source.read(0).mode
        (1, 'a.png', (3, 2), 'RGB')
    """

    where: str
    column: str | None = None
    disparity: str | None = None

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise ValueError(f"{self.where} holds no pictures: check the path, or name another column with --column.")

    def __len__(self) -> int:
        return len(self._files) if self._is_folder else len(self._rows)

    def name(self, number: int) -> str:
        """What the picture is called, for people."""
        return str(self._files[number].relative_to(self.where)) if self._is_folder else f"{self.where}/{number}"

    def fingerprint(self) -> str:
        """A digest that changes with the pictures that there are: of a folder's names and sizes of files."""
        told = [(self.name(i), file.stat().st_size) for i, file in enumerate(self._files)] if self._is_folder else []
        return hashlib.sha256(json.dumps([len(self), told]).encode()).hexdigest()[:16]

    def read(self, number: int) -> Image.Image:
        """The picture, upright and in RGB.

        Raises:
            PictureError: for one that cannot be used.
        """
        if self._is_folder:
            try:
                return read_picture(self._files[number].read_bytes())
            except OSError as error:
                raise PictureError("unreadable") from error
        return _picture_of(self._rows[number])

    def disparity_of(self, number: int) -> np.ndarray | None:
        """The disparity beside a picture of a folder; None without one."""
        if self.disparity is None or not self._is_folder:
            return None
        path = Path(self.disparity) / self._files[number].relative_to(self.where).with_suffix(".npy")
        return np.load(path, allow_pickle=False) if path.is_file() else None

    @property
    def _is_folder(self) -> bool:
        return Path(self.where).is_dir()

    @cached_property
    def _files(self) -> list[Path]:
        return sorted(p for p in Path(self.where).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())

    @cached_property
    def _rows(self) -> Any:
        """Anything with a length whose items are arrays, or pictures as `datasets` stores them."""
        path = Path(self.where)
        if path.suffix in ARRAYS:
            return _array(path)
        from datasets import load_dataset

        if path.suffix == ".parquet":
            if not path.is_file():
                raise FileNotFoundError(f"{self.where} does not exist: check the path.")
            rows = load_dataset("parquet", data_files=self.where, split="train")
        elif path.exists():
            raise ValueError(
                f"{self.where} is no folder, .parquet, .npy or .npz file: convert it, or put it in a folder."
            )
        else:
            name, _, split = self.where.partition(SEPARATOR)
            rows = load_dataset(name, split=split or "train")
        return _Column(rows, self.column or _picture_column(rows, self.where))


class _Column:
    """A data set's column of pictures, not decoded until one is asked for."""

    def __init__(self, rows: Any, name: str) -> None:
        from datasets import Image as ImageFeature

        if name not in rows.column_names:
            raise ValueError(f"The data has no column {name!r} (it has {', '.join(rows.column_names)}): name another.")
        rows = rows.select_columns(name)
        if isinstance(rows.features[name], ImageFeature):
            rows = rows.cast_column(name, ImageFeature(decode=False))
        self.rows, self.name = rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        return self.rows[number][self.name]


def _picture_column(rows: Any, where: str) -> str:
    from datasets import Image as ImageFeature
    from datasets import Value

    kinds: list[Callable[[Any], bool]] = [
        lambda feature: isinstance(feature, ImageFeature),
        lambda feature: isinstance(feature, Value) and feature.dtype in ("binary", "large_binary"),
    ]
    for kind in kinds:
        for name, feature in rows.features.items():
            if kind(feature):
                return name
    raise ValueError(
        f"{where} has no column of pictures (it has {', '.join(rows.column_names)}): name it with --column."
    )


def _array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: check the path.")
    if path.suffix == ".npy":
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    else:
        with np.load(path, allow_pickle=False) as held:
            if len(held.files) != 1:
                raise ValueError(f"{path} holds {len(held.files)} arrays: it must hold one, of pictures.")
            values = held[held.files[0]]
    if values.ndim == 3 or (values.ndim == 4 and values.shape[-1] in (1, 3, 4)):
        return values
    raise ValueError(f"{path} has the shape {values.shape}: it must be (N, H, W), or (N, H, W, 1, 3 or 4).")


def _picture_of(value: Any) -> Image.Image:
    """A picture from an array, bytes, or what `datasets` stores of one."""
    if isinstance(value, dict):
        value = value.get("bytes") or (Path(value["path"]).read_bytes() if value.get("path") else None)
    if value is None:
        raise PictureError("missing")
    if isinstance(value, bytes):
        return read_picture(value)
    values = np.asarray(value)
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    if values.dtype.kind == "f":
        top = 1.0 if np.nanmax(values, initial=0) <= 1 else 255.0
        values = (np.nan_to_num(values) / top * 255).clip(0, 255).astype(np.uint8)
    elif values.dtype != np.uint16 or values.ndim == 3:
        values = values.clip(0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return upright_rgb(Image.fromarray(values))
