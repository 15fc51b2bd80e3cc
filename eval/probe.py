"""A small labelled probe while training: measured and logged, never rewarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from selfrl.eval.jobs import Job, plan
from selfrl.eval.question_votes import QuestionVote, question_votes
from selfrl.eval.scoring import Sample, Scores, score
from selfrl.eval.settings import Settings
from selfrl.eval.shared_start import Measured, measured_once, start_file
from selfrl.generation.hf import TransformersGenerator
from selfrl.monitor.metrics_file import log_beside

NUMBERS = ("every", "questions", "n", "max_tokens", "seed", "batch_size")
KEYS = ("task", *NUMBERS, "temperature", "top_p", "style", "data", "final")


class TaskProbe(TrainerCallback):
    """Evaluates the policy on a task at the start, every `every` steps and at the end, greedily unless told otherwise.

    Scores are logged as `probe/TASK/avg@n`, `probe/TASK/any_form`, `probe/TASK/no_answer`, `probe/TASK/truncated`,
    `probe/TASK/tokens` and, for several completions, `probe/TASK/maj@n`, next to the trainer's own, and kept in
    `history` as (step, scores). With a `final` measure the start and the end are measured by that one, logged under
    `probe/TASK/final/` and kept in `ends`, each question's vote in `questions`; the curve's first and last point are
    then its first questions and completions. Only the main process evaluates, with transformers, whatever writes the
    rollouts; not under FSDP or ZeRO-3, where it holds only a part of the weights.

    Args:
        job: what to ask, see [`selfrl.eval.jobs.plan`].
        every: steps between two measurements.
        final: the same task with more questions or completions, for the start and the end.
        batch_size: completions at a time.

    Attributes:
        history: (step, scores) of the probe.
        ends: (step, scores) of the final measure.
        questions: (step, votes of its questions) of the final measure.
        starts: folder where runs that begin with the same weights share what the first of them measured; None for a
            run that measures its own.

    Raises:
        ValueError: for `every` below 1, or a final measure that asks less than the probe.
    """

    def __init__(self, job: Job, every: int, final: Job | None = None, batch_size: int = 16) -> None:
        if every < 1:
            raise ValueError(f"The probe's `every` is {every}: it must be 1 or more.")
        if final is not None and (final.sampling.n < job.sampling.n or not _ids(job) <= _ids(final)):
            raise ValueError("The probe's `final` asks less than the probe: give it as many questions and n at least.")
        self.job, self.every, self.final = job, every, final
        self.batch_size = batch_size
        self.starts: Path | None = None
        self.history: list[tuple[int, Scores]] = []
        self.ends: list[tuple[int, Scores]] = []
        self.questions: list[tuple[int, list[QuestionVote]]] = []
        self._trainer: Any = None
        self._earlier: TaskProbe | None = None

    @classmethod
    def of(cls, model: str, keys: Mapping[str, Any], system_prompt: str | None = None) -> TaskProbe:
        """A probe from the keys of a recipe: a task, every how many steps, and what else is wanted.

        Args:
            model: its name, which decides the style.
            keys: of [`KEYS`]: `questions` (50) are the task's first, `n` (1) completions each; `style`, `max_tokens`,
                `temperature` (0 for one completion, 0.6 for several), `top_p` (0.95), `seed` and `batch_size` as in
                [`selfrl.eval.settings.Settings`]; `data` is a local file with the task's rows; `final` a mapping with
                the `questions` and `n` of the start and the end.
            system_prompt: asked with, in place of the task's own.

        Raises:
            ValueError: for a key that is missing or unknown, or as [`selfrl.eval.jobs.plan`].
            OSError: for a model that is not there.
        """
        _check_keys(keys, KEYS, "`probe`")
        if not {"task", "every"} <= set(keys):
            raise ValueError("`probe` needs task and every, as in {task: gsm8k, every: 50}.")
        final = keys.get("final")
        if final is not None:
            if not isinstance(final, Mapping):
                raise ValueError("`final` of the probe must be a mapping, as in {questions: 250, n: 8}.")
            _check_keys(final, ("questions", "n"), "`final` of the probe")
        job = _job(model, keys, system_prompt)
        wide = None if final is None else _job(model, {**keys, **final}, system_prompt)
        return cls(job, keys["every"], wide, keys.get("batch_size", Settings.batch_size))

    def attach(self, trainer: Any) -> None:
        """Add the probe to a trainer, whose log it writes to."""
        self._trainer = trainer
        trainer.add_callback(self)

    def follow(self, earlier: TaskProbe) -> None:
        """Keep what the probe of an earlier part of the run measured, up to where this part begins."""
        self._earlier = earlier
        earlier._trainer = None  # it would keep the model of that part alive

    def close(self, trainer: Any) -> None:
        """Measure the end of a run that ended early, or whose weights were put back."""
        self._record(trainer.args, trainer.state, trainer.model, trainer.processing_class, at_an_end=True)

    def measure(self, model: Any, tokenizer: Any) -> Scores:
        """Scores of a model in memory."""
        return self._score(self.job, self._samples(self.job, model, tokenizer))

    def measure_end(self, model: Any, tokenizer: Any) -> Measured:
        """Scores of a model in memory by the probe and by its final measure, of the same completions; its votes."""
        assert self.final is not None
        samples = self._samples(self.final, model, tokenizer)
        kept, n = _ids(self.job), self.job.sampling.n
        asked = zip(self.final.questions.questions, samples, strict=True)
        narrow = [group[:n] for question, group in asked if question.id in kept]
        return Measured([self._score(self.job, narrow), self._score(self.final, samples)], question_votes(samples))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the start; a resumed run has measured it."""
        if state.global_step == 0:
            self._record(args, state, kwargs["model"], kwargs["processing_class"], at_an_end=True)
        elif self._earlier is not None:
            until = state.global_step
            self.history = [(step, scores) for step, scores in self._earlier.history if step <= until]
            self.ends = [(step, scores) for step, scores in self._earlier.ends if step <= until]
            self.questions = [(step, votes) for step, votes in self._earlier.questions if step <= until]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure every `every` steps and at the last."""
        last = state.global_step == state.max_steps
        if state.global_step % self.every == 0 or last:
            self._record(args, state, kwargs["model"], kwargs["processing_class"], at_an_end=last)

    def _record(self, args: Any, state: Any, model: Any, processing_class: Any, at_an_end: bool) -> None:
        if not state.is_world_process_zero:
            return
        step, name = state.global_step, f"probe/{self.job.task.name}"
        if step == 0 and self.starts is not None:
            asked = [job.facts() for job in (self.job, self.final) if job is not None]
            measured = measured_once(
                start_file(self.starts, model, [*asked, self.batch_size]),
                lambda: self._measured(model, processing_class, at_an_end),
            )
        else:
            measured = self._measured(model, processing_class, at_an_end)
        self.history.append((step, measured.scores[0]))
        logs = _figures(name, measured.scores[0])
        for scores in measured.scores[1:]:
            self.ends.append((step, scores))
            self.questions.append((step, measured.votes))
            logs |= _figures(f"{name}/final", scores)
        if self._trainer is not None:
            log_beside(self._trainer, args, state, logs)

    def _measured(self, model: Any, tokenizer: Any, at_an_end: bool) -> Measured:
        if self.final is not None and at_an_end:
            return self.measure_end(model, tokenizer)
        return Measured([self.measure(model, tokenizer)], [])

    def _samples(self, job: Job, model: Any, tokenizer: Any) -> list[list[Sample]]:
        generator = TransformersGenerator(model, tokenizer, self.batch_size)
        return job.grade(generator.generate([q.prompt for q in job.questions.questions], job.sampling))

    def _score(self, job: Job, samples: list[list[Sample]]) -> Scores:
        return score(samples, job.sampling.seed or 0)


def _check_keys(keys: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = set(keys) - set(known)
    if unknown:
        raise ValueError(f"{where} takes {', '.join(known)}, not {', '.join(sorted(map(str, unknown)))}.")
    for name in keys.keys() & set(NUMBERS):
        if not isinstance(keys[name], int):
            raise ValueError(f"`{name}` of the probe is {keys[name]!r}: it must be a whole number.")


def _job(model: str, keys: Mapping[str, Any], system_prompt: str | None) -> Job:
    own = ("n", "style", "max_tokens", "temperature", "top_p", "seed", "batch_size")
    task = str(keys["task"])
    settings = Settings(
        **{"n": 1, **{name: keys[name] for name in own if name in keys}},
        limit=keys.get("questions", 50),
        system_prompt=system_prompt,
    )
    if "data" in keys:
        settings = replace(settings, data={Path(task).stem if task.endswith((".yaml", ".yml")) else task: keys["data"]})
    jobs = plan(model, [task], settings)
    if len(jobs) > 1:
        raise ValueError(f"The probe's task {task!r} is a family of {len(jobs)}: name one member.")
    return jobs[0]


def _ids(job: Job) -> set[int]:
    return {question.id for question in job.questions.questions}


def _figures(name: str, scores: Scores) -> dict[str, float]:
    figures = {
        f"{name}/avg@{scores.n}": scores.avg,
        f"{name}/any_form": scores.flexible,
        f"{name}/no_answer": scores.no_answer,
        f"{name}/truncated": scores.truncated,
        f"{name}/tokens": scores.tokens,
    }
    return figures | ({f"{name}/maj@{scores.n}": scores.maj} if scores.n > 1 else {})
