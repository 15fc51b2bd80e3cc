"""An evaluation that shows pictures, from the built data to the page of samples."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.pictures import noise
from support.seers import SEERS

from selfrl.cli import main
from selfrl.eval.generating import shown
from selfrl.eval.jobs import plan
from selfrl.eval.settings import Settings
from selfrl.generation.processors import pictures_of
from selfrl.pretext.building import Build, build
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan
from selfrl.rewards.vision import Jigsaw, Rotation


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rotations (two pictures each) and jigsaws (four), a few of them held out."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(24):
        noise(rng, (40, 40)).save(folder / "pictures" / f"{number}.png")
    items = ItemPlan(((Rotation(), 0), (Jigsaw(min_side=8), 0)), per_picture=1, max_pixels=10**6, seed=0)
    build(Build(PictureSource(str(folder / "pictures")), items, folder / "built", held_out=0.4))
    return folder / "built"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return SEERS["llava"](tmp_path_factory.mktemp("llava")).folder


def test_questions_are_those_that_training_would_ask(data: Path, model: str) -> None:
    (job,) = plan(model, ["pretext"], Settings(data={"pretext": str(data)}, system_prompt="Look well."))
    from selfrl.data.loading import load_rows

    rows = list(load_rows(str(data), "heldout"))
    assert len(job.questions.questions) == len(rows)
    for question, row in zip(job.questions.questions, rows, strict=True):
        assert [p.tobytes() for p in pictures_of(question.prompt)] == [p.tobytes() for p in row["images"]]
        system, user = question.prompt
        assert system["content"][0]["text"] == "Look well."  # type: ignore[index]
        texts = [part["text"] for part in user["content"] if part["type"] == "text"]  # type: ignore[index]
        assert texts == [part["text"] for part in row["prompt"][0]["content"] if part["type"] == "text"]
        assert question.gold == row["answer"]


def test_a_run_its_samples_and_its_page(data: Path, model: str, tmp_path: Path) -> None:
    flags = ["--tasks", "pretext", "--data", f"pretext={data}", "--limit", "6", "--n", "2", "--max-tokens", "6"]
    flags += ["--control", "0", "--cache", str(tmp_path / "cache.sqlite"), "--judge", model]
    assert main(["eval", model, *flags, "--out", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["tasks"]["pretext"]["scores"]["questions"] == 6
    rows = pq.read_table(tmp_path / "out" / "samples" / "pretext.parquet").to_pylist()
    assert len(rows) == 12
    for row in rows:
        count = row["prompt"].count('"picture"')
        assert len(row["images"]) == count in (2, 4)
        picture = Image.open(io.BytesIO(base64.b64decode(row["images"][0].split(",")[1])))
        assert max(picture.size) <= 192
    page = (tmp_path / "out" / "samples.html").read_text()
    assert "img-src data:" in page
    assert len(re.findall("data:image/png;base64,", page)) >= sum(len(row["images"]) for row in rows)


def test_the_cache_tells_pictures_apart(data: Path, model: str) -> None:
    from selfrl.eval.cache import request_hash
    from selfrl.generation import Sampling

    (job,) = plan(model, ["pretext"], Settings(data={"pretext": str(data)}))
    prompts: list[Any] = [q.prompt for q in job.questions.questions if q.row["task"] == Rotation().spec()]
    assert len({shown(prompt) for prompt in prompts}) == 1  # one question, about other pictures
    assert len({request_hash("m", prompt, Sampling()) for prompt in prompts}) == len(prompts)
    again = plan(model, ["pretext"], Settings(data={"pretext": str(data)}))[0]
    assert again.questions.prompts_hash == job.questions.prompts_hash


def test_a_model_that_takes_no_pictures_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match="shows pictures: ask a model with a chat template"):
        plan("tiny", ["pretext"], Settings(data={"pretext": str(data)}))


def test_signals_that_do_not_see_are_refused(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--tasks", "pretext", "--data", f"pretext={data}", "--signals", "entropy", "--out", str(tmp_path)]
    assert main(["eval", model, *flags]) == 2
    assert "shows pictures, which entropy does not see" in capsys.readouterr().err


def test_pictures_stand_before_a_question_without_places(tmp_path: Path, model: str) -> None:
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), "question": Value("string"), "label": Value("string")})
    picture = Image.new("RGB", (30, 30), "red")
    rows = Dataset.from_list([{"image": picture, "question": "Which colour?", "label": "red"}], features=features)
    rows.to_parquet(str(tmp_path / "rows.parquet"))
    (tmp_path / "colour.yaml").write_text(
        "version: 1\nabout: a colour\ngrading: text\nimages: image\nquestion: '{{ question }}'\ngold: '{{ label }}'\n"
        f"data: {{path: {tmp_path}/rows.parquet}}\nflexible: [last_line]\n"
        "chat: {prompt: '{{ question }} One word.', strict: last_line}\n"
        "base: {prompt: '{{ question }}', strict: last_line}\n"
    )
    (job,) = plan(model, [str(tmp_path / "colour.yaml")], Settings())
    (message,) = job.questions.questions[0].prompt
    assert [part["type"] for part in message["content"]] == ["image", "text"]  # type: ignore[index]
    assert message["content"][1]["text"] == "Which colour? One word."  # type: ignore[index]
