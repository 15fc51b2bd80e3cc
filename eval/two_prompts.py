"""`selfrl eval prompts MODEL RUN --tasks …`: one model on the same questions with two system prompts."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from selfrl.eval.evaluation import Model
from selfrl.eval.flags import EPILOG, add_flags, default_out, evaluation_of, settings_of
from selfrl.eval.harness import PREFIX
from selfrl.eval.pairing import TaskComparison, compare
from selfrl.eval.pairing_report import markdown_comparison, print_comparison
from selfrl.eval.running import finish, generate
from selfrl.prompting.run_record import read_prompt, read_prompts

SIDES = ("before", "after")


def build_parser() -> argparse.ArgumentParser:
    """Flags of `selfrl eval prompts`."""
    parser = argparse.ArgumentParser(
        prog="selfrl eval prompts",
        description="Evaluate a model with the initial and with the best prompt of a run, and compare by question.",
        epilog=EPILOG,
    )
    parser.add_argument("model", help="folder, hub name or tiny; an endpoint's model name")
    parser.add_argument("run", help="folder of a `selfrl optimize` run; with --against a text file will do")
    parser.add_argument("--against", help="the prompt before: a text file or a run; by default the run's initial one")
    add_flags(parser)
    return parser


def compare_prompts(argv: Sequence[str], console: Console) -> int:
    """Evaluate with both prompts, into `before` and `after`, and compare them in `prompts.md`.

    Returns:
        the exit status: 1 if a task got no completions.

    Raises:
        ValueError: for prompts that are the same, tasks of lm-evaluation-harness alone, and as
            [`selfrl.eval.flags.evaluation_of`], before a model loads.
    """
    args = build_parser().parse_args(argv)
    if all(name.startswith(PREFIX) for name in args.tasks.split(",") if name):
        raise ValueError("Only tasks of selfrl's own are compared by question: name one.")
    prompts = _prompts(args.run, args.against)
    out = args.out or default_out("prompts", args)
    evaluations = [
        evaluation_of(args, settings_of(args, prompt), out / side) for side, prompt in zip(SIDES, prompts, strict=True)
    ]
    model = Model(args.model, evaluations[0].settings)  # the settings differ in the prompt alone, which is not its own
    runs = []
    try:
        for side, evaluation in zip(SIDES, evaluations, strict=True):
            console.print(f"The prompt {side}:")
            runs.append(generate(evaluation, model, console))
    finally:
        model.close()
    status = max(finish(run, console) for run in runs)
    if not {r.job.task.name for r in runs[0].done} & {r.job.task.name for r in runs[1].done}:
        console.print("Nothing can be compared: no task has completions with both prompts.")
        return status
    found = compare(out / SIDES[0], out / SIDES[1])
    print_comparison(found, SIDES, console)
    page = out / "prompts.md"
    page.write_text("\n".join(prompts_page(args.model, found, prompts)) + "\n")
    console.print(f"The table and both prompts are in {page}.")
    return status


def prompts_page(model: str, found: Sequence[TaskComparison], prompts: tuple[str, str]) -> list[str]:
    """Lines of `prompts.md`.

    >>> prompts_page("tiny", [], ("Add.", "Add up. Use {braces}."))[-3:]
    ['## after', '', '    Add up. Use {braces}.']
    """
    lines = [f"# {model}: two prompts", "", *markdown_comparison(found, SIDES), ""]
    lines += ["Accuracies in percent; the change with its interval over questions, paired; p of a sign-flip test."]
    for side, prompt in zip(SIDES, prompts, strict=True):
        # indented, not fenced: a prompt may hold a fence
        lines += ["", f"## {side}", "", textwrap.indent(prompt, "    ")]
    return lines


def _prompts(run: str, against: str | None) -> tuple[str, str]:
    """The prompts before and after."""
    if against is None and Path(run).is_file():
        raise ValueError(f"{run} is a text file, not a run: give the prompt before it with --against.")
    before, after = read_prompts(run) if against is None else (read_prompt(against), read_prompt(run))
    if before == after:
        raise ValueError(f"The prompt of {run} is the same before and after: name another one with --against.")
    return before, after
