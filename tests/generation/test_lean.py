"""A prompt is read once, rows that have ended leave, and the completions are those of `generate`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from selfrl.generation.lean import can_be_lean, lean_generate
from selfrl.models import model_path

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
ENDS = [1, 5, 6, 7, 8]


def build(name: str) -> Any:
    torch.manual_seed(0)
    small: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "vocab_size": 64}
    match name:
        case "gemma3":
            layers = ["sliding_attention", "full_attention"] * 2
            return Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, sliding_window=6, layer_types=layers)).eval()
        case "mistral":
            return MistralForCausalLM(MistralConfig(**SIZES, sliding_window=5)).eval()
        case "qwen3":
            return Qwen3ForCausalLM(Qwen3Config(**SIZES)).eval()
        case "gpt2":
            return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, **small)).eval()
        case "mamba":
            return MambaForCausalLM(MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **small)).eval()
    return AutoModelForCausalLM.from_pretrained(model_path("tiny")).eval()


def batch(lengths: tuple[int, ...] = (12, 7, 3), places: tuple[int, ...] = (0, 0, 1, 1, 2, 2, 0)) -> Any:
    """Prompts of these lengths, padded at the left, in these places."""
    width = max(lengths)
    mask = (torch.arange(width) >= width - torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(9, 60, mask.shape, generator=torch.Generator().manual_seed(1)) * mask
    return ids[list(places)], mask[list(places)]


def config(**options: Any) -> GenerationConfig:
    values = {"max_new_tokens": 30, "do_sample": False, "eos_token_id": ENDS, "pad_token_id": 0, **options}
    return GenerationConfig(**values)


@pytest.mark.parametrize("name", ["tiny", "gemma3", "mistral", "qwen3", "gpt2"])
@pytest.mark.parametrize("lengths", [(12, 7, 3), (2, 1, 2), (1, 1, 1)])
def test_greedy_completions_are_those_of_generate(name: str, lengths: tuple[int, ...]) -> None:
    model = build(name)
    ids, mask = batch(lengths)
    own = config(repetition_penalty=1.2)
    assert can_be_lean(model, own, input_ids=ids, attention_mask=mask)
    whole = model.generate(input_ids=ids, attention_mask=mask, generation_config=own)
    assert torch.equal(lean_generate(model.generate, ids, mask, own), whole)


def test_prompts_are_read_once_and_ended_rows_leave() -> None:
    model = build("tiny")
    ids, mask = batch(places=(0,) * 6 + (1,) * 6 + (2,) * 6)
    seen: list[tuple[int, int]] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True)
    torch.manual_seed(0)
    said = lean_generate(model.generate, ids, mask, config(do_sample=True, temperature=1.5))[:, 12:]
    ended = torch.isin(said, torch.tensor(ENDS))
    lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, said.shape[1])
    assert lengths.min() <= 8 < lengths.max()  # else nothing is shown
    assert seen[0] == (3, 11)
    rows = [shape[0] for shape in seen[1:]]
    assert rows[0] == 18
    for step, count in enumerate(rows):
        assert count == sum(length > step // 8 * 8 for length in lengths.tolist())
    assert all(shape[1] == 1 for shape in seen[1:])
    for row, length in zip(said, lengths, strict=True):
        assert not row[length:].any()  # padding after the end


def test_draws_follow_the_models_probabilities_and_differ_between_copies() -> None:
    model = build("qwen3")
    with torch.no_grad():
        model.lm_head.weight.mul_(40)  # a distribution that has a shape
    copies = 6000
    ids, mask = batch(lengths=(5, 3), places=(0,) * copies + (1,) * copies)
    own = config(do_sample=True, temperature=1.0, top_k=0, max_new_tokens=2, eos_token_id=[63])
    torch.manual_seed(0)
    said = lean_generate(model.generate, ids, mask, own)[:, 5:]
    for i in range(2):
        rows = said[i * copies : (i + 1) * copies]
        prompt = ids[i * copies][mask[i * copies].bool()]
        with torch.no_grad():
            first = model(input_ids=prompt[None]).logits[0, -1].softmax(-1)
        found = torch.bincount(rows[:, 0], minlength=64) / copies
        assert (found - first).abs().max() < 4 * (0.25 / copies) ** 0.5
        likely = int(first.argmax())
        with torch.no_grad():
            second = model(input_ids=torch.cat([prompt, torch.tensor([likely])])[None]).logits[0, -1].softmax(-1)
        after = rows[rows[:, 0] == likely][:, 1]
        assert len(after) > 500
        assert (torch.bincount(after, minlength=64) / len(after) - second).abs().max() < 4 * (0.25 / len(after)) ** 0.5


def test_a_row_that_ends_by_its_text_leaves_too() -> None:
    model = build("tiny")
    ids, mask = batch()
    own = config(eos_token_id=[63])
    whole = model.generate(input_ids=ids, attention_mask=mask, generation_config=own)[:, 12:]
    word = int(whole[0, 3])
    rows: list[int] = []
    model.register_forward_pre_hook(lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True)
    said = lean_generate(model.generate, ids, mask, own, ended=lambda new: (new == word).any(1).tolist())[:, 12:]
    assert torch.equal(said[0, :8], whole[0, :8])
    assert rows[1] == 7
    assert rows[9] < 7


@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        ("mamba", {}, {}),
        ("tiny", {"num_beams": 2}, {}),
        ("tiny", {"cache_implementation": "static"}, {}),
        ("tiny", {"min_new_tokens": 4}, {}),
        ("tiny", {"exponential_decay_length_penalty": (4, 1.2)}, {}),
        ("tiny", {"use_cache": False}, {}),
        ("tiny", {"max_new_tokens": None, "max_length": 40}, {}),
        ("tiny", {"num_return_sequences": 2, "do_sample": True}, {}),
        ("tiny", {}, {"pixel_values": torch.zeros(1)}),
    ],
    ids=str,
)
def test_what_would_come_out_otherwise_is_left_to_generate(
    name: str, options: dict[str, Any], inputs: dict[str, Any]
) -> None:
    assert not can_be_lean(build(name), config(**options), **inputs)
