"""Generation over any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai
import tenacity

from selfrl.generation.protocol import Generation, Prompt, Sampling

logger = logging.getLogger(__name__)

RETRIED = (
    openai.APIConnectionError,  # a time-out is one
    openai.RateLimitError,
    openai.InternalServerError,
    openai.ConflictError,
)


@dataclass
class Usage:
    """What the endpoint was asked for and reported so far."""

    requests: int = 0
    retries: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class EndpointGenerator:
    """Concurrent chat completions with bounded concurrency, back-off and token accounting.

    The key is read from the environment, handed to the client and kept nowhere else. Rate limits, server errors,
    time-outs and cut connections are tried again with exponential back-off, or after the time that `Retry-After`
    asks for; what fails to the end is an empty group and counted in `usage.failures`.

    Args:
        model: name the endpoint knows the model by.
        base_url: address of the API, as in http://127.0.0.1:8000/v1; the client's default without one.
        api_key_env: environment variable that holds the key; endpoints without one need none.
        concurrency: requests under way at a time.
        attempts: tries a request, the first included.
        timeout_s: seconds a try.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 16,
        attempts: int = 6,
        timeout_s: float = 120.0,
    ) -> None:
        if base_url is None and api_key_env not in os.environ:
            raise ValueError(
                f"No endpoint to ask: give a base URL, or a key in the environment variable {api_key_env}."
            )
        self.model, self.concurrency, self.attempts, self.timeout_s = model, concurrency, attempts, timeout_s
        self.base_url, self.api_key_env = base_url, api_key_env
        self.usage = Usage()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """See [`selfrl.generation.Generator`]."""
        return asyncio.run(self._generate(prompts, sampling))

    def close(self) -> None:
        """Connections live for one call of `generate` only."""

    async def _generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        gate = asyncio.Semaphore(self.concurrency)
        key = os.environ.get(self.api_key_env, "none")
        async with openai.AsyncOpenAI(
            api_key=key, base_url=self.base_url, max_retries=0, timeout=self.timeout_s
        ) as client:
            return list(await asyncio.gather(*(self._group(client, gate, p, sampling) for p in prompts)))

    async def _group(
        self, client: openai.AsyncOpenAI, gate: asyncio.Semaphore, prompt: Prompt, sampling: Sampling
    ) -> list[Generation]:
        """n completions; an endpoint that gives fewer at a time is asked again for the rest."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        group: list[Generation] = []
        while len(group) < sampling.n:
            seed = None if sampling.seed is None else sampling.seed + len(group)
            async with gate:
                found = await self._request(client, messages, sampling, sampling.n - len(group), seed)
            if not found:
                return []
            group += found
        return group[: sampling.n]

    async def _request(
        self, client: openai.AsyncOpenAI, messages: list[Any], sampling: Sampling, n: int, seed: int | None
    ) -> list[Generation]:
        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(RETRIED),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self.attempts),
            reraise=True,
        )
        try:
            async for attempt in tries:
                with attempt:
                    self.usage.requests += 1
                    self.usage.retries += attempt.retry_state.attempt_number > 1
                    reply = await client.chat.completions.create(
                        model=self.model,
                        messages=messages,
                        n=n,
                        max_tokens=sampling.max_tokens,
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        seed=seed if seed is not None else openai.omit,
                    )
        except RETRIED as error:
            self.usage.failures += 1
            logger.warning("A request failed %d times (%s) and was given up.", self.attempts, type(error).__name__)
            return []
        return self._read(reply)

    def _read(self, reply: Any) -> list[Generation]:
        prompt_tokens = reply.usage.prompt_tokens if reply.usage else 0
        completion_tokens = reply.usage.completion_tokens if reply.usage else 0
        self.usage.prompt_tokens += prompt_tokens
        self.usage.completion_tokens += completion_tokens
        share = completion_tokens // max(len(reply.choices), 1)  # the API reports their sum only
        return [
            Generation(
                choice.message.content or "",
                "length" if choice.finish_reason == "length" else "stop",
                prompt_tokens,
                share,
            )
            for choice in reply.choices
        ]


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)


def _wait(state: tenacity.RetryCallState) -> float:
    """What `Retry-After` asks for, up to a minute; exponential with jitter without it."""
    error = state.outcome.exception() if state.outcome else None
    header = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    try:
        return min(float(header), 60.0) if header else _backoff(state)
    except ValueError:  # a date instead of seconds
        return _backoff(state)
