"""`selfrl forecast MODEL DATA`: what label-free reinforcement learning can give here, before any training.

Samples answers to some prompts of the data, as training would ask them, and says how they agree, what a majority's
reward would be worth, and whether training by it raises or lowers accuracy. A column `answer` holds gold answers, for
all rows or for a few; a column `paraphrase` the prompts in other words. Without any gold answer there is no sign.

With --collapse-step it also trains the model for so many cheap steps by majority vote, and tells after how many of them
the reward agrees with the truth no more (the Model Collapse Step, 2603.08660): for that every row needs its answer.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfrl.generation.load import BACKENDS

COLLAPSE_STEPS = 100


def build_parser() -> argparse.ArgumentParser:
    """Its flags."""
    parser = argparse.ArgumentParser(
        prog="selfrl forecast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="folder, hub name or tiny; an endpoint's model name")
    parser.add_argument("data", help="what a recipe's `dataset` takes: a file, a hub name, tiny or tiny_chains")
    parser.add_argument("--split", default="train", help="as a recipe's `dataset_split`")
    parser.add_argument("--config", help="as a recipe's `dataset_config`")
    parser.add_argument("--prompt-column", default="prompt", help="as a recipe's `prompt_column`")
    parser.add_argument("--prompt", help="system prompt: a text file, or the folder of a `selfrl optimize` run")
    parser.add_argument("--prompts", type=int, default=200, help="how many to ask, drawn by the seed")
    parser.add_argument("--n", type=int, default=16, help="completions a prompt")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=1024, help="length limit of a completion")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, the sampling and the resampling")
    parser.add_argument("--steps", type=int, default=100, help="of the training whose cost is told")
    parser.add_argument("--rollouts", type=int, default=128, help="completions of each of its steps")
    parser.add_argument(
        "--collapse-step", type=int, nargs="?", const=COLLAPSE_STEPS, metavar="STEPS", help="train so many; default 100"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-6, help="of --collapse-step; a tiny model's is 3e-5")
    parser.add_argument("--out", type=Path, help="folder for forecast.json, and for the run of --collapse-step")
    parser.add_argument("--backend", choices=BACKENDS, default="transformers")
    parser.add_argument("--base-url", help="address of an OpenAI-compatible endpoint")
    parser.add_argument("--api-key-env", help="environment variable with the endpoint's key; default OPENAI_API_KEY")
    parser.add_argument("--batch-size", type=int, default=16, help="completions at a time (transformers)")
    parser.add_argument("--cache", type=Path, help="file that keeps completions; by default in the user's cache folder")
    return parser


def main(argv: Sequence[str]) -> int:
    """Print the forecast; bad input ends before a model loads."""
    args = build_parser().parse_args(argv)
    # only now, so that --help is there at once
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from selfrl.forecast.forecast_report import print_collapse, print_forecast
    from selfrl.forecast.forecasting import forecast

    console = Console(markup=False, highlight=False, soft_wrap=True)
    request = _request(args)
    run = None if args.collapse_step is None else _collapse_run(args, request)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("prompts", total=sum(len(asked.wordings) for asked in request.asked))
        found = forecast(request, lambda done: progress.update(bar, completed=done))
    print_forecast(found, console)
    _write(args.out, found)
    if run is not None:
        found["collapse"] = run.train(request.asked)
        print_collapse(found["collapse"], console)
        _write(args.out, found)
    return 0


def _collapse_run(args: argparse.Namespace, request: Any) -> Any:
    """The run that --collapse-step asks for, checked."""
    from selfrl.forecast.collapse_run import CollapseRun

    run = CollapseRun(args.model, args.collapse_step, args.learning_rate, args.max_tokens, args.seed, args.out)
    run.check(request.asked, args.backend)
    return run


def _request(args: argparse.Namespace) -> Any:
    """Everything loaded and checked but the model."""
    from selfrl.eval.settings import Settings
    from selfrl.forecast.forecasting import Request, check_model, load_asked
    from selfrl.generation import Sampling
    from selfrl.prompting.run_record import read_prompt

    if args.n < 2:
        raise ValueError(f"--n is {args.n}: agreement needs 2 completions a prompt at least.")
    if args.temperature <= 0:
        raise ValueError(f"--temperature is {args.temperature:g}: completions agree by force unless it is above 0.")
    for flag in ("steps", "rollouts"):
        if getattr(args, flag) < 1:
            raise ValueError(f"--{flag} is {getattr(args, flag)}: it must be 1 or more.")
    names = {field.name for field in dataclasses.fields(Settings)}
    given = {name: value for name, value in vars(args).items() if name in names}
    system = None if args.prompt is None else read_prompt(args.prompt)
    settings = Settings(**given, system_prompt=system)
    asked = load_asked(args.data, args.split, args.config, args.prompt_column, system, args.prompts, args.seed)
    check_model(args.model, settings)
    sampling = Sampling(args.max_tokens, args.temperature, n=args.n, seed=args.seed)
    return Request(args.model, args.data, asked, sampling, settings, args.steps, args.rollouts)


def _write(out: Path | None, found: dict[str, Any]) -> None:
    from selfrl.files import write_whole

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "forecast.json", json.dumps(found, indent=1) + "\n")
