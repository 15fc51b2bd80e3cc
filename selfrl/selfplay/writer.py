"""Who writes prompts: the model in training, or another one."""

from __future__ import annotations

from typing import Any

from selfrl.generation import Generator
from selfrl.generation.load import Backend, load_generator

POLICY = "policy"


class Writer:
    """A writer by its name, opened when it is needed.

    Args:
        name: "policy" is the model in training; else a model folder, a hub name, or the name that an endpoint knows.
        backend: of a writer that is not the policy: transformers, vllm or endpoint.
        base_url: address of the endpoint.
        api_key_env: environment variable with its key.
    """

    def __init__(self, name: str, backend: Backend, base_url: str | None, api_key_env: str | None) -> None:
        self.name, self.backend, self.base_url, self.api_key_env = name, backend, base_url, api_key_env
        self._opened: Generator | None = None

    @property
    def is_policy(self) -> bool:
        """Whether the model in training writes."""
        return self.name == POLICY

    def open(self, policy: Generator | None) -> Generator:
        """The one that writes.

        Raises:
            ValueError: if the policy is to write and is not given.
        """
        if self.is_policy:
            if policy is None:
                raise ValueError("The policy is to write prompts but was not handed over: name another writer.")
            return policy
        if self._opened is None:
            self._opened = load_generator(self.backend, self.name, base_url=self.base_url, api_key_env=self.api_key_env)
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}
