"""Where a model's name leads."""

from __future__ import annotations

from pathlib import Path

TINY_MODEL = Path(__file__).parent / "data" / "tiny_model"


def model_path(model: str) -> str:
    """A model's folder or hub name; "tiny" is the packaged model.

    >>> model_path("Qwen/Qwen3-0.6B")
    'Qwen/Qwen3-0.6B'
    """
    return str(TINY_MODEL) if model == "tiny" else model
