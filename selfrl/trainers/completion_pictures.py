"""Pictures in the table of completions, which TRL writes without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, List
from datasets import Image as ImageFeature

from selfrl.files import whole_file
from selfrl.pictures import png, thumbnail
from selfrl.trainers.trl_surface import GroupTrainer


class CompletionPictures(GroupTrainer):
    """Mixin over a TRL group trainer: with `log_completions`, `completions_*.parquet` has a column `images`.

    They are small ones, which `datasets` reads as pictures.
    """

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and add the prompts' pictures to the table that has just been written."""
        super().log(logs, start_time)
        rows = list(self._logs["images"])
        path = Path(self.args.output_dir) / "completions" / f"completions_{self.state.global_step:05d}.parquet"
        # of batches with and without pictures TRL does not say which rows are whose
        if (
            rows
            and self.log_completions
            and self.accelerator.is_main_process
            and len(rows) == len(self._logs["prompt"])
        ):
            add_pictures(path, rows)


def add_pictures(path: Path, rows: Sequence[Sequence[Any] | None]) -> None:
    """Add a column `images` to a Parquet file, a list of pictures a row."""
    kept: dict[int, bytes] = {}  # a group's rows share theirs
    table = pq.read_table(path)
    values = [[{"bytes": _png(picture, kept), "path": None} for picture in row or ()] for row in rows]
    features = Features({**Features.from_arrow_schema(table.schema), "images": List(ImageFeature())})
    table = table.append_column("images", pa.array(values, features.arrow_schema.field("images").type))
    with whole_file(path) as part:
        pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), part)


def _png(picture: Any, kept: dict[int, bytes]) -> bytes:
    if id(picture) not in kept:
        kept[id(picture)] = png(thumbnail(picture))
    return kept[id(picture)]
