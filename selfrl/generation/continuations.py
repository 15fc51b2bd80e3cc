"""How likely a model finds a given continuation of a prompt and of what was said so far."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch.nn.utils.rnn import pad_sequence

from selfrl.conversation import prompt_id
from selfrl.generation.processors import tokenizer_of
from selfrl.generation.protocol import Prompt
from selfrl.generation.tokens import prompt_ids

TokenIds = tuple[int, ...]


class Continuation(NamedTuple):
    """A text to be scored.

    Args:
        prompt: a text or a conversation, read as for generation.
        prefix: what the model has said so far; may be empty.
        text: what might follow.
    """

    prompt: Prompt
    prefix: str
    text: str


class ContinuationScorer(Protocol):
    """What tells how likely continuations are; [`selfrl.generation.hf.TransformersGenerator`] is one."""

    def mean_log_probs(self, continuations: Sequence[Continuation]) -> list[float]:
        """Mean log p of each continuation's tokens after prompt and prefix, in nats a token, at temperature 1."""
        ...


def mean_log_probs(
    model: Any, processor: Any, continuations: Sequence[Continuation], batch_size: int = 16
) -> list[float]:
    """1/T Σ_t log p(y_t | prompt, prefix, y_<t) of each continuation y of T tokens, in nats, at temperature 1.

    Prefix and continuation are tokenised by themselves, without special tokens, and follow the prompt's tokens.
    Equal rows of tokens are scored once; rows of like length share a batch. No gradient; the model's train/eval mode is
    left as it was.

    Args:
        model: a causal language model in memory.
        processor: its tokenizer or processor.
        continuations: any number.
        batch_size: rows at a time.

    Raises:
        ValueError: for a prompt with pictures, a continuation without tokens, or one with nothing before it.

    Example:
        >>> from selfrl.generation.hf import TransformersGenerator
        >>> from selfrl.models import TINY_MODEL
        >>> tiny = TransformersGenerator.load(str(TINY_MODEL))
        >>> said = [Continuation("What is 12 + 7?\\n", "12 + 7 = 19. ", rf"\\boxed{{{answer}}}") for answer in (19, 3)]
        >>> right, wrong = mean_log_probs(tiny.model, tiny.tokenizer, said)
        >>> wrong < right < 0
        True
    """
    rows = _token_rows(processor, continuations)
    distinct = sorted(dict.fromkeys(rows), key=lambda row: len(row[0]) + len(row[1]))
    found: dict[tuple[TokenIds, TokenIds], float] = {}
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(distinct), batch_size):
            batch = distinct[start : start + batch_size]
            found.update(zip(batch, _batch_means(model, batch), strict=True))
    finally:
        model.train(was_training)
    return [found[row] for row in rows]


def _has_pictures(prompt: Prompt) -> bool:
    """Whether a conversation has places for pictures, filled or not."""
    contents = [] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return any(part.get("type") == "image" for parts in contents if isinstance(parts, list) for part in parts)


def _token_rows(processor: Any, continuations: Sequence[Continuation]) -> list[tuple[TokenIds, TokenIds]]:
    """What stands before each continuation, and its own tokens."""
    tokenizer = tokenizer_of(processor)
    prompts: dict[str, TokenIds] = {}  # many continuations share one, and templates take their time
    texts: dict[str, TokenIds] = {}

    def prompt_tokens(prompt: Prompt) -> TokenIds:
        name = prompt_id(prompt)
        if name not in prompts:
            if _has_pictures(prompt):
                raise ValueError("A prompt has pictures, after which continuations cannot be scored: give texts alone.")
            prompts[name] = tuple(prompt_ids(processor, prompt))
        return prompts[name]

    def text_tokens(text: str) -> TokenIds:
        if text not in texts:
            texts[text] = tuple(tokenizer(text, add_special_tokens=False).input_ids)
        return texts[text]

    rows = []
    for prompt, prefix, text in continuations:
        before, said = prompt_tokens(prompt) + text_tokens(prefix), text_tokens(text)
        if not said:
            raise ValueError(f"The continuation {text!r} has no tokens: give a text that the tokenizer knows.")
        if not before:
            raise ValueError(f"Nothing stands before the continuation {text!r:.80}: give it a prompt.")
        rows.append((before, said))
    return rows


@torch.no_grad()
def _batch_means(model: Any, rows: Sequence[tuple[TokenIds, TokenIds]]) -> list[float]:
    """Means of one batch, padded at the right: a causal model's positions are then right by themselves."""
    ids_BL = pad_sequence([torch.tensor(before + said) for before, said in rows], batch_first=True)
    lengths_B = torch.tensor([len(before) + len(said) for before, said in rows])
    starts_B = torch.tensor([len(before) for before, _ in rows])
    at_L = torch.arange(ids_BL.shape[1])
    mask_BL = (at_L < lengths_B[:, None]).long()
    # a position's logits are of the next token, so one more than the tokens from the first continuation on
    kept = ids_BL.shape[1] - int(starts_B.min()) + 1
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # adapters hide its signature
    takes = "logits_to_keep" in inspect.signature(base.forward).parameters
    ids_BL = ids_BL.to(model.device)
    options = {"logits_to_keep": kept} if takes else {}
    output = model(input_ids=ids_BL, attention_mask=mask_BL.to(model.device), use_cache=False, **options)
    logits_BTV = output.logits[:, -kept:-1].float()
    targets_BT = ids_BL[:, 1 - kept :]
    log_probs_BT = logits_BTV.gather(-1, targets_BT[..., None])[..., 0] - logits_BTV.logsumexp(-1)
    said_BT = ((at_L >= starts_B[:, None]) & (at_L < lengths_B[:, None]))[:, 1 - kept :]
    # where, not a product: what stands in padding may be infinite
    sums_B = torch.where(said_BT, log_probs_BT.double().cpu(), 0.0).sum(1)
    return (sums_B / (lengths_B - starts_B)).tolist()
