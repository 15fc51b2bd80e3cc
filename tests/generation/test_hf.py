from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selfrl.data.tiny import tiny_problems
from selfrl.generation import Sampling, load_generator
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.protocol import cut
from selfrl.models import TINY_MODEL

GREEDY = Sampling(max_tokens=40, temperature=0.0)


@pytest.fixture(scope="module")
def tiny() -> TransformersGenerator:
    return TransformersGenerator.load(str(TINY_MODEL), batch_size=4)


def test_batches_with_padding_give_what_each_prompt_alone_gives_in_order(tiny: TransformersGenerator) -> None:
    rows = tiny_problems("heldout", 9)
    together = tiny.generate(rows["prompt"], GREEDY)
    assert together == [tiny.generate([prompt], GREEDY)[0] for prompt in rows["prompt"]]
    assert sum(rf"\boxed{{{a}}}" in g[0].text for a, g in zip(rows["answer"], together, strict=True)) >= 8


def test_seeds_and_counts(tiny: TransformersGenerator) -> None:
    prompts = tiny_problems("heldout", 3)["prompt"][:]
    sampling = Sampling(max_tokens=12, n=5, seed=7)
    state = torch.get_rng_state()
    groups = tiny.generate(prompts, sampling)
    assert torch.equal(state, torch.get_rng_state())
    assert [len(group) for group in groups] == [5] * 3
    assert groups == tiny.generate(prompts, sampling)
    assert groups != tiny.generate(prompts, Sampling(max_tokens=12, n=5, seed=8))


def test_lengths_and_reasons(tiny: TransformersGenerator) -> None:
    prompt = tiny_problems("heldout", 1)["prompt"][0]
    (short,) = tiny.generate([prompt], Sampling(max_tokens=3, temperature=0.0))[0]
    (whole,) = tiny.generate([prompt], GREEDY)[0]
    assert (short.finish_reason, short.completion_tokens) == ("length", 3)
    assert whole.finish_reason == "stop"
    assert whole.text.startswith(short.text)
    assert whole.prompt_tokens == len(tiny.tokenizer(prompt).input_ids)
    # the end token counts, and is not in the text
    assert whole.completion_tokens == len(tiny.tokenizer(whole.text).input_ids) + 1


def test_training_mode_is_restored(tiny: TransformersGenerator) -> None:
    tiny.model.train()
    tiny.generate(["Add 1 to 2.\n"], Sampling(max_tokens=2))
    assert tiny.model.training
    tiny.model.eval()


def test_conversations_use_the_chat_template(tiny: TransformersGenerator) -> None:
    tiny.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    text = "Find the sum of 34 and 25."
    conversation = [{"role": "user", "content": text}]
    assert tiny.generate([conversation], GREEDY) == tiny.generate([text + "\n"], GREEDY)


def test_an_unknown_back_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of transformers, vllm, endpoint"):
        load_generator("sglang", "x")  # type: ignore[arg-type]


def test_a_base_model_reads_a_conversation_as_text(tiny: TransformersGenerator) -> None:
    tiny.tokenizer.chat_template = None
    text = "Find the sum of 34 and 25."
    assert tiny.generate([[{"role": "user", "content": text}]], GREEDY) == tiny.generate([text + "\n"], GREEDY)


def test_an_empty_prompt_fails_alone(tiny: TransformersGenerator) -> None:
    groups = tiny.generate(["", "Add 1 to 2.\n"], GREEDY)
    assert groups[0] == []
    assert len(groups[1]) == 1


def test_nucleus_sampling_is_applied(tiny: TransformersGenerator) -> None:
    """With a nucleus of almost nothing, sampling is greedy."""
    prompts = tiny_problems("heldout", 5)["prompt"][:]
    narrow = tiny.generate(prompts, Sampling(max_tokens=40, top_p=1e-6, seed=1))
    assert narrow == tiny.generate(prompts, GREEDY)


def test_penalties_of_a_checkpoint_do_not_change_what_is_asked_for(tiny: TransformersGenerator) -> None:
    prompt = "Find the sum of 34 and 25.\n"
    before = tiny.generate([prompt], GREEDY)
    tiny.model.generation_config.repetition_penalty = 9.0
    assert tiny.generate([prompt], GREEDY) == before
    tiny.model.generation_config.repetition_penalty = None


@pytest.mark.parametrize("stop", [("boxed",), ("never", "x", "boxed"), ("{",)])
def test_stop_texts_end_a_completion_and_are_cut_off(tiny: TransformersGenerator, stop: tuple[str, ...]) -> None:
    prompts = tiny_problems("heldout", 6)["prompt"][:]
    whole = tiny.generate(prompts, GREEDY)
    short = tiny.generate(prompts, replace(GREEDY, stop=stop))
    for (full,), (early,) in zip(whole, short, strict=True):
        assert early.text == cut(full.text, stop) != full.text
        assert early.finish_reason == "stop"
        assert len(tiny.tokenizer(early.text).input_ids) <= early.completion_tokens < full.completion_tokens
    assert tiny.generate(prompts, replace(GREEDY, stop=("never",))) == whole


def test_an_empty_stop_text_is_refused() -> None:
    with pytest.raises(ValueError, match="stop text is empty"):
        Sampling(stop=("",))
