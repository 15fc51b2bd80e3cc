"""One command: selfrl quickstart | train | plan | eval | compare | evolve | optimize | paraphrase | pretext | …"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence

from rich.console import Console

USAGE = """usage: selfrl COMMAND …

  quickstart                         train and compare on the packaged tiny model, in minutes on a CPU
  train RECIPE.yaml [--key value …]  run a recipe (also: accelerate launch -m selfrl.cli …); --dry_run plans
  plan RECIPE.yaml --gpus N --memory GB
                                     memory a GPU and time a step, and what to change where it does not fit
  eval MODEL --tasks gsm8k,…         benchmarks: accuracies, intervals, samples; `eval compare A B` tests two runs,
                                     `eval prompts MODEL RUN` two prompts
  compare RECIPE.yaml [--jobs auto]  several rewards from one start, over seeds: one table and one plot
  evolve RECIPE.yaml                 self-play in rounds: prompts evolve with the solver; `evolve show RUN` draws them
  optimize TASK.yaml --model NAME    a better prompt without labels, by the model's own preferences
  paraphrase DATASET [--flag …]      write paraphrase pairs for contrastive rewards
  pretext build PICTURES --task …    write a data set of self-supervised questions about pictures or a graph
  doctor                             versions, devices, and what is missing for which feature

`selfrl COMMAND --help` says more."""


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
    if command == "doctor":
        from selfrl.doctor import doctor

        return doctor(Console(markup=False))  # "selfrl[eval]" is no markup
    print(f"selfrl: unknown command {command!r}: try `selfrl --help`." if command else USAGE, file=sys.stderr)
    return 2


def _refusing(name: str, command: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Bad input ends with one sentence."""
    try:
        return command(argv)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl {name}: {error}", file=sys.stderr)
        return 2


def _train(argv: list[str]) -> int:
    from selfrl.recipe import Recipe, parse_recipe
    from selfrl.training import build_trainer, print_plan, run

    if argv and argv[0] in ("-h", "--help"):
        print(f"usage: selfrl train RECIPE.yaml [--key value …]\n\n{inspect.getdoc(Recipe)}")
        return 0
    try:
        plan = parse_recipe(argv)
        if plan.recipe.dry_run:
            print_plan(plan, Console(markup=False))
            return 0
        trainer = build_trainer(plan)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl train: {error}", file=sys.stderr)
        return 2
    run(trainer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
