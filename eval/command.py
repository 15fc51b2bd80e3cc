"""`selfrl eval MODEL --tasks …` and `selfrl eval compare A B`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from selfrl.data.tiny import model_path
from selfrl.eval.calibration import SIGNALS, calibration_rows, model_signals, vote_shares
from selfrl.eval.contamination import contamination
from selfrl.eval.evaluation import (
    DATA_SEED,
    Job,
    Model,
    NoCompletionsError,
    Settings,
    TaskResult,
    environment,
    job,
    plan,
    resolve_style,
    run_job,
)
from selfrl.eval.harness import PREFIX, check_harness, run_harness
from selfrl.eval.page import write_page
from selfrl.eval.pairing import compare, differing
from selfrl.eval.report import percent, print_report, wrapping_table, write_report
from selfrl.eval.results import result_entry, sample_rows, write_results, write_samples
from selfrl.eval.task import Source, load_tasks, task_names
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.load import BACKENDS
from selfrl.suggest import refuse_unknown

CONTROL = "control"
SHOWN_FLIPS = 10


def build_parser() -> argparse.ArgumentParser:
    """Flags of `selfrl eval MODEL`."""
    parser = argparse.ArgumentParser(
        prog="selfrl eval",
        description="Evaluate a model on benchmarks. `selfrl eval compare A B` compares two evaluations.",
        epilog=f"Tasks: {', '.join(task_names())}; FAMILY:MEMBER for one of a family; a task file; "
        "lm_eval:NAME for one of lm-evaluation-harness.",
    )
    parser.add_argument("model", help="folder, hub name or tiny; an endpoint's model name")
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--out", type=Path, help="folder of everything written; runs/eval_MODEL_TASKS by default")
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
    parser.add_argument("--control", type=int, default=100, help="word problems with fresh numbers beside; 0 for none")
    parser.add_argument("--contamination", action="store_true", help="probe whether questions are known by heart")
    parser.add_argument("--signals", default="", help=f"calibration of {', '.join(SIGNALS)}, separated by commas")
    parser.add_argument("--lm-eval-tasks", type=Path, help="folder with further task files of lm-evaluation-harness")
    parser.add_argument("--cache", type=Path, help="file that keeps generations; by default in the user's cache folder")
    parser.add_argument("--base-url", help="address of an OpenAI-compatible endpoint")
    parser.add_argument("--api-key-env", help="environment variable with the endpoint's key; default OPENAI_API_KEY")
    parser.add_argument("--batch-size", type=int, default=16, help="completions at a time (transformers)")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; bad input ends with one sentence and exit status 2, before a model loads."""
    console = Console(markup=False)
    try:
        return _compare(argv[1:], console) if argv[:1] == ["compare"] else _evaluate(argv, console)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl eval: {error}", file=sys.stderr)
        return 2


def _evaluate(argv: Sequence[str], console: Console) -> int:
    args = build_parser().parse_args(argv)
    settings = settings_of(args)
    names = [name for name in args.tasks.split(",") if name]
    harness = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
    own = [name for name in names if not name.startswith(PREFIX)]
    signals = [name for name in args.signals.split(",") if name]
    _check(args, signals, own)
    if harness:
        check_harness(harness, settings, args.lm_eval_tasks)
    jobs = plan(args.model, own, settings) if own or not harness else []
    if jobs and args.control:
        jobs.append(control_job(args.control, jobs[0], settings))
    style = jobs[0].style if jobs else resolve_style(args.model, settings)
    out = args.out or Path("runs") / f"eval_{args.model.strip('/')}_{args.tasks}".replace("/", "_")[:120]
    model = Model(args.model, settings)
    results: dict[str, Any] = {**environment(model), "tasks": {}, "without_completions": {}}
    started = time.perf_counter()
    try:
        done = _run(jobs, model, out, results, console)
        _save(out, results, done)
        if args.contamination:
            results["contamination"] = {
                r.job.task.name: contamination([q.text for q in r.job.questions.questions], model.generate, args.seed)
                for r in done
            }
    finally:
        model.close()
    if signals:
        results["calibration"] = _calibration(args, done, signals)
    if harness:
        _save(out, results, done)
        results["harness"] = run_harness(args.model, harness, settings, style, args.lm_eval_tasks)
    results["seconds"] = round(time.perf_counter() - started, 1)
    _save(out, results, done)
    print_report(results, console)
    console.print(f"Everything is in {out}: report.md" + (", samples.html, samples/" if done else ""))
    return 1 if results["without_completions"] else 0


def _save(out: Path, results: dict[str, Any], done: Sequence[TaskResult]) -> None:
    write_results(out, results)
    write_report(out, results)
    if done:
        write_page(out / "samples.html", results["model"], {r.job.task.name: sample_rows(r) for r in done})


