"""What an endpoint does not take, learnt from its refusals."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import Any

import openai

from selfrl.generation.protocol import Sampling

logger = logging.getLogger(__name__)

REFUSALS = frozenset({400, 422, 501})  # statuses that may blame a part of the request
MAX_WORDS = 200  # characters of an endpoint's own words
_SECRET = re.compile(r"(?i:bearer)\s+\S+|\bsk-[\w-]{6,}")


@dataclass(frozen=True)
class Dialect:
    """How an endpoint is asked.

    Args:
        many: whether one request may ask for several completions.
        seeds: whether requests carry a seed.
        limit: what it calls the length limit.
    """

    many: bool = True
    seeds: bool = True
    limit: str = "max_tokens"

    def options(self, sampling: Sampling, n: int, seed: int | None) -> dict[str, Any]:
        """Keyword arguments of a request for `n` completions."""
        return {
            "n": n if self.many else 1,
            self.limit: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed if seed is not None and self.seeds else openai.omit,
            "stop": list(sampling.stop) or openai.omit,
        }

    def without_refused(self, words: str, n: int, seed: int | None) -> Dialect | None:
        """What to try after a refusal: without what its words name, else with one completion a request; None if that
        has been tried.

        >>> Dialect().without_refused("Use 'max_completion_tokens' instead of 'max_tokens'.", 1, None).limit
        'max_completion_tokens'
        >>> Dialect().without_refused("no", 4, None).many, Dialect().without_refused("no", 1, None)
        (False, None)
        """
        too_long = re.search(r"context|too (?:large|long)|exceed", words)
        if re.search(r"max_(?:completion_)?tokens", words) and self.limit == "max_tokens" and not too_long:
            return replace(self, limit="max_completion_tokens")
        if re.search(r"\bseed\b", words) and self.seeds and seed is not None:
            return replace(self, seeds=False)
        return replace(self, many=False) if n > 1 and self.many else None

    def learnt(self, other: Dialect) -> Dialect:
        """What both leave out; what is new is said in a warning."""
        if self.many and not other.many:
            logger.warning("The endpoint gives one completion a request: it is asked for one at a time from now on.")
        if self.seeds and not other.seeds:
            logger.warning("The endpoint takes no seed: its completions cannot be repeated.")
        if self.limit != other.limit and self.limit == "max_tokens":
            logger.warning("The endpoint calls the length limit %s: it is asked so from now on.", other.limit)
        limit = other.limit if self.limit == "max_tokens" else self.limit
        return Dialect(self.many and other.many, self.seeds and other.seeds, limit)


def words_of(error: openai.APIStatusError, key: str | None) -> str:
    r"""An endpoint's own words on why it refuses, in one line, without a key.

    >>> import httpx
    >>> response = httpx.Response(400, request=httpx.Request("POST", "http://a/v1"))
    >>> error = openai.APIStatusError("", response=response, body={"message": "no\nseed for Bearer sk-1234567"})
    >>> words_of(error, "sk-1234567")
    'no seed for [key]'
    """
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error", body)
    said = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    text = " ".join(str(said or error.response.text or "").split())
    if key:
        text = text.replace(key, "[key]")
    text = _SECRET.sub("[key]", text)
    return text if len(text) <= MAX_WORDS else text[:MAX_WORDS] + " …"
