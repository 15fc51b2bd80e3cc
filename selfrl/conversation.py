"""Prompts and completions as TRL and transformers pass them: texts, or messages whose content may have parts."""

from __future__ import annotations

import hashlib
from typing import Any


def completion_text(completion: Any) -> str:
    """The text of a completion: a string, or the content of the last assistant message that has any.

    >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "4"}]}])
    '4'
    """
    if isinstance(completion, str):
        return completion
    for message in reversed(completion):
        content = message.get("content")
        if message.get("role") == "assistant" and content:
            if isinstance(content, str):
                return content
            return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return ""


def prompt_text(prompt: Any) -> str:
    """A prompt as a judge reads it: a text, a lone message's text, or messages under their roles.

    >>> prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}])
    'system: Be brief.\\n\\nuser: 2+2?'
    """
    if isinstance(prompt, str):
        return prompt
    texts = [(message.get("role"), completion_text([{**message, "role": "assistant"}])) for message in prompt]
    if len(texts) == 1:
        return texts[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in texts)


def conversation(system_prompt: str, question: str) -> list[dict[str, str]]:
    """A question under a system prompt, the same in training and in prompt optimisation.

    >>> [message["role"] for message in conversation("Be brief.", "2+2?")]
    ['system', 'user']
    """
    return [{"role": "system", "content": system_prompt}, {"role": "user", "content": question}]


def plain_text(messages: list[dict[str, Any]]) -> str:
    """A conversation for a base model without a chat template: its texts, a line break after each, and a blank line
    after a system prompt.

    Raises:
        ValueError: for a conversation with pictures.

    Example:
        >>> plain_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}])
        'Be brief.\\n\\n2+2?\\n'
    """
    ends = {"system": "\n\n"}
    if any(part.get("type") != "text" for m in messages if isinstance(m["content"], list) for part in m["content"]):
        raise ValueError("Pictures stand in conversations, but the model has no chat template: choose another model.")
    return "".join(
        completion_text([{**message, "role": "assistant"}]) + ends.get(message["role"], "\n") for message in messages
    )


def with_system(prompt: Any, system_prompt: str) -> list[dict[str, Any]]:
    """A conversation under another system prompt.

    Raises:
        ValueError: for a text.

    Example:
        >>> with_system([{"role": "system", "content": "old"}, {"role": "user", "content": "2+2?"}], "new")
        [{'role': 'system', 'content': 'new'}, {'role': 'user', 'content': '2+2?'}]
    """
    if isinstance(prompt, str):
        raise ValueError("A system prompt needs conversations, but the data hold texts: set system_prompt.")
    rest = prompt[1:] if prompt and prompt[0]["role"] == "system" else prompt
    in_parts = any(isinstance(message["content"], list) for message in rest)  # columns hold one type alone
    content = [{"type": "text", "text": system_prompt}] if in_parts else system_prompt
    return [{"role": "system", "content": content}, *rest]


def prompt_id(prompt: Any) -> str:
    """A digest that equal prompts share: of text, of conversations, of the pixels of their images.

    >>> prompt_id([{"role": "user", "content": "2+2?"}]) == prompt_id([{"role": "user", "content": "2+2?"}])
    True
    """
    digest = hashlib.sha256()
    _feed(digest, prompt)
    return digest.hexdigest()


def row_id(row: dict[str, Any]) -> str:
    """A digest that rows with the same prompt and images share; without images that of the prompt.

    >>> row_id({"prompt": "2+2?", "answer": "4"}) == prompt_id("2+2?") != row_id({"prompt": "2+2?", "image": "a"})
    True
    """
    pictures = [row[name] for name in ("image", "images") if row.get(name) is not None]
    return prompt_id([row.get("prompt"), *pictures] if pictures else row.get("prompt"))


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            digest.update(f"<{key}>".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            digest.update(b"<item>")
            _feed(digest, item)
    elif hasattr(value, "tobytes"):
        digest.update(f"<{getattr(value, 'size', '')}>".encode())
        digest.update(value.tobytes())
    else:
        digest.update(str(value).encode("utf-8", "surrogatepass"))
