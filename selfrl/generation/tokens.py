"""Prompts as token ids, the same for every local back end."""

from __future__ import annotations

from typing import Any

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
