"""The controls of a run: the same training with a reward that knows nothing, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from selfrl.files import write_whole
from selfrl.recipe import Plan
from selfrl.recipe_keys import CONTROLS

FINISHED = "training_args.bin"  # is saved with the model, at the end
NOT_THEIRS = ("teacher", "curriculum", "shaping", "roles", "controls", "prompt_every", "prompt_rounds", "preset")


def control_keys(plan: Plan, name: str) -> dict[str, Any]:
    """The recipe of a control: the run's, with another reward and without what goes with the run's own.

    Args:
        plan: of the run.
        name: of [`selfrl.recipe_keys.CONTROLS`].
    """
    kept = {key: value for key, value in plan.keys.items() if key not in NOT_THEIRS}
    folder = Path(plan.config.output_dir) / "controls" / name
    return {**kept, "rewards": {CONTROLS[name]: {}}, "paired": plan.paired, "output_dir": str(folder)}


def check_launch(plan: Plan) -> None:
    """Refuse controls of a run of several processes.

    Raises:
        ValueError: if there are any.
    """
    if plan.recipe.control_names and plan.config.world_size > 1:
        raise ValueError("Controls are processes of their own: launch one process, or make them arms of a comparison.")


def run_controls(plan: Plan, console: Console) -> list[Path]:
    """Train the controls of a run one after the other; gives the folders of those that ended well.

    Each writes what it says into `log.txt` in its folder. With `resume_from_checkpoint` one that has ended stays as it
    is, and one that was killed goes on.
    """
    done = []
    for name in plan.recipe.control_names:
        keys = control_keys(plan, name)
        folder = Path(keys["output_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        resumes = plan.config.resume_from_checkpoint is not None
        if resumes:
            keys["resume_from_checkpoint"] = "latest"
        if not (resumes and (folder / FINISHED).exists()):
            console.print(f"Control {name}: its log is {folder / 'log.txt'}.", soft_wrap=True)
            if not _trained(folder, keys):
                console.print(f"Control {name} failed: see the end of its log.")
                continue
        done.append(folder)
    return done


def _trained(folder: Path, keys: dict[str, Any]) -> bool:
    recipe = folder / "recipe.yaml"
    write_whole(recipe, yaml.safe_dump(keys, sort_keys=False))
    with (folder / "log.txt").open("w") as log:
        command = [sys.executable, "-m", "selfrl.cli", "train", str(recipe)]
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode == 0
