"""Prompts as token ids, the same for every local back end, and tokens as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2
from tokenizers.decoders import DecodeStream

from selfrl.conversation import plain_text
from selfrl.generation.processors import picture_inputs, pictures_of, sees, tokenizer_of, with_pictures
from selfrl.generation.protocol import Prompt


def prompt_ids(processor: Any, prompt: Prompt) -> list[int]:
    """Token ids of a text, or of a conversation by the model's chat template; pictures take no room here.

    A base model without a template reads a conversation as its texts, a line break after each, and a blank line after
    a system prompt.
    """
    if not isinstance(prompt, str):
        if getattr(processor, "chat_template", None) is not None:
            prompt = chat_text(processor, prompt)
            return list(tokenizer_of(processor)(prompt, add_special_tokens=False).input_ids)
        prompt = plain_text(prompt)
    return list(tokenizer_of(processor)(prompt).input_ids)


def prompt_length(processor: Any, prompt: Prompt) -> int:
    """Tokens of a prompt with its pictures, which are not looked at where their sizes say enough."""
    pictures = pictures_of(prompt)
    count = getattr(processor, "_get_num_multimodal_tokens", None)  # transformers' own, for engines such as vLLM
    if not pictures:
        return len(prompt_ids(processor, prompt))
    if count is None:
        return int(picture_inputs(processor, [prompt])["input_ids"].shape[1])
    sizes = [(picture.height, picture.width) for picture in pictures]
    return len(prompt_ids(processor, prompt)) - len(pictures) + sum(count(image_sizes=sizes).num_image_tokens)


def chat_text(processor: Any, messages: list[Any], add_generation_prompt: bool = True) -> str:
    """A conversation as the model's chat template writes it."""
    if sees(processor):  # whose templates read parts, and only some of them texts
        messages = with_pictures(messages, [])
    text: str = processor.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, tokenize=False)
    return text


def check_system_role(processor: Any, model: str) -> None:
    """Refuse system prompts for a model whose chat template fails on them, or drops them.

    Raises:
        ValueError: naming the model.
    """
    if getattr(processor, "chat_template", None) is None:
        return
    mark = "Instructions 7193."
    messages = [{"role": "system", "content": mark}, {"role": "user", "content": "2 + 2?"}]
    try:
        shown = chat_text(processor, messages, add_generation_prompt=False)
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
