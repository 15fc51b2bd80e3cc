"""`selfrl optimize TASK.yaml`: optimise a prompt without labels."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from selfrl.generation.load import BACKENDS
from selfrl.generation.processors import load_processor
from selfrl.generation.tokens import check_system_role
from selfrl.models import model_path
from selfrl.prompting.optimizer import PromptOptimizer, Settings
from selfrl.prompting.prompt_task import load_task
from selfrl.prompting.requests import Templates
from selfrl.prompting.roles import ROLES, TEMPERATURES, RoleName, RoleSpec, open_roles
from selfrl.prompting.run_page import write_page
from selfrl.prompting.run_record import FILE, Run
from selfrl.suggest import refuse_unknown
from selfrl.tables import wrapping_table

PAGE = "results.html"
ROUNDS_HEAD = ["round", "outcome", "new : best", "ties", "unread", "tokens", "cost", "what is new"]


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    keys = ", ".join(field.name for field in dataclasses.fields(RoleSpec))
    parser = argparse.ArgumentParser(
        prog="selfrl optimize",
        description="Optimise a prompt without labels (SPO, 2502.06855): the better prompt is the one whose outputs a "
        "model prefers. The task file holds prompt, requirements, count (words, or None) and qa (questions, with or "
        "without answers).",
        epilog=f"A role's KEY=VALUE outranks the shared flags: {keys}.",
    )
    parser.add_argument("task", help="YAML file")
    parser.add_argument("--model", help="of all roles: folder, hub name or tiny; an endpoint's model name")
    parser.add_argument("--backend", choices=BACKENDS, default="transformers")
    parser.add_argument("--base-url", help="address of an OpenAI-compatible endpoint")
    parser.add_argument("--api-key-env", help="environment variable with the endpoint's key; default OPENAI_API_KEY")
    parser.add_argument("--max-tokens", type=int, default=2048, help="length limit of a reply")
    for name in ROLES:
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"the {name}'s own (temperature: {TEMPERATURES[name]:g})",
        )
    parser.add_argument("--rounds", type=int, default=10, help="the first runs the initial prompt")
    parser.add_argument("--samples", type=int, default=3, help="questions to work with")
    parser.add_argument("--finalists", type=int, default=4, help="prompts that meet once more at the end; 1: none")
    parser.add_argument("--heldout", type=int, default=10, help="other questions that check the result; 0: none")
    parser.add_argument("--optimizer-template", type=Path, help="Jinja file instead of the optimiser's request")
    parser.add_argument("--evaluator-template", type=Path, help="Jinja file instead of the evaluator's request")
    parser.add_argument("--out", type=Path, help="folder; runs/prompt_TASK by default; a run in it goes on")
    parser.add_argument("--concurrency", type=int, default=16, help="requests under way at a time (endpoint)")
    parser.add_argument("--batch-size", type=int, default=16, help="completions at a time (transformers)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; bad input ends with one sentence and exit status 2, before a model loads."""
    args = build_parser().parse_args(argv)
    console = Console()
    try:
        run, out = _optimize(args, console)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl optimize: {error}", file=sys.stderr)
        return 2
    console.print(rounds_table(run))
    console.print(usage_table(run))
    console.print(summary(run), markup=False)
    console.print(f"\n{run.best_prompt}\n", markup=False)
    console.print(f"Everything is in {out}: {FILE}, {PAGE}", markup=False)
    return 0


def _optimize(args: argparse.Namespace, console: Console) -> tuple[Run, Path]:
    if args.concurrency < 1 or args.batch_size < 1:
        raise ValueError("--concurrency and --batch-size must be 1 or more.")
    task = load_task(args.task)
    settings = Settings(args.rounds, args.samples, args.finalists, args.heldout, args.seed)
    specs = {name: role_spec(name, args) for name in ROLES}
    given = {"optimize": args.optimizer_template, "evaluate": args.evaluator_template}
    templates = Templates(**{name: _template(file) for name, file in given.items() if file is not None})
    out = args.out or Path("runs") / f"prompt_{Path(args.task).stem}"
    executor = specs["executor"]
    if executor.backend != "endpoint":
        path = model_path(executor.model)
        check_system_role(load_processor(path), path)
    roles = open_roles(specs, args.batch_size, args.concurrency)
    try:
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def show(run: Run) -> None:
                if run.rounds[0].outcome is not None:
                    write_page(out / PAGE, run)
                live.update(Group(rounds_table(run), usage_table(run)), refresh=True)

            optimizer = PromptOptimizer(task, out, **roles, settings=settings, templates=templates, on_change=show)
            return optimizer.run(), out
    finally:
        for generator in {id(role.generator): role.generator for role in roles.values()}.values():
            generator.close()


def _template(file: Path) -> str:
    if not file.is_file():
        raise ValueError(f"The template {file} does not exist: check the path.")
    return file.read_text(encoding="utf-8")


def role_spec(name: RoleName, args: argparse.Namespace) -> RoleSpec:
    """A role from the shared flags and its own KEY=VALUE.

    Raises:
        ValueError: for an unknown key, a value of a wrong kind, or no model.
    """
    fields = {field.name: field for field in dataclasses.fields(RoleSpec)}
    values: dict[str, Any] = {
        "model": args.model or "",
        "backend": args.backend,
        "base_url": args.base_url,
        "api_key_env": args.api_key_env,
        "max_tokens": args.max_tokens,
    }
    for item in getattr(args, name):
        key, sign, text = item.partition("=")
        if not sign:
            raise ValueError(f"--{name} takes KEY=VALUE, as in temperature=0.5, not {item!r}.")
        refuse_unknown("key", key, fields, f"after --{name}")
        is_number = key in ("temperature", "top_p", "max_tokens", "price_in", "price_out")
        value = yaml.safe_load(text) if is_number else text
        if is_number and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{key} after --{name} is {text!r}: it must be a number.")
        values[key] = value
    return RoleSpec(**values)


def rounds_table(run: Run) -> Table:
    """The rounds so far."""
    rows = []
    for r in run.rounds:
        tally = r.comparison.tally if r.comparison else None
        usage = r.usage.values()
        rows.append(
            [
                str(r.number),
                r.outcome or "…",
                f"{tally.two} : {tally.one}" if tally else "",
                str(tally.ties) if tally else "",
                str(tally.unread) if tally else "",
                str(sum(u.prompt_tokens + u.completion_tokens for u in usage)),
                f"{sum(u.cost for u in usage):.4f}",
                " ".join((r.modification or "").split())[:100],
            ]
        )
    return wrapping_table(ROUNDS_HEAD, rows)


def usage_table(run: Run) -> Table:
    """Calls, tokens and cost by role."""
    rows = [
        [
            name,
            str(usage.calls),
            str(usage.failures),
            str(usage.prompt_tokens),
            str(usage.completion_tokens),
            f"{usage.cost:.4f}",
        ]
        for name, usage in run.usage.items()
    ]
    return wrapping_table(["role", "calls", "failed", "prompt tokens", "completion tokens", "cost"], rows)


def summary(run: Run) -> str:
    """What came of the run, in a sentence or two."""
    if run.best == 1:
        return "No prompt was found that is better than the initial one."
    said = f"The best prompt is that of round {run.best}."
    if run.heldout is None:
        return f"{said} No further questions were there to check it on."
    asked = len(run.heldout.questions)
    said += (
        f" On {asked} questions that no round has seen it is preferred on {run.heldout.won}, the initial one on "
        f"{run.heldout.lost}."
    )
    if run.heldout.lost >= run.heldout.won:
        said += " It may fit the samples only: give more of them, or keep the initial one."
    return said
