"""Tiny random vision-language models, by how pictures lie in a batch: flat, as patches, or padded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoModelForImageTextToText,
    BaseVideoProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMProcessor,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from selfrl.data.tokenizer import build_tokenizer

SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


class Seer(NamedTuple):
    """A model's folder, and its processor."""

    folder: str
    processor: Any

    def load(self) -> Any:
        """The model in float64."""
        return AutoModelForImageTextToText.from_pretrained(self.folder).double().eval()


class NoVideo(BaseVideoProcessor):
    """In the place of a video processor, which needs torchvision."""

    model_input_names = ()
    num_frames = fps = 1
    size: dict[str, int] = {"longest_edge": 64}  # noqa: RUF012
    video_sampling: dict[str, Any] = {"video_size": {"longest_edge": 64}, "max_frames": 1, "fps": 1}  # noqa: RUF012

    def __init__(self) -> None:
        pass

    def to_dict(self) -> dict[str, Any]:
        return {}


def _template(picture: str) -> str:
    return (
        "{% for m in messages %}{% for part in m['content'] %}{% if part['type'] == 'image' %}"
        + picture
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}"
    )


def _text(vocab_size: int) -> dict[str, Any]:
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    return {**SMALL, "num_key_value_heads": 2, "vocab_size": vocab_size, **ends}


def _saved(model: Any, processor: Any, folder: Path) -> Seer:
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 1
    model.save_pretrained(folder)
    return Seer(str(folder), processor)


def llava(folder: Path) -> Seer:
    """One row of pixels a picture; saved with its processor."""
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_template("<image>"),
    )
    torch.manual_seed(0)
    vision = CLIPVisionConfig(**SMALL, image_size=28, patch_size=14, projection_dim=32)
    text = LlamaConfig(**_text(len(tokenizer)))
    picture = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=picture)
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)
        model.model.multi_modal_projector.linear_2.weight.mul_(20)  # else images barely speak
    processor.save_pretrained(folder)
    return _saved(model, processor, folder)


def qwen(folder: Path) -> Seer:
    """Pixels of all pictures' patches in one tensor, with their grids."""
    tokenizer = build_tokenizer()
    marks = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessorPil(min_pixels=28**2 * 4, max_pixels=28**2 * 16),
        tokenizer,
        NoVideo(),
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    pad, video, start, end = tokenizer.convert_tokens_to_ids(marks)
    torch.manual_seed(0)
    rope = {"type": "default", "rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        text_config={**_text(len(tokenizer)), "rope_parameters": rope, "rope_scaling": rope},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        image_token_id=pad,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)
        model.model.visual.merger.mlp[-1].weight.mul_(20)
    return _saved(model, processor, folder)


def smolvlm(folder: Path) -> Seer:
    """One row of pixels a prompt, padded to the most pictures."""
    tokenizer = build_tokenizer()
    marks = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    pictures = SmolVLMImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    processor = SmolVLMProcessor(pictures, tokenizer, NoVideo(), image_seq_len=4, chat_template=_template("<image>"))
    torch.manual_seed(0)
    config = SmolVLMConfig(
        text_config={**_text(len(tokenizer)), "model_type": "llama"},
        vision_config={**SMALL, "image_size": 64, "patch_size": 16},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = SmolVLMForConditionalGeneration(config)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)
        model.model.connector.modality_projection.proj.weight.mul_(20)
    return _saved(model, processor, folder)


SEERS: dict[str, Callable[[Path], Seer]] = {"llava": llava, "qwen": qwen, "smolvlm": smolvlm}
