"""A back end by name, for command lines."""

from __future__ import annotations

from typing import Literal

from selfrl.generation.protocol import Generator
from selfrl.models import model_path

Backend = Literal["transformers", "vllm", "endpoint"]
BACKENDS: tuple[Backend, ...] = ("transformers", "vllm", "endpoint")


def load_generator(
    backend: Backend,
    model: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    batch_size: int = 16,
    concurrency: int = 16,
) -> Generator:
    """Open a generation back end.

    Args:
        backend: "transformers", "vllm" or "endpoint".
        model: folder, hub name or "tiny"; for an endpoint, the name it knows the model by.
        base_url: address of the endpoint.
        api_key_env: environment variable that holds the endpoint's key.
        batch_size: completions at a time (transformers).
        concurrency: requests under way at a time (endpoint).

    Raises:
        ValueError: for an unknown back end or an endpoint without an address.
    """
    if backend == "transformers":
        from selfrl.generation.hf import TransformersGenerator

        return TransformersGenerator.load(model_path(model), batch_size)
    if backend == "vllm":
        from selfrl.generation.vllm_engine import VLLMGenerator

        return VLLMGenerator(model_path(model))
    if backend == "endpoint":
        from selfrl.generation.endpoint import EndpointGenerator

        return EndpointGenerator(model, base_url, api_key_env, concurrency)
    raise ValueError(f"Back end {backend!r} is unknown: choose one of {', '.join(BACKENDS)}.")
