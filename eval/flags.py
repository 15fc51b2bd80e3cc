"""Flags of an evaluation, and what they ask for, checked before a model loads."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from selfrl.eval.calibration import SIGNALS
from selfrl.eval.harness import PREFIX, check_harness
from selfrl.eval.jobs import Job, check_system_prompt, job, plan, resolve_style
from selfrl.eval.running import Evaluation
from selfrl.eval.settings import DATA_SEED, Settings
from selfrl.eval.task import Source, load_tasks, task_names
from selfrl.eval.vision_harness import VISION_PREFIX, check_vision_harness
from selfrl.generation.load import BACKENDS
from selfrl.installation import mend
from selfrl.suggest import refuse_unknown

CONTROL = "control"
CONTROLS = 100
EPILOG = (
    f"Tasks: {', '.join(task_names())}; FAMILY:MEMBER for one of a family; a task file; "
    "lm_eval:NAME for one of lm-evaluation-harness; lmms_eval:NAME for one of lmms-eval (vision)."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every evaluation."""
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--out", type=Path, help="folder of everything written; by default in runs/, named after these")
    parser.add_argument("--backend", choices=BACKENDS, default="transformers")
    parser.add_argument("--n", type=int, help="completions a question; by default the task's")
    parser.add_argument("--limit", type=int, help="only the first N questions of each task")
    parser.add_argument("--data", nargs="+", default=[], metavar="TASK=FILE", help="local rows; {member} for families")
    parser.add_argument("--shots", type=int, help="examples before each question; by default the task's")
    parser.add_argument("--shots-data", nargs="+", default=[], metavar="TASK=FILE", help="local rows of the examples")
    parser.add_argument("--style", choices=("auto", "chat", "base"), default="auto", help="by default as the model is")
    parser.add_argument("--temperature", type=float, help="default: 0 for one completion a question, 0.6 for several")
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--max-tokens", type=int, help="length limit of a completion; by default the task's")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling")
    parser.add_argument("--data-seed", type=int, default=DATA_SEED, help="of shuffled options, procedural problems")
    parser.add_argument("--control", type=int, help=f"word problems with fresh numbers beside ({CONTROLS}); 0 for none")
    parser.add_argument("--contamination", action="store_true", help="probe whether questions are known by heart")
    parser.add_argument("--signals", default="", help=f"calibration of {', '.join(SIGNALS)}, separated by commas")
    parser.add_argument(
        "--judge", help="model that says whether the reasoning supports the answer; label-free: the start"
    )
    parser.add_argument("--lm-eval-tasks", type=Path, help="folder with further task files of either harness")
    parser.add_argument("--cache", type=Path, help="file that keeps generations; by default in the user's cache folder")
    parser.add_argument("--base-url", help="address of an OpenAI-compatible endpoint")
    parser.add_argument("--api-key-env", help="environment variable with the endpoint's key; default OPENAI_API_KEY")
    parser.add_argument("--batch-size", type=int, default=16, help="completions at a time (transformers)")


def default_out(kind: str, args: argparse.Namespace) -> Path:
    """Where an evaluation is written unless `--out` says otherwise.

    >>> str(default_out("eval", argparse.Namespace(model="Qwen/Qwen3-0.6B", tasks="gsm8k")))
    'runs/eval_Qwen_Qwen3-0.6B_gsm8k'
    """
    return Path("runs") / f"{kind}_{args.model.strip('/')}_{args.tasks}".replace("/", "_")[:120]


def settings_of(args: argparse.Namespace, system_prompt: str | None) -> Settings:
    """Settings from the flags, with a system prompt if there is one.

    Raises:
        ValueError: for a file that is not given as TASK=FILE.
    """
    fields = {field.name for field in dataclasses.fields(Settings)}
    plain = {name: value for name, value in vars(args).items() if name in fields}
    files = {"data": _files(args.data, "--data"), "shots_data": _files(args.shots_data, "--shots-data")}
    return Settings(**{**plain, **files, "system_prompt": system_prompt})


