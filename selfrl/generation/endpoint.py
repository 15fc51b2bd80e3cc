"""Generation over any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import openai
import tenacity

from selfrl.generation.dialect import REFUSALS, Dialect, words_of
from selfrl.generation.protocol import Generation, Message, Prompt, Sampling, request_seed
from selfrl.pictures import data_url

logger = logging.getLogger(__name__)

RETRIED_STATUS = {408, 409, 425, 429}
FATAL_STATUS = {401, 403, 404}
TEXT_PARTS = {"text", "output_text"}


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

    The key is read from the environment, handed to the client and kept nowhere else; an endpoint's own words on a
    refusal are shown without it. Rate limits, server errors, time-outs and cut connections are tried again with
    exponential back-off, or after the time that `Retry-After` asks for. What fails to the end, or is refused (as an
    over-long prompt is), is an empty group and counted in `usage.failures`. An endpoint that gives one completion a
    request, takes no seed or calls the length limit `max_completion_tokens` is asked so from then on, and a warning
    says it once.

    Args:
        model: name the endpoint knows the model by.
        base_url: address of the API, as in http://127.0.0.1:8000/v1; the client's default without one.
        api_key_env: environment variable that holds the key; by default OPENAI_API_KEY, or no key.
        concurrency: requests under way at a time.
        attempts: tries a request, the first included.
        timeout_s: seconds a try.

    Raises:
        ValueError: without an address and a key, for a key that is not there or that no header can carry; while
            generating, if the endpoint refuses the key or does not know the model.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key_env: str | None = None,
        concurrency: int = 16,
        attempts: int = 6,
        timeout_s: float = 120.0,
    ) -> None:
        self.model, self.concurrency, self.attempts, self.timeout_s = model, concurrency, attempts, timeout_s
        self.base_url, self.api_key_env = base_url, api_key_env
        self.usage = Usage()
        self._dialect = Dialect()
        if self._key() is None and base_url is None:
            raise ValueError(
                "No endpoint to ask: give a base URL, or a key in the environment variable OPENAI_API_KEY."
            )

    def _key(self) -> str | None:
        name = self.api_key_env or "OPENAI_API_KEY"
        key = os.environ.get(name, "").strip()
        if not key and self.api_key_env is not None:
            raise ValueError(f"The environment variable {name} holds no key: set it, or name another one.")
        if not key.isascii() or not key.isprintable():
            raise ValueError(f"The key in the environment variable {name} has characters that no header can carry.")
        return key or None

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """See [`selfrl.generation.Generator`]."""
        # a thread of its own, so that it works where an event loop runs already, as in a notebook
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self._generate(prompts, sampling)).result()

    def close(self) -> None:
        """Connections live for one call of `generate` only."""

    async def _generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        gate = asyncio.Semaphore(self.concurrency)
        async with openai.AsyncOpenAI(
            api_key=self._key() or "none", base_url=self.base_url, max_retries=0, timeout=self.timeout_s
        ) as client:
            seeds = [request_seed(sampling.seed, i) for i in range(len(prompts))]
            groups = (self._group(client, gate, p, sampling, s) for p, s in zip(prompts, seeds, strict=True))
            return list(await asyncio.gather(*groups))

    async def _group(
        self,
        client: openai.AsyncOpenAI,
        gate: asyncio.Semaphore,
        prompt: Prompt,
        sampling: Sampling,
        first_seed: int | None,
    ) -> list[Generation]:
        """n completions; an endpoint that gives fewer at a time is asked again for the rest."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(map(_sent, prompt))
        group: list[Generation] = []
        while len(group) < sampling.n:
            seed = None if first_seed is None else first_seed + len(group)
            async with gate:
                found = await self._request(client, messages, sampling, sampling.n - len(group), seed)
            if not found:
                return []
            group += found
        return group[: sampling.n]

    async def _request(
        self, client: openai.AsyncOpenAI, messages: list[Any], sampling: Sampling, n: int, seed: int | None
    ) -> list[Generation]:
        """Up to `n` completions, asked for as the endpoint takes it; what it refuses is tried in another way once."""
        dialect = self._dialect
        while True:
            try:
                reply = await self._try(client, messages, dialect.options(sampling, n, seed))
            except openai.APIStatusError as error:
                status, words = error.status_code, words_of(error, self._key())
            except (openai.APIError, json.JSONDecodeError) as error:
                return self._failed(type(error).__name__)
            else:
                self._dialect = self._dialect.learnt(dialect)
                return self._read(reply)
            # outside the handler, so that no traceback shows the reply, which may echo the key
            if status in FATAL_STATUS:
                raise ValueError(
                    f"The endpoint answered {status}: check its address, the model name {self.model!r} and the key in "
                    f"{self.api_key_env or 'OPENAI_API_KEY'}; it says {words!r}."
                )
            other = dialect.without_refused(words, n, seed) if status in REFUSALS else None
            if other is None:
                return self._failed(f"status {status} ({words})")
            dialect = other

    async def _try(self, client: openai.AsyncOpenAI, messages: list[Any], options: dict[str, Any]) -> Any:
        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_passing),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self.attempts),
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                self.usage.requests += 1
                self.usage.retries += attempt.retry_state.attempt_number > 1
                return await client.chat.completions.create(model=self.model, messages=messages, **options)
        return None

    def _failed(self, why: str) -> list[Generation]:
        self.usage.failures += 1
        logger.warning("A request was given up: %s.", why)
        return []

    def _read(self, reply: Any) -> list[Generation]:
        choices = [c for c in getattr(reply, "choices", None) or [] if getattr(c, "message", None) is not None]
        if not choices:
            return self._failed("a reply without completions")
        usage = getattr(reply, "usage", None)
        prompt_tokens = getattr(usage, "prompt_tokens", None) or 0
        completion_tokens = getattr(usage, "completion_tokens", None) or 0
        self.usage.prompt_tokens += prompt_tokens
        self.usage.completion_tokens += completion_tokens
        # the API reports the sum only: shares that add up to it
        shares = [
            completion_tokens * (i + 1) // len(choices) - completion_tokens * i // len(choices)
            for i in range(len(choices))
        ]
        return [
            Generation(
                _text_of(choice.message.content),
                "length" if choice.finish_reason == "length" else "stop",
                prompt_tokens,
                share,
            )
            for choice, share in zip(choices, shares, strict=True)
        ]


