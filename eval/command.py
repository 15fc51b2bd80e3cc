"""`selfrl eval MODEL --tasks …`, `selfrl eval compare A B` and `selfrl eval prompts MODEL RUN --tasks …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from selfrl.eval.evaluation import Model
from selfrl.eval.flags import EPILOG, add_flags, default_out, evaluation_of, settings_of
from selfrl.eval.pairing import compare, differing, inconsistent
from selfrl.eval.pairing_report import print_comparison
from selfrl.eval.running import finish, generate
from selfrl.eval.two_prompts import compare_prompts
from selfrl.prompting.run_record import read_prompt


def build_parser() -> argparse.ArgumentParser:
    """Flags of `selfrl eval MODEL`."""
    parser = argparse.ArgumentParser(
        prog="selfrl eval",
        description="Evaluate a model on benchmarks. `selfrl eval compare A B` compares two evaluations, "
        "`selfrl eval prompts MODEL RUN` two prompts.",
        epilog=EPILOG,
    )
    parser.add_argument("model", help="folder, hub name or tiny; an endpoint's model name")
    parser.add_argument("--prompt", help="system prompt: a text file, or the folder of a `selfrl optimize` run")
    add_flags(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; bad input ends with one sentence and exit status 2, before a model loads."""
    console = Console(markup=False)
    commands = {"compare": _compare, "prompts": compare_prompts}
    command = commands.get(argv[0]) if argv else None
    try:
        return _evaluate(argv, console) if command is None else command(argv[1:], console)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl eval: {error}", file=sys.stderr)
        return 2


def _evaluate(argv: Sequence[str], console: Console) -> int:
    args = build_parser().parse_args(argv)
    settings = settings_of(args, None if args.prompt is None else read_prompt(args.prompt))
    evaluation = evaluation_of(args, settings, args.out or default_out("eval", args))
    model = Model(args.model, settings)
    try:
        run = generate(evaluation, model, console)
    finally:
        model.close()
    return finish(run, console)


def _compare(argv: Sequence[str], console: Console) -> int:
    parser = argparse.ArgumentParser(prog="selfrl eval compare", description="Compare two evaluations by question.")
    parser.add_argument("first", type=Path, help="folder of the one evaluation")
    parser.add_argument("second", type=Path, help="folder of the other")
    args = parser.parse_args(argv)
    found = compare(args.first, args.second)
    for name in differing(args.first, args.second):
        console.print(f"{name}: left out, the two have other questions (data, limit, data seed, control) or versions.")
    print_comparison(found, ("first", "second"), console)
    for name in inconsistent(args.first, args.second):
        console.print(
            f"{name}: accuracy rose, but the reasoning supports its answers less, by more than 3 standard errors: it "
            "may have come to be ignored."
        )
    return 0
