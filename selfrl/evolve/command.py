"""`selfrl evolve RECIPE.yaml`: self-play in rounds; `selfrl evolve show RUN`: what became of the curriculum.

The recipe holds the keys of a training recipe, which each round's training of the solver gets, and

    evolve:  creator, which writes prompts; rounds, samples, subset, fresh, … (the schedule); measure, gate,
             evolved_share (what reaches training); evaluation, which never does; backend, launch, proposer

`trainer: dpo` trains on the best against the worst of the solver's own answers, with TRL's DPOConfig and any of its
losses. A run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console


def main(argv: Sequence[str]) -> int:
    """Run what is missing of a run, or show one."""
    console = Console(markup=False, highlight=False)
    parser = argparse.ArgumentParser(
        prog="selfrl evolve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if argv and argv[0] == "show":
        parser.add_argument("show")
        parser.add_argument("run", type=Path, help="folder of a run")
        from selfrl.evolve.show import show

        show(parser.parse_args(argv).run, console)
        return 0
    parser.add_argument("recipe", help="evolve recipe, such as recipes/eva/procedural_tiny.yaml")
    parser.add_argument("--out", type=Path, help="folder of everything written; runs/FOLDER_NAME by default")
    parser.add_argument("--rounds", type=int, help="instead of the recipe's; with more of them a run goes on")
    parser.add_argument("--dry_run", action="store_true", help="check the recipe, print the plan, and load nothing")
    args = parser.parse_args(argv)
    evolve(args.recipe, args.out, console, rounds=args.rounds, dry_run=args.dry_run)
    return 0


def evolve(
    recipe: str, out: Path | None, console: Console, *, rounds: int | None = None, dry_run: bool = False
) -> None:
    """Run what is missing of a run.

    Args:
        recipe: its file.
        out: folder of the run; runs/FOLDER_NAME if not given.
        console: where to print.
        rounds: instead of the recipe's.
        dry_run: only check the recipe and print the plan.

    Raises:
        ValueError, OSError, ImportError: for a recipe that cannot be run, a folder that holds a run of another one or
            that another process works on, or a training that failed.
    """
    # only now, so that --help is there at once
    from selfrl.data.loading import load_rows, to_prompts
    from selfrl.eval.held_back import evaluation_questions
    from selfrl.evolve.evolve_plan import print_evolve_plan
    from selfrl.evolve.evolve_recipe import EvolveRecipe
    from selfrl.evolve.round_models import RoundModels
    from selfrl.evolve.show import show
    from selfrl.files import write_whole
    from selfrl.recipe import find_recipe
    from selfrl.selfplay.loop import EvolveLoop

    path = find_recipe(recipe)
    asked = EvolveRecipe.read(path, dry_run)
    if rounds is not None:
        asked = replace(asked, settings=replace(asked.settings, rounds=rounds))
    if dry_run:
        print_evolve_plan(asked, console)
        return
    folder = (out or Path("runs") / f"{path.parent.name}_{path.stem}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        kept = folder / "recipe.yaml"
        if kept.exists() and kept.read_text() != asked.text:
            raise ValueError(f"{folder} holds a run of another recipe: name another folder with --out.")
        write_whole(kept, asked.text)
        data = asked.data
        rows = load_rows(data["dataset"], data.get("dataset_split", "train"), data.get("dataset_config"))
        seeds = to_prompts(rows, data.get("prompt_column", "prompt"), data.get("system_prompt"))
        for reward in asked.rewards:
            for column in getattr(reward, "columns", ()):
                if column not in seeds.column_names:
                    raise ValueError(f"{reward.__name__} needs the column {column!r} of the seeds: add or rename it.")
        models = RoundModels(asked)
        loop = EvolveLoop(
            folder,
            seeds,
            asked.creator,
            asked.curriculum,
            asked.settings,
            models,
            evaluation_questions(asked.evaluation),
            asked.plan.config.seed,
            lambda line: console.print(line, soft_wrap=True),
        )
        model = loop.run()
        models.close()
    show(folder, console)
    console.print(f"The solver of the last round: {model}", soft_wrap=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a folder that another process works on."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"Another process works on {folder}: wait for it, or end it.") from error
        yield
