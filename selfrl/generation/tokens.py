"""Prompts as token ids, the same for every local back end, and tokens as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers.decoders import DecodeStream

from selfrl.generation.protocol import Prompt


def prompt_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a text, or of a conversation by the model's chat template.

    A base model without a template reads a conversation as its texts, a line break after each.
    """
    if not isinstance(prompt, str):
        if tokenizer.chat_template is not None:
            return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))
        prompt = "".join(message["content"] + "\n" for message in prompt)
    ids: list[int] = tokenizer(prompt).input_ids
    return ids


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text that each token adds; together they are the decoded text without special tokens.

    A character of several tokens is counted to the last of them.

    Raises:
        ValueError: for a tokenizer that is not backed by the tokenizers library.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ValueError(f"{type(tokenizer).__name__} cannot tell tokens' texts: load the fast tokenizer.")
    stream = DecodeStream(skip_special_tokens=True)
    return [stream.step(backend, token) or "" for token in ids]
