"""Scores of continuations against a plain reference in float64, one row at a time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers.processors import TemplateProcessing

from selfrl.generation.continuations import Continuation, ContinuationScorer, mean_log_probs
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import TINY_MODEL

SAID = [
    Continuation("Find the sum of 34 and 25.\n", "34 + 25 = 59.", r" \boxed{59}"),
    Continuation("Find the sum of 34 and 25.\n", "34 + 25 = 59.", r" \boxed{7}"),
    Continuation("Find the sum of 34 and 25.\n", "", "34 + 25 = 59."),
    Continuation("Add 1 to 2.\n", "1 + 2 = 3. The sum is what you get, and that is long.", "3"),
    Continuation(
        "A shop had 82 kg of rice, received 67 kg and sold 25 kg. What weight is left?\n", "82 + 67 = 149.", " 149"
    ),
    Continuation("Add 1 to 2.\n", "1 + 2 = 3.", r" \boxed{3} and a great deal of further text, word by word."),
]


@pytest.fixture
def tiny() -> TransformersGenerator:
    return TransformersGenerator.load(str(TINY_MODEL), batch_size=4)


def reference(generator: TransformersGenerator, said: Continuation) -> float:
    """The definition, with a copy of the model in float64 and neither batch nor padding."""
    tokenizer, model = generator.tokenizer, copy.deepcopy(generator.model).double().eval()
    assert isinstance(said.prompt, str)
    before = tokenizer(said.prompt).input_ids + tokenizer(said.prefix, add_special_tokens=False).input_ids
    tokens = tokenizer(said.text, add_special_tokens=False).input_ids
    with torch.no_grad():
        log_probs = model(torch.tensor([before + tokens])).logits[0].log_softmax(-1)
    return sum(log_probs[len(before) - 1 + i, token].item() for i, token in enumerate(tokens)) / len(tokens)


def test_scores_are_those_of_the_definition_in_any_batch_and_order(tiny: TransformersGenerator) -> None:
    expected = [reference(tiny, each) for each in SAID]
    assert len({round(value, 4) for value in expected}) == len(SAID)
    for size in (1, 2, 4, 16):
        found = mean_log_probs(tiny.model, tiny.tokenizer, SAID, size)
        assert found == pytest.approx(expected, abs=2e-5)
        backwards = mean_log_probs(tiny.model, tiny.tokenizer, SAID[::-1], size)
        assert backwards == pytest.approx(expected[::-1], abs=2e-5)
    scorer: ContinuationScorer = tiny
    assert scorer.mean_log_probs(SAID) == pytest.approx(expected, abs=2e-5)
    assert scorer.mean_log_probs([]) == []


def test_conversations_are_read_as_for_generation(tiny: TransformersGenerator) -> None:
    text, prefix, said = SAID[1]
    assert isinstance(text, str)
    conversation: Any = [{"role": "user", "content": text.strip()}]
    plain = tiny.mean_log_probs([SAID[1]])
    assert tiny.mean_log_probs([Continuation(conversation, prefix, said)]) == pytest.approx(plain, abs=1e-6)
    tiny.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}! {% endfor %}"
    templated = tiny.mean_log_probs([Continuation(conversation, prefix, said)])
    assert templated == pytest.approx([reference(tiny, Continuation(text.strip() + "! ", prefix, said))], abs=2e-5)
    assert templated != pytest.approx(plain, abs=1e-3)


def test_special_tokens_stand_before_a_prompt_alone(tiny: TransformersGenerator) -> None:
    tiny.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<eos> $A", special_tokens=[("<eos>", 1)]
    )
    assert tiny.tokenizer("1").input_ids[0] == 1
    assert tiny.mean_log_probs(SAID) == pytest.approx([reference(tiny, each) for each in SAID], abs=2e-5)
    # the start is enough to stand before a continuation
    alone = Continuation("", "", "Add 1 to 2.")
    assert tiny.mean_log_probs([alone]) == pytest.approx([reference(tiny, alone)], abs=2e-5)


def test_equal_rows_are_scored_once_and_the_head_works_on_few_positions(tiny: TransformersGenerator) -> None:
    lora = get_peft_model(copy.deepcopy(tiny.model), LoraConfig(r=2, target_modules=["q_proj"]))
    for model in (tiny.model, lora):
        shapes: list[tuple[int, ...]] = []
        head = model.get_output_embeddings() if model is tiny.model else model.get_base_model().lm_head
        hook = head.register_forward_hook(lambda module, inputs, output, to=shapes: to.append(tuple(output.shape)))
        found = mean_log_probs(model, tiny.tokenizer, [SAID[0], SAID[1], SAID[0], SAID[0]])
        hook.remove()
        assert found == pytest.approx([reference(tiny, SAID[k]) for k in (0, 1, 0, 0)], abs=2e-5)
        assert found[0] == found[2] == found[3]
        ((rows, positions, _),) = shapes
        assert rows == 2
        assert positions == len(tiny.tokenizer(SAID[0].text).input_ids) + 1  # the longer one, and what precedes it


class Whole(torch.nn.Module):
    """A model that knows no `logits_to_keep`."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner
        self.device = inner.device

    def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
        return self.inner(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)


def test_a_model_that_computes_all_logits_gives_the_same(tiny: TransformersGenerator) -> None:
    found = mean_log_probs(Whole(tiny.model), tiny.tokenizer, SAID)
    assert found == pytest.approx(tiny.mean_log_probs(SAID), abs=2e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(tiny: TransformersGenerator, training: bool) -> None:
    class Watched(Whole):
        fails = False

        def forward(self, **inputs: Any) -> Any:  # type: ignore[override]
            assert not self.training
            assert not torch.is_grad_enabled()
            if self.fails:
                raise RuntimeError("out of memory")
            return self.inner(**inputs)

    model = Watched(tiny.model).train(training)
    state = torch.get_rng_state()
    mean_log_probs(model, tiny.tokenizer, SAID)
    assert model.training is tiny.model.training is training
    assert torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())
    model.fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        mean_log_probs(model, tiny.tokenizer, SAID)
    assert model.training is training


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Continuation("Add 1 to 2.\n", "3", ""), "The continuation '' has no tokens: give a text"),
        (Continuation("", "", "3"), "Nothing stands before the continuation '3': give it a prompt."),
        *[
            (
                Continuation([{"role": "user", "content": [part, {"type": "text", "text": "Up?"}]}], "", "yes"),
                "has pictures, after which continuations cannot be scored: give texts alone.",
            )
            for part in ({"type": "image"}, {"type": "image", "image": 1})
        ],
    ],
)
def test_what_cannot_be_scored_is_refused(tiny: TransformersGenerator, said: Continuation, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        tiny.mean_log_probs([SAID[0], said])
