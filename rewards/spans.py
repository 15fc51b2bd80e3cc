"""Which tokens of a completion a confidence is taken over."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import Literal

import torch

from selfrl.answers.extract import answer_span

Span = Literal["whole", "answer", "last_chunk", "rationale"]
CHUNKS = 10


def token_span(span: Span, tokens: int, texts: Sequence[str] | None = None) -> slice | None:
    r"""Tokens of a span; None if it is empty.

    - "whole": every token, the end token included.
    - "last_chunk": the last tenth, at least one token.
    - "answer": the tokens of the stated answer, see [`selfrl.answers.extract`]; a token that it shares counts.
    - "rationale": every token before the answer's first.

    Args:
        span: which.
        tokens: number of tokens, T.
        texts: text of each token (T,), needed for "answer" and "rationale".

    Raises:
        ValueError: for texts that are needed and not one a token.

    Example:
        >>> texts = ["so", " \\boxed", "{", "4", "2", "}", ""]
        >>> token_span("answer", 7, texts), token_span("rationale", 7, texts), token_span("last_chunk", 7)
        (slice(3, 5, None), slice(0, 3, None), slice(6, 7, None))
    """
    if span in ("answer", "rationale") and (texts is None or len(texts) != tokens):
        raise ValueError(
            f"`texts` has {'no' if texts is None else len(texts)} entries for {tokens} tokens: the span {span!r} needs "
            "one for each."
        )
    if span == "whole":
        found = (0, tokens)
    elif span == "last_chunk":
        found = (tokens - -(-tokens // CHUNKS), tokens)
    else:
        assert texts is not None
        answer = answer_tokens(texts)
        if answer is None:
            return None
        found = answer if span == "answer" else (0, answer[0])
    return slice(*found) if found[0] < found[1] else None


def check_per_token(name: str, values: torch.Tensor, texts: Sequence[str] | None = None) -> None:
    """Refuse a signal that is not (T,), or not one value for each token's text.

    Args:
        name: of the signal, for the message.
        values: of a completion's T tokens.
        texts: of its tokens, if they are known.

    Raises:
        ValueError: with the shape.

    >>> check_per_token("entropy", torch.ones(2), ["a", "b"])
    """
    if values.dim() != 1:
        raise ValueError(f"`{name}` has the shape {tuple(values.shape)}: it must be (T,), one value a token.")
    if texts is not None and len(values) != len(texts):
        raise ValueError(f"`{name}` has {len(values)} values for {len(texts)} tokens: it must have one a token.")


def answer_tokens(texts: Sequence[str]) -> tuple[int, int] | None:
    """First token of the stated answer and the one after its last; None without an answer."""
    span = answer_span("".join(texts))
    return None if span is None else overlapping(texts, span)


def overlapping(texts: Sequence[str], characters: tuple[int, int]) -> tuple[int, int] | None:
    """The run of tokens that touches a run of characters of their concatenation; None if it is empty.

    >>> overlapping(["ab", "", "cd", "e"], (1, 3))
    (0, 3)
    """
    return touching(token_ends(texts), characters)


def token_ends(texts: Sequence[str]) -> list[int]:
    """Where each token ends in the concatenation, (T,)."""
    return list(itertools.accumulate(map(len, texts)))


def touching(ends: Sequence[int], characters: tuple[int, int]) -> tuple[int, int] | None:
    """[`overlapping`] for several runs of one text, by its [`token_ends`]."""
    if characters[0] >= characters[1]:
        return None
    first, last = bisect.bisect_right(ends, characters[0]), bisect.bisect_left(ends, characters[1])
    return (first, min(last + 1, len(ends))) if first < len(ends) else None
