"""A vision-language model of 0.26 M parameters, and the handwritten digits that it looks at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from selfrl.generation.processors import picture_inputs, with_pictures
from selfrl.installation import mend

SIDE, PATCH, WIDTH = 8, 2, 64
SPECIAL = ("<pad>", "<eos>", "<unk>", "<image>", "<answer>", "</answer>")
# the question's words would cost most of the time, and there is but one question: a mark stands for them
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %} ?"
    "{% endfor %}"
)


def save_digits(path: Path) -> None:
    """The 1,797 handwritten digits of scikit-learn, upright, 8 x 8, as an array (N, 8, 8) of bytes.

    Raises:
        ImportError: without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(f"The digits are scikit-learn's: {mend('vision')}.") from error
    np.save(path, (load_digits().images * (255 / 16)).round().astype(np.uint8))


def build_seer(answers: Sequence[str], seed: int, side: int = SIDE) -> tuple[Any, Any]:
    """An untrained LLaVA and its processor, whose words are those of some answers.

    Args:
        answers: a word each, or several with blanks between them.
        seed: of the weights.
        side: pixels of the square that pictures are resized to.
    """
    words = list(dict.fromkeys(word for answer in answers for word in answer.split()))
    vocabulary = [*SPECIAL, "?", *words]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens={"image_token": "<image>"},
    )
    pictures = CLIPImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False)
    processor = LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    torch.manual_seed(seed)
    layers = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
    text = LlamaConfig(
        **layers,
        num_hidden_layers=3,
        num_key_value_heads=4,
        vocab_size=len(vocabulary),
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        max_position_embeddings=256,
        initializer_range=0.05,
    )
    vision = CLIPVisionConfig(**layers, num_hidden_layers=1, image_size=side, patch_size=PATCH, projection_dim=WIDTH)
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_id=3, vision_feature_layer=-1)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 1
    return model, processor


def warm_up(model: Any, processor: Any, rows: Dataset, answers: Sequence[str], steps: int, seed: int) -> float:
    """Teach the form alone, in place: every row gets an answer that is drawn at random, whatever it shows.

    Returns:
        the last loss; the entropy of a random answer, over the tokens of one, is what it can come to.
    """
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    tokenizer = processor.tokenizer
    model.train()
    for _ in range(steps):
        chosen = rows.select(rng.sample(range(len(rows)), 32))
        said = [f"<answer> {rng.choice(answers)} </answer> <eos>" for _ in chosen]
        completion = tokenizer(said, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
        inputs = picture_inputs(processor, [with_pictures(r["prompt"], r["images"]) for r in chosen])
        ids = torch.cat([inputs.pop("input_ids"), completion.input_ids], 1)
        mask = torch.cat([inputs.pop("attention_mask"), completion.attention_mask], 1)
        labels = torch.where(mask.bool(), ids, -100)
        labels[:, : ids.shape[1] - completion.input_ids.shape[1]] = -100
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, **inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return float(loss)
