"""lm-evaluation-harness for every benchmark that selfrl does not grade itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from selfrl.eval.settings import Settings
from selfrl.generation.vllm_cpu import prepare_vllm_on_cpu
from selfrl.installation import mend
from selfrl.models import model_path

PREFIX = "lm_eval:"


def check_harness(names: Sequence[str], settings: Settings, folder: Path | None = None) -> None:
    """Refuse tasks that the harness does not know, and what it cannot be told, before a model loads.

    Args:
        names: task names, without the prefix.
        settings: see [`run_harness`].
        folder: further task files.

    Raises:
        ImportError: if lm-evaluation-harness is not installed.
        ValueError: for an unknown task, an endpoint without address, or a key in another variable.
    """
    manager = _manager(folder)
    for name in names:
        if not manager.match_tasks([name]):
            raise ValueError(f"lm-evaluation-harness has no task {name!r}: see `lm_eval ls tasks`.")
    check_endpoint("lm-evaluation-harness", settings)


def check_endpoint(harness: str, settings: Settings) -> None:
    """Refuse what a harness cannot be told of an endpoint.

    Raises:
        ValueError: for one without address, or a key in another variable.
    """
    if settings.backend == "endpoint" and settings.base_url is None:
        raise ValueError(f"{harness} needs the endpoint's address: give --base-url.")
    if settings.api_key_env not in (None, "OPENAI_API_KEY"):
        raise ValueError(f"{harness} reads its key from OPENAI_API_KEY: leave --api-key-env out.")


def run_harness(
    model: str, names: Sequence[str], settings: Settings, style: str, folder: Path | None = None
) -> list[dict[str, Any]]:
    """Run tasks of the harness on the same back end.

    Args:
        model: as in [`selfrl.eval.evaluate`].
        names: task names, without the prefix.
        settings: back end, limit, shots, system prompt, seed and batch size are handed over; the harness samples as
            its tasks say.
        style: "chat" applies the chat template.
        folder: further task files.

    Returns:
        one row a task and metric: `task`, `metric`, `value`, `stderr`, `questions`.
    """
    from lm_eval import simple_evaluate

    kind, arguments = _model(model, settings)
    system = settings.system_prompt
    if system is not None and style == "base":
        system += "\n\n"  # as selfrl's own tasks have it; the harness puts nothing between it and the examples
    found = simple_evaluate(
        model=kind,
        model_args=arguments,
        tasks=list(names),
        task_manager=_manager(folder),
        num_fewshot=settings.shots,
        limit=settings.limit,
        batch_size=settings.batch_size,
        apply_chat_template=style == "chat",
        system_instruction=system,
        random_seed=settings.seed,
        numpy_random_seed=settings.seed,
        torch_random_seed=settings.seed,
        fewshot_random_seed=settings.seed,
        device="cuda" if torch.cuda.is_available() else "cpu",
        log_samples=False,
    )
    counts = {task: count["effective"] for task, count in found["n-samples"].items()}
    return [row for task, scores in found["results"].items() for row in metric_rows(task, scores, counts.get(task))]


def metric_rows(task: str, scores: dict[str, Any], questions: int | None) -> list[dict[str, Any]]:
    """Rows of one task's results, whose keys are "metric,filter"; a group of tasks has no number of questions.

    >>> metric_rows("t", {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.1}, 25)
    [{'task': 't', 'metric': 'acc', 'value': 0.5, 'stderr': 0.1, 'questions': 25}]
    """
    rows = []
    for key, value in scores.items():
        metric, _, way = key.partition(",")
        if not way or "_stderr" in metric or not isinstance(value, int | float):
            continue
        error = scores.get(f"{metric}_stderr,{way}")
        name = metric if way == "none" else f"{metric} ({way})"
        rows.append(
            {
                "task": task,
                "metric": name,
                "value": float(value),
                "stderr": float(error) if isinstance(error, int | float) else None,
                "questions": questions,
            }
        )
    return rows


def _model(model: str, settings: Settings) -> tuple[str, dict[str, Any]]:
    path = model_path(model)
    if settings.backend == "endpoint":
        assert settings.base_url is not None
        address = settings.base_url.rstrip("/") + "/chat/completions"
        return "local-chat-completions", {"model": path, "base_url": address, "num_concurrent": 16}
    if settings.backend == "vllm":
        if not torch.cuda.is_available():
            prepare_vllm_on_cpu()
        return "vllm", {"pretrained": path, "seed": settings.seed}
    return "hf", {"pretrained": path, "dtype": "auto" if torch.cuda.is_available() else "float32"}


def _manager(folder: Path | None) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ImportError(f"lm_eval tasks need lm-evaluation-harness: {mend('eval')}.") from error
    return TaskManager(include_path=str(folder) if folder else None)