def _sent(message: Message) -> Message:
    """A message as the API takes it, with pictures as data URLs.

    >>> _sent({"role": "user", "content": [{"type": "text", "text": "Up?"}]})["content"]
    [{'type': 'text', 'text': 'Up?'}]
    """
    if isinstance(message["content"], str):
        return message
    parts = [
        {"type": "image_url", "image_url": {"url": data_url(part["image"])}}
        if part["type"] == "image"
        else {"type": "text", "text": part["text"]}
        for part in message["content"]
    ]
    return {**message, "content": parts}


def _text_of(content: Any) -> str:
    """A message's content, which some servers send in parts, and none where the limit ended a reasoning kept apart.

    >>> _text_of([{"type": "text", "text": "4"}, {"type": "reasoning", "text": "hm"}, {"type": "text", "text": "2"}])
    '42'
    """
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS]
        return "".join(str(part.get("text") or "") for part in parts)
    return content if isinstance(content, str) else ""


def _is_passing(error: BaseException) -> bool:
    """Whether a fault may be gone at the next try; a time-out is a connection error here."""
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        return status in RETRIED_STATUS or (status >= 500 and status not in REFUSALS)
    return isinstance(error, openai.APIConnectionError)


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)


def _wait(state: tenacity.RetryCallState) -> float:
    """What `Retry-After` asks for, in seconds or as a date, up to a minute; exponential with jitter without it."""
    error = state.outcome.exception() if state.outcome else None
    header = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    if not header:
        return _backoff(state)
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return _backoff(state)
    return min(max(seconds, 0.0), 60.0) if math.isfinite(seconds) else _backoff(state)
