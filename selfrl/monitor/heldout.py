"""Held-out accuracy while training: watched, never rewarded."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from rich.console import Console
from transformers import TrainerCallback

from selfrl.eval.sampled import SampledAccuracy, sample_completions, sampled_accuracy


class HeldOutAccuracy(TrainerCallback):
    """Samples answers to labelled questions at the start, every `every` steps and at the end.

    Results are in `history` as (step, accuracy). Only the main process samples.

    Args:
        questions: rows with `prompt` (text) and `answer`.
        every: steps between two measurements.
        n: completions a question.
        max_new_tokens: length limit of a completion.
        seed: of the sampling, the same at every measurement.
        console: prints a line a measurement there.
    """

    def __init__(
        self,
        questions: Dataset,
        every: int,
        n: int,
        max_new_tokens: int,
        seed: int = 0,
        console: Console | None = None,
    ) -> None:
        self.console = console
        self.questions, self.every, self.n = questions, every, n
        self.max_new_tokens, self.seed = max_new_tokens, seed
        self.history: list[tuple[int, SampledAccuracy]] = []

    def measure(self, model: Any, tokenizer: Any) -> SampledAccuracy:
        """Accuracy of `model` on the questions."""
        completions = sample_completions(
            model, tokenizer, self.questions["prompt"], self.n, self.max_new_tokens, seed=self.seed
        )
        return sampled_accuracy(completions, self.questions["answer"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the start."""
        self._record(state, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure every `every` steps and at the last."""
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._record(state, **kwargs)

    def _record(self, state: Any, model: Any, processing_class: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            accuracy = self.measure(model, processing_class)
            self.history.append((state.global_step, accuracy))
            if self.console is not None:
                self.console.print(f"step {state.global_step}: held-out avg@{self.n} {accuracy.avg:.1%}")
