"""lmms-eval for the benchmarks of vision-language models (MMBench, SEED-Bench, MMVP …).

It pins packages that do not stand beside ours, so it is run as a program, by the Python of an environment of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from selfrl.eval.harness import check_endpoint, metric_rows
from selfrl.eval.settings import Settings
from selfrl.models import model_path

VISION_PREFIX = "lmms_eval:"
PYTHON = "SELFRL_LMMS_PYTHON"
# lmms-eval's name of a model's family, by what transformers calls it
FAMILIES = {
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen2_vl": "qwen2_vl",
    "qwen3_vl": "qwen3_vl",
    "llava": "llava_hf",
    "llava_next": "llava_hf",
    "gemma3": "gemma3",
}
OTHERS = "huggingface"


def check_vision_harness(names: Sequence[str], settings: Settings) -> None:
    """Refuse what cannot be run, before a model loads.

    Raises:
        ImportError: if the Python that is named has no lmms-eval.
        ValueError: for an endpoint without an address, or a key in another variable.
    """
    found = shutil.which(_python())
    if found is None or subprocess.run([found, "-c", "import lmms_eval"], capture_output=True).returncode != 0:
        raise ImportError(
            f"{', '.join(VISION_PREFIX + name for name in names)}: lmms-eval is not there. It needs an environment of "
            f"its own (python3 -m venv lmms && lmms/bin/pip install lmms-eval): name its Python in {PYTHON}."
        )
    check_endpoint("lmms-eval", settings)


def _python() -> str:
    """The Python that should have lmms-eval."""
    return os.environ.get(PYTHON, "python3")


def run_vision_harness(
    model: str, names: Sequence[str], settings: Settings, folder: Path | None = None
) -> list[dict[str, Any]]:
    """Run tasks of lmms-eval on the same back end.

    Args:
        model: as in [`selfrl.eval.evaluate`].
        names: task names, without the prefix.
        settings: back end, limit, shots, system prompt, seed and batch size are handed over; the harness samples as
            its tasks say.
        folder: further task files.

    Returns:
        one row a task and metric, as [`selfrl.eval.harness.run_harness`] gives them.

    Raises:
        ValueError: if the harness fails, with its last line.
    """
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [_python(), "-m", "lmms_eval", *arguments(model, names, settings, out, folder)],
            capture_output=True,
            text=True,
        )
        files = sorted(Path(out).rglob("*results.json"))
        if done.returncode != 0 or not files:  # its exit status is 0 after most failures
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise ValueError(f"lmms-eval failed ({lines[-1][:300] if lines else 'it said nothing'}): run it by itself.")
        return result_rows(json.loads(files[-1].read_text()))


def arguments(model: str, names: Sequence[str], settings: Settings, out: str, folder: Path | None = None) -> list[str]:
    """The command line of lmms-eval.

    >>> arguments("Qwen/Qwen2.5-VL-3B-Instruct", ["mmbench_en_dev"], Settings(backend="vllm", limit=9), "o")[:4]
    ['--model', 'vllm', '--model_args', 'model=Qwen/Qwen2.5-VL-3B-Instruct']
    """
    path = model_path(model)
    if settings.backend == "endpoint":
        kind, given = "async_openai", f"model_version={path},base_url={settings.base_url}"
    elif settings.backend == "vllm":
        kind, given = "vllm", f"model={path}"
    else:
        kind, given = family_of(path), f"pretrained={path}"
        if not torch.cuda.is_available():
            given += ",device_map=cpu,dtype=float32"
    flags = ["--model", kind, "--model_args", given, "--tasks", ",".join(names), "--output_path", out]
    flags += ["--batch_size", str(settings.batch_size), "--seed", str(settings.seed)]
    for flag, value in (("--limit", settings.limit), ("--num_fewshot", settings.shots), ("--include_path", folder)):
        flags += [] if value is None else [flag, str(value)]
    if settings.system_prompt is not None:
        flags += ["--system_instruction", settings.system_prompt]
    return flags


def family_of(path: str) -> str:
    """lmms-eval's name of a model's family.

    >>> family_of("tiny")
    'huggingface'
    """
    from transformers import AutoConfig

    try:
        kind = AutoConfig.from_pretrained(path).model_type
    except (OSError, ValueError):
        kind = ""
    return FAMILIES.get(kind, OTHERS)


def result_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of what lmms-eval writes.

    >>> scores = {"alias": "mmvp", "acc,none": 0.5, "acc_stderr,none": 0.1}
    >>> result_rows({"results": {"mmvp": scores}, "n-samples": {"mmvp": {"effective": 9}}})[0]["harness"]
    'lmms_eval'
    """
    counts = {task: count.get("effective") for task, count in found.get("n-samples", {}).items()}
    return [
        {**row, "harness": "lmms_eval"}
        for task, scores in found["results"].items()
        for row in metric_rows(task, scores, counts.get(task))
    ]
