"""Who plays the three roles, and what their calls cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from selfrl.generation import Generation, Generator, Prompt, Sampling, load_generator
from selfrl.generation.load import BACKENDS, Backend
from selfrl.suggest import refuse_unknown

RoleName = Literal["optimizer", "executor", "evaluator"]
ROLES: tuple[RoleName, ...] = ("optimizer", "executor", "evaluator")
TEMPERATURES: dict[RoleName, float] = {"optimizer": 0.7, "executor": 0.0, "evaluator": 0.3}


@dataclass
class Usage:
    """What calls were made and took.

    Args:
        calls: prompts asked.
        failures: calls without a reply, after all tries.
        prompt_tokens: as the back end reports them.
        completion_tokens: likewise.
        cost: in the currency of the prices.
    """

    calls: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@dataclass
class Role:
    """A model in one of the roles.

    Args:
        generator: its back end; roles may share one.
        temperature: of its sampling.
        top_p: nucleus.
        max_tokens: length limit of a reply.
        price_in: of a million prompt tokens.
        price_out: of a million completion tokens.
        name: what stands for it in the results; the back end's class by default.
    """

    generator: Generator
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 2048
    price_in: float = 0.0
    price_out: float = 0.0
    name: Any = None
    sampling: Sampling = field(init=False)

    def __post_init__(self) -> None:
        self.sampling = Sampling(self.max_tokens, self.temperature, self.top_p)
        check_prices(self.price_in, self.price_out)
        if self.name is None:
            self.name = {"generator": type(self.generator).__name__}

    def ask(self, prompts: Sequence[Prompt], seed: int) -> tuple[list[Generation | None], Usage]:
        """A reply to each prompt, None where the call failed, and what it took."""
        groups = self.generator.generate(prompts, replace(self.sampling, seed=seed))
        replies = [group[0] if group else None for group in groups]
        done = [reply for reply in replies if reply is not None]
        tokens_in, tokens_out = sum(r.prompt_tokens for r in done), sum(r.completion_tokens for r in done)
        cost = (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6
        return replies, Usage(len(prompts), len(prompts) - len(done), tokens_in, tokens_out, cost)

    def facts(self) -> dict[str, Any]:
        """What must be known to repeat its calls."""
        return {
            **self.name,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "price_in": self.price_in,
            "price_out": self.price_out,
        }


def check_prices(*prices: float) -> None:
    """Refuse negative prices."""
    if min(prices) < 0:
        raise ValueError("A price is negative: give prices of 0 or more for a million tokens.")


@dataclass(frozen=True)
class RoleSpec:
    """A role as command lines and files write it.

    Args:
        model: folder or hub name; for an endpoint, the name it knows the model by.
        backend: "transformers", "vllm" or "endpoint".
        base_url: address of the endpoint.
        api_key_env: environment variable with its key; the key itself is never written anywhere.
        temperature: of the sampling; by default that of the role, see [`TEMPERATURES`].
        top_p: nucleus.
        max_tokens: length limit of a reply.
        price_in: of a million prompt tokens.
        price_out: of a million completion tokens.

    Raises:
        ValueError: without a model, for an unknown back end, or numbers that cannot be.
    """

    model: str
    backend: Backend = "transformers"
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    top_p: float = 1.0
    max_tokens: int = 2048
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("A role has no model: name one with --model, or with model=NAME after the role.")
        refuse_unknown("back end", self.backend, BACKENDS)
        Sampling(self.max_tokens, self.temperature or 0.0, self.top_p)
        check_prices(self.price_in, self.price_out)

    @property
    def back_end(self) -> dict[str, Any]:
        """What decides the model that speaks."""
        return {
            "model": self.model,
            "backend": self.backend,
            "base_url": self.base_url,
            "api_key_env": self.api_key_env,
        }

    def role(self, name: RoleName, generator: Generator, label: Mapping[str, Any] | None = None) -> Role:
        """The role over an open back end; `label` stands for it in the results instead of the back end."""
        temperature = TEMPERATURES[name] if self.temperature is None else self.temperature
        rest = (self.top_p, self.max_tokens, self.price_in, self.price_out)
        return Role(generator, temperature, *rest, name=dict(self.back_end if label is None else label))


def open_roles(specs: Mapping[RoleName, RoleSpec], batch_size: int = 16, concurrency: int = 16) -> dict[RoleName, Role]:
    """Open the back ends; roles with the same one share it.

    Raises:
        ValueError: for an endpoint without an address or key.
        OSError: for a model that is not there.
    """
    opened: dict[tuple[Any, ...], Generator] = {}
    # endpoints first: what is wrong with them shows before a model loads
    for spec in sorted(specs.values(), key=lambda spec: spec.backend != "endpoint"):
        key = tuple(spec.back_end.values())
        if key not in opened:
            opened[key] = load_generator(**spec.back_end, batch_size=batch_size, concurrency=concurrency)
    return {name: spec.role(name, opened[tuple(spec.back_end.values())]) for name, spec in specs.items()}
