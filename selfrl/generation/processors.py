"""What turns prompts into a model's inputs: a tokenizer, or for models that see, a processor around one."""

from __future__ import annotations

from typing import Any

from transformers import AutoProcessor

from selfrl.generation.protocol import Prompt


def load_processor(source: str, revision: str | None = None) -> Any:
    """The processor of a model that has one, else its tokenizer; padded on the left, with a pad token.

    Raises:
        OSError: for a model that is not there.

    Example:
        >>> from selfrl.models import TINY_MODEL
        >>> sees(load_processor(str(TINY_MODEL)))
        False
    """
    processor = AutoProcessor.from_pretrained(source, revision=revision)
    tokenizer = tokenizer_of(processor)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def tokenizer_of(processor: Any) -> Any:
    """The tokenizer of a processor, or itself."""
    return getattr(processor, "tokenizer", processor)


def sees(processor: Any) -> bool:
    """Whether it takes pictures."""
    return getattr(processor, "image_processor", None) is not None


def pictures_of(prompt: Prompt) -> list[Any]:
    """The pictures in a conversation's parts, in order.

    >>> pictures_of([{"role": "user", "content": [{"type": "image", "image": 1}, {"type": "text", "text": "Up?"}]}])
    [1]
    """
    if isinstance(prompt, str):
        return []
    parts = [part for message in prompt if isinstance(message["content"], list) for part in message["content"]]
    return [part["image"] for part in parts if part.get("type") == "image" and part.get("image") is not None]


def with_pictures(messages: list[Any], held: Any) -> list[Any]:
    """A conversation with pictures at its places, or before its question where it has none.

    Args:
        messages: the conversation.
        held: a picture, or a list of them, as a row holds it.

    Raises:
        ValueError: for another number of places than pictures.

    Example:
        >>> [part["type"] for part in with_pictures([{"role": "user", "content": "Up?"}], "picture")[0]["content"]]
        ['image', 'text']
    """
    from trl import prepare_multimodal_messages

    return list(prepare_multimodal_messages(messages, held if isinstance(held, list) else [held]))


def check_sees(processor: Any) -> None:
    """Refuse pictures for a model that cannot be shown any.

    Raises:
        ValueError: for a model that takes no pictures, or has no chat template.
    """
    if not sees(processor):
        raise ValueError("The prompts hold pictures, but the model takes none: choose a vision-language model.")
    if getattr(processor, "chat_template", None) is None:
        raise ValueError("Pictures stand in conversations, but the model has no chat template: choose another one.")


def picture_inputs(processor: Any, prompts: list[Prompt]) -> dict[str, Any]:
    """Padded tensors of conversations with pictures, by the model's own template.

    Raises:
        ValueError: for a model that takes no pictures, or has no chat template.
    """
    check_sees(processor)
    return dict(
        processor.apply_chat_template(
            [with_pictures(list(prompt), []) for prompt in prompts],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
    )
