"""One training of a `selfrl evolve` run, in a process of its own: python -m selfrl.evolve.train_round RECIPE.yaml.

`accelerate launch -m selfrl.evolve.train_round RECIPE.yaml` trains on several GPUs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from selfrl.evolve.dpo_training import build_dpo, parse_dpo
from selfrl.evolve.evolve_recipe import DPO
from selfrl.guarded_training import resumed, train_guarded
from selfrl.recipe import parse_recipe, read_recipe_file
from selfrl.training import build_trainer, run

MERGED = "merged"


def main(path: str) -> None:
    """Train, or go on from the last checkpoint, and save the model."""
    keys = read_recipe_file(Path(path))
    if keys.get("trainer") == DPO:
        trainer: Any = build_dpo(parse_dpo({key: value for key, value in keys.items() if key != "trainer"}))
        run(trainer)
    else:
        plan = resumed(parse_recipe([path]))
        trainer = train_guarded(plan, build_trainer).trainer
        trainer.save_model()
    if trainer.accelerator.is_main_process:
        _merge(Path(trainer.args.output_dir))


def _merge(folder: Path) -> None:
    """Make a whole model of an adapter: the next round starts from it."""
    if not (folder / "adapter_config.json").exists():
        return
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoProcessor

    AutoPeftModelForCausalLM.from_pretrained(folder, dtype="auto").merge_and_unload().save_pretrained(folder / MERGED)
    AutoProcessor.from_pretrained(folder).save_pretrained(folder / MERGED)


if __name__ == "__main__":
    main(sys.argv[1])
