"""Run an evaluation: first what needs the open model, then the rest, with everything written as it comes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from selfrl.eval.calibration import calibration_rows, model_signals, vote_shares
from selfrl.eval.consistency import consistency
from selfrl.eval.contamination import contamination
from selfrl.eval.evaluation import Model, NoCompletionsError, TaskResult, environment, run_job
from selfrl.eval.harness import run_harness
from selfrl.eval.jobs import Job
from selfrl.eval.report import print_report, write_report
from selfrl.eval.results import result_entry, sample_rows, write_results, write_samples
from selfrl.eval.samples_page import write_page
from selfrl.eval.settings import Settings
from selfrl.eval.task import Style
from selfrl.eval.vision_harness import run_vision_harness
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import model_path
from selfrl.tables import percent


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, with everything checked and loaded but the model.

    Args:
        model: as in [`selfrl.eval.evaluate`].
        settings: how to evaluate.
        jobs: the tasks.
        style: how the model is asked.
        out: folder of everything written.
        harness: names of lm-evaluation-harness's tasks.
        vision_harness: names of lmms-eval's tasks.
        harness_folder: its further task files.
        contamination: whether to probe it.
        signals: those whose calibration is measured.
        judge: the model that says what a completion's reasoning supports, if that is measured.
        remarks: what a reader must know of it.
    """

    model: str
    settings: Settings
    jobs: Sequence[Job]
    style: Style
    out: Path
    harness: Sequence[str] = ()
    vision_harness: Sequence[str] = ()
    harness_folder: Path | None = None
    contamination: bool = False
    signals: Sequence[str] = ()
    judge: str | None = None
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Run:
    """An evaluation whose completions are there.

    Args:
        evaluation: what was asked.
        results: what `results.json` holds; [`finish`] adds to it.
        done: the tasks that got completions.
    """

    evaluation: Evaluation
    results: dict[str, Any]
    done: list[TaskResult]


def generate(evaluation: Evaluation, model: Model, console: Console) -> Run:
    """Generate and grade all tasks; what needs no open model is left to [`finish`].

    Args:
        evaluation: what to do.
        model: its model, which is left open.
        console: told the progress.
    """
    started = time.perf_counter()
    remarks = list(evaluation.remarks)
    run = Run(evaluation, {**environment(model), "remarks": remarks, "tasks": {}, "without_completions": {}}, [])
    _run_jobs(run, model, console)
    _save(run)
    if evaluation.contamination:
        run.results["contamination"] = {
            r.job.task.name: contamination(
                [q.text for q in r.job.questions.questions], model.generate, evaluation.settings.seed
            )
            for r in run.done
        }
    run.results["seconds"] = time.perf_counter() - started
    return run


def finish(run: Run, console: Console) -> int:
    """Measure the signals, run the harness, write and print the report.

    Returns:
        the exit status: 1 if a task got no completions.
    """
    started = time.perf_counter()
    evaluation, results = run.evaluation, run.results
    if evaluation.signals:
        results["calibration"] = _calibration(run)
    if evaluation.judge is not None:
        results["consistency"] = _consistency(run, evaluation.judge)
    if evaluation.harness:
        _save(run)
        results["harness"] = run_harness(
            evaluation.model, evaluation.harness, evaluation.settings, evaluation.style, evaluation.harness_folder
        )
    if evaluation.vision_harness:
        _save(run)
        found = run_vision_harness(
            evaluation.model, evaluation.vision_harness, evaluation.settings, evaluation.harness_folder
        )
        results["harness"] = [*results.get("harness", []), *found]
    results["seconds"] = round(results["seconds"] + time.perf_counter() - started, 1)
    _save(run)
    print_report(results, console)
    console.print(f"Everything is in {evaluation.out}: report.md" + (", samples.html, samples/" if run.done else ""))
    return 1 if results["without_completions"] else 0


def _save(run: Run) -> None:
    out = run.evaluation.out
    write_results(out, run.results)
    write_report(out, run.results)
    if run.done:
        write_page(out / "samples.html", run.results["model"], {r.job.task.name: sample_rows(r) for r in run.done})


def _run_jobs(run: Run, model: Model, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for item in run.evaluation.jobs:
            bar = progress.add_task(item.task.name, total=len(item.questions.questions))
            try:
                result = run_job(item, model, partial(_advance, progress, bar))
            except NoCompletionsError as error:
                run.results["without_completions"][item.task.name] = str(error)
                progress.remove_task(bar)
                continue
            write_samples(run.evaluation.out, result)
            run.results["tasks"][item.task.name] = result_entry(result)
            write_results(run.evaluation.out, run.results)
            progress.remove_task(bar)
            console.print(
                f"{item.task.name}: avg@{item.sampling.n} {percent(result.scores.avg)} % in {result.seconds:.0f} s"
            )
            run.done.append(result)


def _advance(progress: Progress, bar: TaskID, count: int) -> None:
    progress.update(bar, completed=count)


def _consistency(run: Run, name: str) -> dict[str, dict[str, Any]]:
    judge = Model(name, run.evaluation.settings)
    try:
        found = {r.job.task.name: consistency(r.job, r.samples, judge) for r in run.done}
    finally:
        judge.close()
    return {task: {"judge": name, **asdict(figures)} for task, figures in found.items() if figures is not None}


def _calibration(run: Run) -> list[dict[str, Any]]:
    evaluation = run.evaluation
    of_model = [name for name in evaluation.signals if name != "vote_share"]
    loaded = TransformersGenerator.load(model_path(evaluation.model)) if of_model else None
    rows = []
    for result in run.done:
        pairs = [
            (question.prompt, sample.completion)
            for question, group in zip(result.job.questions.questions, result.samples, strict=True)
            for sample in group
        ]
        found: dict[str, list[float]] = {}
        if "vote_share" in evaluation.signals and result.scores.n > 1:
            found["vote_share"] = vote_shares(result.samples)
        if loaded is not None:
            prompts, texts = zip(*pairs, strict=True)
            size = evaluation.settings.batch_size
            found |= model_signals(loaded.model, loaded.tokenizer, prompts, texts, of_model, size)
        rows += calibration_rows(result.job.task.name, result.samples, found)
    return rows
