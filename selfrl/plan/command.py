"""`selfrl plan RECIPE.yaml --gpus N --memory GB`: memory a GPU and time a step, before anything runs.

Nothing is loaded: sizes come from the model's configuration, and what a forward pass keeps is counted on a model
without memory. Rows are taken as long as the recipe lets them be.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main(argv: Sequence[str]) -> int:
    """Print the plan; 1 if it does not fit."""
    parser = argparse.ArgumentParser(
        prog="selfrl plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="training recipe, such as recipes/co_rewarding/dapo_ii_qwen3_8b.yaml, and flags")
    parser.add_argument("--gpus", type=int, default=1, help="processes, one a GPU")
    parser.add_argument("--memory", type=float, help="GB of a GPU; without it, a CPU's is planned")
    parser.add_argument("--shard", choices=("none", "zero2", "zero3"), default="none", help="zero3: FSDP, too")
    parser.add_argument("--device", default="h100", help="a100, h100, h200 or l40s, for the time of a step")
    parser.add_argument("--config", type=Path, help="the model's config.json, where there is no hub")
    args, flags = parser.parse_known_args(argv)
    if args.gpus < 1 or (args.memory is not None and args.memory <= 0):
        raise ValueError(f"--gpus is {args.gpus} and --memory {args.memory}: take 1 GPU or more, and some memory.")
    # only now, so that --help is there at once
    from selfrl.plan.memory_parts import peak
    from selfrl.plan.memory_plan import MemoryPlan
    from selfrl.plan.plan_advice import LAST, first_that_fits
    from selfrl.plan.run_shape import PROMPT
    from selfrl.plan.step_time import step_time
    from selfrl.recipe import parse_recipe

    console = Console(markup=False, highlight=False, soft_wrap=True)
    plan = parse_recipe([args.recipe, *flags, "--dry_run", "true"])
    gpu = None if args.memory is None else args.memory * 1e9
    memory = MemoryPlan(plan, args.gpus, args.shard, args.config, gpu)
    if plan.recipe.max_prompt_tokens is None:
        console.print(f"Prompts are taken at {PROMPT} tokens: the recipe sets no max_prompt_tokens.")
    where = "in all" if gpu is None else f"on each of {args.gpus}"
    found = memory.phases()
    console.print(_table(f"{plan.model.model_name_or_path}, GB {where}", found))
    needed = peak(found)
    line = f"Peak {needed / 1e9:.2f} GB"
    if gpu is None:
        console.print(f"{line}.")
        return 0
    seconds = step_time(memory.model, memory.run, args.device)
    console.print(
        f"A step, from the stated speed of {args.device}: {seconds.whole:.0f} s (rollouts {seconds.rollouts:.0f}, "
        f"scoring {seconds.scoring:.0f}, update {seconds.update:.0f})."
    )
    if needed <= gpu:
        console.print(f"{line} of {args.memory:g}: it fits.")
        return 0
    changes = first_that_fits(memory.run, lambda run: memory.peak(run) <= gpu)
    console.print(f"{line} of {args.memory:g}: it does not fit. {', '.join(changes) if changes else LAST}.")
    return 1


def _table(title: str, found: dict[str, dict[str, float]]) -> Table:
    table = Table(title=title)
    table.add_column("part")
    for phase in found:
        table.add_column(phase, justify="right")
    for name in dict.fromkeys(name for parts in found.values() for name in parts):
        table.add_row(name, *(f"{parts[name] / 1e9:.2f}" if name in parts else "" for parts in found.values()))
    table.add_section()
    table.add_row("sum", *(f"{sum(parts.values()) / 1e9:.2f}" for parts in found.values()))
    return table
