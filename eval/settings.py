"""How to evaluate: back end, sampling, data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfrl.eval.task import STYLES
from selfrl.generation.load import Backend

DATA_SEED = 261123


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Args:
        backend: "transformers", "vllm" or "endpoint".
        n: completions a question; by default the task's, and 1 at temperature 0.
        temperature: by default 0 (greedy) for one completion a question, 0.6 for several.
        top_p: nucleus.
        max_tokens: length limit of a completion; by default the task's.
        limit: only the first so many questions of each task.
        shots: examples before each question; by default the task's.
        style: "chat", "base", or "auto": chat if the model has a chat template.
        system_prompt: replaces the task's own `system`, see [`selfrl.eval.task.Layout`].
        seed: of the sampling and of the resampling.
        data_seed: of shuffled options and of procedural problems.
        data: task or family name → local file with its rows; `{member}` in it stands for the family's member.
        shots_data: task name → local file with its examples.
        cache: file that keeps generations; by default in the user's cache folder.
        base_url: address of the endpoint.
        api_key_env: environment variable with the endpoint's key.
        batch_size: completions at a time (transformers).
    """

    backend: Backend = "transformers"
    n: int | None = None
    temperature: float | None = None
    top_p: float = 0.95
    max_tokens: int | None = None
    limit: int | None = None
    shots: int | None = None
    style: Literal["auto", "chat", "base"] = "auto"
    system_prompt: str | None = None
    seed: int = 0
    data_seed: int = DATA_SEED
    data: Mapping[str, str] | None = None
    shots_data: Mapping[str, str] | None = None
    cache: Path | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name in ("n", "max_tokens", "limit", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: it must be 1 or more.")
        if self.shots is not None and self.shots < 0:
            raise ValueError(f"shots is {self.shots}: it must be 0 or more.")
        if self.style not in ("auto", *STYLES):
            raise ValueError(f"style is {self.style!r}: choose auto, chat or base.")
        if self.system_prompt is not None and not self.system_prompt.strip():
            raise ValueError("The system prompt is blank: give a text, or leave it out.")
        if self.n is not None and self.n > 1 and self.temperature == 0:
            raise ValueError("Several completions a question are the same at temperature 0: raise it, or take n = 1.")