def evaluation_of(args: argparse.Namespace, settings: Settings, out: Path) -> Evaluation:
    """The evaluation that the flags ask for, its questions loaded.

    Args:
        args: the flags.
        settings: see [`settings_of`].
        out: folder of everything written.

    Raises:
        ValueError: for flags that do not fit together, and as [`selfrl.eval.jobs.plan`].
        OSError: for a model that is not there.
        ImportError: for what is not installed.
    """
    names = [name for name in args.tasks.split(",") if name]
    harness = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
    vision = [name.removeprefix(VISION_PREFIX) for name in names if name.startswith(VISION_PREFIX)]
    own = [name for name in names if not name.startswith((PREFIX, VISION_PREFIX))]
    signals = [name for name in args.signals.split(",") if name]
    _check(args, signals, own)
    if harness:
        check_harness(harness, settings, args.lm_eval_tasks)
    if vision:
        check_vision_harness(vision, settings)
    jobs = plan(args.model, own, settings) if own or not (harness or vision) else []
    blind = set(signals) - {"vote_share"}
    if blind and (seeing := next((item.task.name for item in jobs if item.task.images is not None), None)):
        raise ValueError(f"The task {seeing} shows pictures, which {min(blind)} does not see: leave one of them out.")
    remarks = []
    if jobs and args.control is None and importlib.util.find_spec("reasoning_gym") is None:
        remarks.append(f"No control with fresh numbers: it needs reasoning-gym, {mend('eval')}.")
    elif jobs and args.control != 0:
        jobs.append(control_job(CONTROLS if args.control is None else args.control, jobs[0], settings))
    if jobs:
        style = jobs[0].style
    else:
        style = resolve_style(args.model, settings)
        check_system_prompt(args.model, style, settings)
    return Evaluation(
        model=args.model,
        settings=settings,
        jobs=jobs,
        style=style,
        out=out,
        harness=harness,
        vision_harness=vision,
        harness_folder=args.lm_eval_tasks,
        contamination=args.contamination,
        signals=signals,
        judge=args.judge,
        remarks=remarks,
    )


def control_job(size: int, like: Job, settings: Settings) -> Job:
    """GSM8K's templates with names and numbers by the data's seed, which no published set has."""
    (task,) = load_tasks("reasoning_gym:gsm_symbolic")
    fresh = dataclasses.replace(
        task,
        name=CONTROL,
        about="GSM8K's templates with fresh names and numbers.",
        data=Source(generator="gsm_symbolic", size=min(size, settings.limit or size)),
    )
    return job(fresh, like.style, dataclasses.replace(settings, limit=None, shots=None))


def _check(args: argparse.Namespace, signals: Sequence[str], own: Sequence[str]) -> None:
    for name in signals:
        refuse_unknown("signal", name, SIGNALS)
    if args.control is not None and args.control < 0:
        raise ValueError(f"--control is {args.control}: it must be 0 (none) or more.")
    if args.backend == "endpoint" and args.contamination:
        raise ValueError("An endpoint answers, it does not go on with a text: leave --contamination out.")
    if args.backend == "endpoint" and set(signals) - {"vote_share"}:
        raise ValueError("An endpoint shows no probabilities here: of the signals, only vote_share can be had.")
    if "vote_share" in signals and args.n == 1:
        raise ValueError("A vote needs several completions a question: raise --n, or leave vote_share out.")
    if (signals or args.contamination or args.judge) and not own:
        raise ValueError("--signals, --contamination and --judge need a task of selfrl's own: name one.")


def _files(given: Sequence[str], flag: str) -> dict[str, str]:
    files = {}
    for item in given:
        name, sign, file = item.partition("=")
        if not sign or not file:
            raise ValueError(f"{flag} takes TASK=FILE, as in gsm8k=gsm8k_test.jsonl, not {item!r}.")
        files[name] = file
    return files
