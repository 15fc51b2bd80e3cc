"""Pictures through the back ends: what is sent, and what comes back."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.json_server import JsonHandler, JsonServer
from support.seers import SEERS, Seer

from selfrl.generation import Sampling
from selfrl.generation.endpoint import EndpointGenerator
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.processors import load_processor, picture_inputs, pictures_of, sees
from selfrl.generation.tokens import prompt_length
from selfrl.generation.vllm_engine import VLLMGenerator

GREEDY = Sampling(6, temperature=0.0)


def asked(*colours: str, text: str = "Add 3 and 4.") -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "image", "image": Image.new("RGB", (40, 30), c)} for c in colours]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


@pytest.fixture(scope="module", params=SEERS)
def seer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seer:
    return SEERS[request.param](tmp_path_factory.mktemp(request.param))


def generator(seer: Seer, batch_size: int) -> TransformersGenerator:
    model = seer.load()
    model.to(torch.float32)
    return TransformersGenerator(model, seer.processor, batch_size)


def test_a_batch_gives_what_each_prompt_gives_alone(seer: Seer) -> None:
    """With one picture, two, and none, and in whatever order."""
    blind = [{"role": "user", "content": "Add 5 and 9."}]
    prompts: list[Any] = [asked("red"), blind, asked("blue", "green"), asked("white")]
    together = generator(seer, 8).generate(prompts, GREEDY)
    alone = [generator(seer, 1).generate([prompt], GREEDY)[0] for prompt in prompts]
    assert together == alone
    assert len({group[0].text for group in together}) > 1
    assert together[0][0].prompt_tokens < together[2][0].prompt_tokens
    assert together[1][0].prompt_tokens < together[0][0].prompt_tokens


def test_samples_of_one_prompt_are_drawn_apart_and_again(seer: Seer) -> None:
    sampling = Sampling(6, temperature=1.0, n=4, seed=3)
    first, again = (generator(seer, 8).generate([asked("red")], sampling) for _ in range(2))
    assert first == again
    assert len({g.text for g in first[0]}) > 1


def test_no_picture_is_ever_said(seer: Seer) -> None:
    """TRL bars the picture's token in its rollouts; so an evaluation must, or it sees what no rollout could be."""
    model = seer.load().to(torch.float32)
    picture = torch.tensor([seer.processor.image_token_id])
    model.get_output_embeddings().register_forward_hook(lambda m, a, logits: logits.index_fill(-1, picture, 1e4))
    (group,) = TransformersGenerator(model, seer.processor, 2).generate([asked("red")], GREEDY)
    assert group[0].text  # a picture's token is a special one, which no text shows


def test_a_saved_model_is_loaded_with_its_processor(tmp_path: Path) -> None:
    seer = SEERS["llava"](tmp_path)
    assert sees(load_processor(str(tmp_path)))
    loaded = TransformersGenerator.load(str(tmp_path))
    assert loaded.generate([asked("red")], GREEDY) == generator(seer, 1).generate([asked("red")], GREEDY)


def test_pictures_are_refused_by_a_model_that_takes_none() -> None:
    tiny = TransformersGenerator.load(str(Path("selfrl/data/tiny_model")))
    with pytest.raises(ValueError, match="the model takes none"):
        tiny.generate([asked("red")], GREEDY)


def test_a_processor_without_a_template_is_refused(tmp_path: Path) -> None:
    seer = SEERS["llava"](tmp_path)
    seer.processor.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        picture_inputs(seer.processor, [asked("red")])


def test_pictures_stand_in_order() -> None:
    prompt = [*asked("red", "blue"), {"role": "assistant", "content": "7"}, *asked("green")]
    assert [p.getpixel((0, 0)) for p in pictures_of(prompt)] == [(255, 0, 0), (0, 0, 255), (0, 128, 0)]
    assert pictures_of("text") == []


def test_a_prompts_length_is_that_of_its_inputs(seer: Seer) -> None:
    for prompt in (asked("red"), asked("blue", "green"), [{"role": "user", "content": "Add 5 and 9."}]):
        for part in prompt[0]["content"] if isinstance(prompt[0]["content"], list) else []:
            if part["type"] == "image":
                part["image"] = part["image"].resize((133, 61))
        assert prompt_length(seer.processor, prompt) == picture_inputs(seer.processor, [prompt])["input_ids"].shape[1]


def test_an_endpoint_gets_data_urls() -> None:
    reply = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "red"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    requests: list[dict[str, Any]] = []

    class Handler(JsonHandler):
        def answer(self, body: bytes) -> None:
            requests.append(json.loads(body))
            self.reply(200, reply, {})

    with JsonServer(Handler) as server:
        groups = EndpointGenerator("m", server.url).generate([asked("red", text="Colour?")], GREEDY)
    (request,) = requests
    assert groups[0][0].text == "red"
    picture, text = request["messages"][0]["content"]
    assert text == {"type": "text", "text": "Colour?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert (picture["type"], head) == ("image_url", "data:image/png;base64")
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (sent.size, sent.getpixel((3, 3))) == ((40, 30), (255, 0, 0))


def test_vllm_gets_the_templates_text_and_the_pictures(seer: Seer) -> None:
    """Its vision models import torchvision, which has no build beside CPU torch: only the request is looked at."""
    engine = object.__new__(VLLMGenerator)
    engine.processor = seer.processor
    request = engine._input(asked("red", "blue"))
    assert [p.getpixel((0, 0)) for p in request["multi_modal_data"]["image"]] == [(255, 0, 0), (0, 0, 255)]
    assert request["prompt"].count(seer.processor.image_token) == 2
    assert "Add 3 and 4." in request["prompt"]
    assert set(engine._input([{"role": "user", "content": "Add 3 and 4."}])) == {"prompt_token_ids"}