def settings_of(args: argparse.Namespace) -> Settings:
    """Settings from the flags.

    Raises:
        ValueError: for a file that is not given as TASK=FILE.
    """
    fields = {field.name for field in dataclasses.fields(Settings)}
    plain = {name: value for name, value in vars(args).items() if name in fields}
    return Settings(
        **{**plain, "data": _files(args.data, "--data"), "shots_data": _files(args.shots_data, "--shots-data")}
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
    if args.control < 0:
        raise ValueError(f"--control is {args.control}: it must be 0 (none) or more.")
    if args.backend == "endpoint" and args.contamination:
        raise ValueError("An endpoint answers, it does not go on with a text: leave --contamination out.")
    if args.backend == "endpoint" and set(signals) - {"vote_share"}:
        raise ValueError("An endpoint shows no probabilities here: of the signals, only vote_share can be had.")
    if "vote_share" in signals and args.n == 1:
        raise ValueError("A vote needs several completions a question: raise --n, or leave vote_share out.")
    if (signals or args.contamination) and not own:
        raise ValueError("--signals and --contamination need a task of selfrl's own: name one.")


def _files(given: Sequence[str], flag: str) -> dict[str, str]:
    files = {}
    for item in given:
        name, sign, file = item.partition("=")
        if not sign or not file:
            raise ValueError(f"{flag} takes TASK=FILE, as in gsm8k=gsm8k_test.jsonl, not {item!r}.")
        files[name] = file
    return files


def _run(jobs: Sequence[Job], model: Model, out: Path, results: dict[str, Any], console: Console) -> list[TaskResult]:
    done = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for item in jobs:
            bar = progress.add_task(item.task.name, total=len(item.questions.questions))
            try:
                result = run_job(item, model, partial(_advance, progress, bar))
            except NoCompletionsError as error:
                results["without_completions"][item.task.name] = str(error)
                progress.remove_task(bar)
                continue
            write_samples(out, result)
            results["tasks"][item.task.name] = result_entry(result)
            write_results(out, results)
            progress.remove_task(bar)
            console.print(
                f"{item.task.name}: avg@{item.sampling.n} {percent(result.scores.avg)} % in {result.seconds:.0f} s"
            )
            done.append(result)
    return done


def _advance(progress: Progress, bar: TaskID, count: int) -> None:
    progress.update(bar, completed=count)


def _calibration(args: argparse.Namespace, done: Sequence[TaskResult], signals: Sequence[str]) -> list[dict[str, Any]]:
    of_model = [name for name in signals if name != "vote_share"]
    loaded = TransformersGenerator.load(model_path(args.model)) if of_model else None
    rows = []
    for result in done:
        pairs = [
            (question.prompt, sample.completion)
            for question, group in zip(result.job.questions.questions, result.samples, strict=True)
            for sample in group
        ]
        found: dict[str, list[float]] = {}
        if "vote_share" in signals and result.scores.n > 1:
            found["vote_share"] = vote_shares(result.samples)
        if loaded is not None:
            prompts, texts = zip(*pairs, strict=True)
            found |= model_signals(loaded.model, loaded.tokenizer, prompts, texts, of_model, args.batch_size)
        rows += calibration_rows(result.job.task.name, result.samples, found)
    return rows


def _compare(argv: Sequence[str], console: Console) -> int:
    parser = argparse.ArgumentParser(prog="selfrl eval compare", description="Compare two evaluations by question.")
    parser.add_argument("first", type=Path, help="folder of the one evaluation")
    parser.add_argument("second", type=Path, help="folder of the other")
    args = parser.parse_args(argv)
    found = compare(args.first, args.second)
    for name in differing(args.first, args.second):
        console.print(f"{name}: left out, the two have other questions (data, limit, data seed, control) or versions.")
    table = wrapping_table(["task", "questions", "first", "second", "change", "95 %", "p", "better", "worse"])
    for task in found:
        table.add_row(
            task.task,
            str(task.questions),
            percent(task.first),
            percent(task.second),
            f"{100 * (task.second - task.first):+.1f}",
            f"{100 * task.low:+.1f} to {100 * task.high:+.1f}",
            f"{task.p_value:.3f}",
            str(task.better),
            str(task.worse),
        )
    console.print(table)
    for task in found:
        for flip in task.flips[:SHOWN_FLIPS]:
            text = " ".join(flip.text.split())
            short = text if len(text) <= 90 else text[:89] + "…"
            console.print(f"{task.task} {flip.question}: {percent(flip.first)} → {percent(flip.second)}  {short}")
        if len(task.flips) > SHOWN_FLIPS:
            console.print(f"{task.task}: {len(task.flips) - SHOWN_FLIPS} more questions differ.")
    return 0
