"""From a recipe to the memory that its run takes."""

from __future__ import annotations

from pathlib import Path

from trl import get_peft_config

from selfrl.plan.memory_parts import Kept, Parts, peak, phases
from selfrl.plan.model_shape import kept_bytes, read_config, shape_of
from selfrl.plan.run_shape import RunShape, Shard, run_shape_of
from selfrl.recipe import Plan


class MemoryPlan:
    """Memory of a recipe's run, and of runs of the same model that differ from it.

    Args:
        plan: the recipe as it was read.
        gpus: processes, one a GPU.
        shard: what they share.
        config: the model's configuration, where there is no hub.
        gpu: bytes of a GPU; None for a CPU.

    Raises:
        ValueError: for a configuration that cannot be read, or a batch that the GPUs cannot share.

    Example:
        >>> from selfrl.recipe import parse_recipe
        >>> found = MemoryPlan(parse_recipe(["recipes/co_rewarding/tiny.yaml", "--max_prompt_tokens", "32"]))
        >>> sorted(found.phases())
        ['rollouts', 'update: layers', 'update: output head']
    """

    def __init__(
        self,
        plan: Plan,
        gpus: int = 1,
        shard: Shard = "none",
        config: Path | None = None,
        gpu: float | None = None,
    ) -> None:
        self.config, self.gpu = read_config(plan.model.model_name_or_path, config), gpu
        adapter = get_peft_config(plan.model)
        self.run = run_shape_of(plan, adapter, gpus, shard)
        self.model = shape_of(self.config, adapter)

    def phases(self, run: RunShape | None = None) -> dict[str, Parts]:
        """Bytes of every part in every phase, of the recipe's run or another."""
        run = run or self.run
        kept = {
            less: kept_bytes(self.config, run.rows, run.length, run.completion, half=run.half, checkpointing=less)
            for less in {run.checkpointing, False}
        }
        layer = kept[False] / self.model.layers if run.checkpointing else 0.0
        return phases(self.model, run, Kept(kept[run.checkpointing], layer), self.gpu)

    def peak(self, run: RunShape | None = None) -> float:
        """Bytes of the fullest phase."""
        return peak(self.phases(run))
