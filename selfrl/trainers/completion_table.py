"""The table of completions, which TRL's RLOO hands to wandb and trackio alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from trl.trainer.utils import strip_images_from_messages

from selfrl.files import whole_file
from selfrl.trainers.trl_surface import GroupTrainer


class CompletionTable(GroupTrainer):
    """Mixin over TRL's RLOO trainer: with `log_completions` it writes the file that TRL's GRPO trainer writes."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and write `completions/completions_STEP.parquet`."""
        super().log(logs, start_time)
        if not (self.log_completions and self.accelerator.is_main_process):
            return
        step, held = self.state.global_step, self._logs
        columns = {
            "step": [step] * len(held["prompt"]),
            "prompt": list(map(strip_images_from_messages, held["prompt"])),
            "completion": list(map(strip_images_from_messages, held["completion"])),
            **{name: list(values) for kind in ("rewards", "extra") for name, values in held[kind].items()},
            "advantage": list(held["advantages"]),
        }
        path = Path(self.args.output_dir) / "completions" / f"completions_{step:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            pq.write_table(pa.table(columns), part)
