"""Signals of a vision-language model, against the plain model with each image in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from PIL import Image
from support.runs import tiny_run
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from selfrl.data.tokenizer import build_tokenizer
from selfrl.trainers import GRPOTrainer

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TEMPLATE = (
    "{% for m in messages %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '\n' }}{% endfor %}"
)


class Listener:
    __name__ = "Listener"
    signals = ("log_prob", "entropy", "self_certainty", "margin")

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float]:
        self.ids, self.columns = completion_ids, columns
        return [float(len(set(ids))) for ids in completion_ids]


class ScoringGRPOTrainer(GRPOTrainer):
    _hears_generation = False


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, LlavaProcessor]:
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image_processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = LlavaProcessor(
        image_processor,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            text_config=LlamaConfig(
                **SMALL,
                num_key_value_heads=2,
                vocab_size=len(tokenizer),
                pad_token_id=0,
                eos_token_id=1,
                bos_token_id=None,
            ),
            vision_config=CLIPVisionConfig(**SMALL, image_size=28, patch_size=14, projection_dim=32),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        )
    )
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)
        model.model.multi_modal_projector.linear_2.weight.mul_(20)  # else images barely speak
    folder = str(tmp_path_factory.mktemp("llava"))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder, processor


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, ScoringGRPOTrainer])
def test_signals_see_the_image(trainer_class: Any, llava: tuple[str, LlavaProcessor], tmp_path: Path) -> None:
    folder, processor = llava
    texts = ["Add 3 and 4.", "Subtract 13 from 25, then add 6."]
    images = [Image.new("RGB", (28, 28), (0, 0, 0)), Image.new("RGB", (28, 28), (255, 90, 0))]
    rows = Dataset.from_list(
        [
            {"prompt": [{"role": "user", "content": text}], "image": image}
            for text, image in zip(texts, images, strict=True)
        ]
    )
    listener = Listener()
    options: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 6,
        "max_steps": 1,
    }
    options |= {"temperature": 0.7, "shuffle_dataset": False, "processing_class": processor}
    tiny_run(trainer_class, folder, tmp_path, listener, rows, **options).train()
    model = LlavaForConditionalGeneration.from_pretrained(folder).double().eval()

    def log_p(row: int, image: Image.Image) -> torch.Tensor:
        inputs = processor(images=[image], text=["<image>" + texts[row // 2] + "\n"], return_tensors="pt")
        ids = torch.cat([inputs["input_ids"], torch.tensor([listener.ids[row]])], 1)
        with torch.no_grad():
            logits = model(input_ids=ids, pixel_values=inputs["pixel_values"].double()).logits[0]
        return (logits[-len(listener.ids[row]) - 1 : -1] / 0.7).log_softmax(-1)

    for row in range(4):
        logs = log_p(row, images[row // 2])
        entropy = -(logs.exp() * logs).sum(-1)
        torch.testing.assert_close(listener.columns["entropy"][row].double(), entropy, rtol=1e-4, atol=2e-5)
        chosen = logs[range(len(logs)), listener.ids[row]]
        torch.testing.assert_close(listener.columns["log_prob"][row].double(), chosen, rtol=1e-4, atol=2e-5)
        other = log_p(row, images[1 - row // 2])
        assert (entropy + (other.exp() * other).sum(-1)).abs().max() > 1e-3
