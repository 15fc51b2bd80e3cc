"""One command: selfrl quickstart | train | plan | forecast | eval | compare | evolve | optimize | pretext | …"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

USAGE = """usage: selfrl COMMAND …

  quickstart                         train and compare on the packaged tiny model, in minutes on a CPU
  train RECIPE.yaml [--key value …]  run a recipe (also: accelerate launch -m selfrl.cli …); --dry_run plans
  plan RECIPE.yaml --gpus N --memory GB
                                     memory a GPU and time a step, and what to change where it does not fit
  forecast MODEL DATA                before training: do these answers let a label-free reward gain, and which one
  eval MODEL --tasks gsm8k,…         benchmarks: accuracies, intervals, samples; `eval compare A B` tests two runs,
                                     `eval prompts MODEL RUN` two prompts
  compare RECIPE.yaml [--jobs auto]  several rewards from one start, over seeds: one table and one plot
  evolve RECIPE.yaml                 self-play in rounds: prompts evolve with the solver; `evolve show RUN` draws them
  optimize TASK.yaml --model NAME    a better prompt without labels, by the model's own preferences
  paraphrase DATASET [--flag …]      write paraphrase pairs for contrastive rewards
  pretext build PICTURES --task …    write a data set of self-supervised questions about pictures or a graph
  report RUN …                       one page of what runs wrote: curves, alarms, labels, completions; --live serves it
  doctor                             versions, devices, and what is missing for which feature

`selfrl COMMAND --help` says more."""


_BAD_INPUT = (ValueError, OSError, ImportError)


class _RefusedError(Exception):
    """A trainer could not be made of what was given."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; bad input ends with one sentence and exit status 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    command, rest = (args[0], args[1:]) if args else ("", [])
    if command in ("-h", "--help"):
        print(USAGE)
        return 0
    # Each command imports what it needs: `doctor` must run where another's imports would fail.
    if command == "train":
        return _train(rest)
    if command == "eval":
        from selfrl.eval.command import main as evaluate

        return evaluate(rest)
    if command == "quickstart":
        from selfrl.quickstart import main as quickstart

        return _refusing("quickstart", quickstart, rest)
    if command == "plan":
        from selfrl.plan.command import main as plan

        return _refusing("plan", plan, rest)
    if command == "forecast":
        from selfrl.forecast.command import main as forecast

        return _refusing("forecast", forecast, rest)
    if command == "compare":
        from selfrl.compare.command import main as compare

        return _refusing("compare", compare, rest)
    if command == "evolve":
        from selfrl.evolve.command import main as evolve

        return _refusing("evolve", evolve, rest)
    if command == "optimize":
        from selfrl.prompting.command import main as optimize

        return optimize(rest)
    if command == "paraphrase":
        from selfrl.data.paraphrase.command import main as paraphrase

        return paraphrase(rest)
    if command == "pretext":
        from selfrl.pretext.command import main as pretext

        return _refusing("pretext", pretext, rest)
    if command == "report":
        from selfrl.report.command import main as report

        return _refusing("report", report, rest)
    if command == "doctor":
        from selfrl.doctor import doctor

        return doctor(Console(markup=False))  # "selfrl[eval]" is no markup
    print(f"selfrl: unknown command {command!r}: try `selfrl --help`." if command else USAGE, file=sys.stderr)
    return 2


def _refusing(name: str, command: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Bad input ends with one sentence."""
    try:
        return command(argv)
    except _BAD_INPUT as error:
        print(f"selfrl {name}: {error}", file=sys.stderr)
        return 2


def _train(argv: list[str]) -> int:
    from selfrl.control_runs import check_launch, run_controls
    from selfrl.guarded_training import resumed, train_guarded
    from selfrl.recipe import Plan, Recipe, parse_recipe
    from selfrl.training import build_trainer, print_plan

    if argv and argv[0] in ("-h", "--help"):
        print(f"usage: selfrl train RECIPE.yaml [--key value …]\n\n{inspect.getdoc(Recipe)}")
        return 0
    try:
        plan = resumed(parse_recipe(argv))
        check_launch(plan)
        if plan.recipe.dry_run:
            print_plan(plan, Console(markup=False))
            return 0
    except _BAD_INPUT as error:
        print(f"selfrl train: {error}", file=sys.stderr)
        return 2

    def build(plan: Plan) -> Any:
        try:
            return build_trainer(plan)
        except _BAD_INPUT as error:
            raise _RefusedError(str(error)) from error

    try:
        train_guarded(plan, build).trainer.save_model()
    except _RefusedError as error:  # of the trainer's making alone: an error in training has a traceback
        print(f"selfrl train: {error}", file=sys.stderr)
        return 2
    if plan.recipe.control_names:
        from selfrl.report.command import write

        out = Path(plan.config.output_dir)
        folders = run_controls(plan, Console(markup=False, highlight=False))
        write([out, *folders], None)
        return 0 if len(folders) == len(plan.recipe.control_names) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
