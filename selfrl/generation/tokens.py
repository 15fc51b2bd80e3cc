"""Prompts as token ids, the same for every local back end, and tokens as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2
from tokenizers.decoders import DecodeStream

from selfrl.conversation import plain_text
from selfrl.generation.protocol import Prompt


def prompt_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a text, or of a conversation by the model's chat template.

    A base model without a template reads a conversation as its texts, a line break after each, and a blank line after
    a system prompt.
    """
    if not isinstance(prompt, str):
        if tokenizer.chat_template is not None:
            return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))
        prompt = plain_text(prompt)
    ids: list[int] = tokenizer(prompt).input_ids
    return ids


def check_system_role(tokenizer: Any, model: str) -> None:
    """Refuse system prompts for a model whose chat template fails on them, or drops them.

    Raises:
        ValueError: naming the model.
    """
    if tokenizer.chat_template is None:
        return
    mark = "Instructions 7193."
    messages = [{"role": "system", "content": mark}, {"role": "user", "content": "2 + 2?"}]
    try:
        shown = tokenizer.apply_chat_template(messages, tokenize=False)
    except jinja2.TemplateError:
        shown = ""
    if mark not in shown:
        raise ValueError(f"The chat template of {model} takes no system prompt: leave it out, or take another model.")


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
