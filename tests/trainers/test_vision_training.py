"""Training on pictures: signals against the plain model in float64, and rows that keep their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset, Features, List, Value
from datasets import Image as ImageFeature
from PIL import Image
from support.processes import on_two_processes
from support.runs import tiny_run
from support.seers import SEERS, Seer
from trl import prepare_multimodal_messages

from selfrl.generation import Sampling
from selfrl.generation.processors import picture_inputs
from selfrl.recipe import parse_recipe
from selfrl.rewards import MajorityVoteReward
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer, TeacherConfig
from selfrl.trainers.trl_surface import PICTURES
from selfrl.training import build_trainer, drop_long_prompts

TEXTS = ("Add 3 and 4.", "Subtract 13 from 25, then add 6.", "Add 5 and 9.", "Add 1 and 2, then add 6.")
COLOURS = (("black",), ("orange", "blue"), ("white",), ("green", "red"))
MESSAGES = List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})})


class Listener:
    __name__ = "Listener"
    signals = ("log_prob", "entropy", "self_certainty", "margin")

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float]:
        self.ids, self.columns = completion_ids, columns
        return [float(len(set(ids))) for ids in completion_ids]


class Mixed:
    """Half of a prompt's completions are right where the row says `mixed`, else all are wrong."""

    __name__ = "Mixed"

    def __call__(self, completions: Any, mixed: list[bool], **columns: Any) -> list[float]:
        return [float(m and i % 2 == 0) for i, m in enumerate(mixed)]


class ScoringGRPOTrainer(GRPOTrainer):
    _hears_generation = False


def shown(row: int) -> list[Image.Image]:
    return [Image.new("RGB", (40 + 9 * row, 32), colour) for colour in COLOURS[row]]


def rows(repeats: int = 1) -> Dataset:
    """Prompts with one and two pictures of several sizes; every second one is mixed."""
    made = []
    for turn in range(repeats):
        for row, text in enumerate(TEXTS):
            parts = [{"type": "image", "text": None}] * len(COLOURS[row])
            parts += [{"type": "text", "text": text + "!" * turn}]
            prompt = [{"role": "user", "content": parts}]
            made.append({"prompt": prompt, "images": shown(row), "mixed": (row + turn) % 2 == 0, "row": row})
    features = {"prompt": MESSAGES, "images": List(ImageFeature()), "mixed": Value("bool"), "row": Value("int64")}
    return Dataset.from_list(made, features=Features(features))


@pytest.fixture(scope="module", params=SEERS)
def seer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seer:
    return SEERS[request.param](tmp_path_factory.mktemp(request.param))


def log_probs(seer: Seer, model: Any, row: int, ids: list[int], pictures: list[Image.Image]) -> torch.Tensor:
    """Of all tokens at each place of a completion, by the plain model on this one prompt: (T, V)."""
    prompt = prepare_multimodal_messages([{"role": "user", "content": TEXTS[row]}], pictures)
    inputs = picture_inputs(seer.processor, [prompt])
    said = torch.tensor([ids])
    for name, filler in (("input_ids", said), ("attention_mask", torch.ones_like(said))):
        inputs[name] = torch.cat([inputs[name], filler], 1)
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(said)], 1)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    return (logits[-len(ids) - 1 : -1] / 0.7).log_softmax(-1)


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, ScoringGRPOTrainer])
def test_signals_see_the_pictures(trainer_class: Any, seer: Seer, tmp_path: Path) -> None:
    listener = Listener()
    options: dict[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 2, "max_completion_length": 6}
    options |= {"max_steps": 1, "temperature": 0.7, "shuffle_dataset": False, "processing_class": seer.processor}
    tiny_run(trainer_class, seer.folder, tmp_path, listener, rows(), **options).train()
    model = seer.load()
    for i in range(8):
        ids, row = listener.ids[i], listener.columns["row"][i]
        logs = log_probs(seer, model, row, ids, shown(row))
        entropy = -(logs.exp() * logs).sum(-1)
        torch.testing.assert_close(listener.columns["entropy"][i].double(), entropy, rtol=1e-4, atol=5e-5)
        chosen = logs[range(len(logs)), ids]
        torch.testing.assert_close(listener.columns["log_prob"][i].double(), chosen, rtol=1e-4, atol=5e-5)
        other = log_probs(seer, model, row, ids, [Image.new("RGB", p.size, "pink") for p in shown(row)])
        assert (entropy + (other.exp() * other).sum(-1)).abs().max() > 1e-3


def recomputed(trainer: Any) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(mask, log-probabilities when scored, and of the batch that is trained on), as the run fills it."""
    found: list[Any] = []
    generate = trainer._generate_and_score_completions

    def kept(inputs: Any) -> Any:
        batch = generate(inputs)
        if trainer.model.training:
            with torch.no_grad():
                again, *_ = trainer._get_per_token_logps_and_entropies(
                    trainer.model,
                    torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1),
                    torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1),
                    batch["completion_ids"].size(1),
                    **{name: batch.get(name) for name in PICTURES},
                )
            mask = batch["completion_mask"].bool()
            if "old_logps" in batch:  # RLOO keeps sums
                again, mask = (again * mask).sum(1), torch.ones_like(mask[:, 0])
            found.append((mask, batch.get("old_per_token_logps", batch.get("old_logps")), again))
        return batch

    trainer._generate_and_score_completions = kept
    return found


OPTIONS: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "steps_per_generation": 2,
    "num_generations": 4,
    "num_generations_train": 2,
    "dynamic_sampling_rounds": 3,
    "num_iterations": 2,
    "max_steps": 4,
    "max_completion_length": 5,
}


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, NFTTrainer, RLOOTrainer])
def test_rows_keep_their_pictures(trainer_class: Any, seer: Seer, tmp_path: Path) -> None:
    """Votes are dropped and prompts replaced, by prompts with other numbers of pictures."""
    options = {**OPTIONS, "processing_class": seer.processor}
    trainer = tiny_run(trainer_class, seer.folder, tmp_path, Mixed(), rows(repeats=3), **options)
    found = recomputed(trainer)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    assert len(found) == 1
    for mask, scored, again in found:
        torch.testing.assert_close(again[mask], scored[mask], rtol=1e-4, atol=1e-4)
    moved = [name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])]
    assert any("vision" in name or "visual" in name for name in moved)


def dynamic_on_one_of_two(folder: str) -> Any:
    """A run of two processes, whose batches are filled from both; run by [`on_two_processes`]."""
    seer = SEERS["qwen"](Path(folder))
    options = {**OPTIONS, "per_device_train_batch_size": 4, "processing_class": seer.processor}
    trainer = tiny_run(NFTTrainer, seer.folder, Path(folder) / "out", Mixed(), rows(repeats=3), **options)
    found = recomputed(trainer)
    trainer.train()
    return [(mask, scored, again) for mask, scored, again in found]


def test_rows_keep_their_pictures_on_two_processes(tmp_path: Path) -> None:
    for rank in on_two_processes(dynamic_on_one_of_two, str(tmp_path)):
        for mask, scored, again in rank:
            torch.testing.assert_close(again[mask], scored[mask], rtol=1e-4, atol=1e-4)


def test_the_table_of_completions_shows_the_pictures(tmp_path: Path) -> None:
    seer = SEERS["llava"](tmp_path / "model")
    options = {"per_device_train_batch_size": 8, "num_generations": 2, "max_steps": 1, "log_completions": True}
    options |= {"num_completions_to_print": 0, "processing_class": seer.processor}
    tiny_run(GRPOTrainer, seer.folder, tmp_path / "out", Mixed(), rows(), **options).train()
    file = tmp_path / "out" / "completions" / "completions_00001.parquet"
    table = Dataset.from_parquet(str(file))
    for row in table:
        asked = row["prompt"][0]["content"][-1]["text"] if isinstance(row["prompt"], list) else str(row["prompt"])
        number = next(i for i, text in enumerate(TEXTS) if text in str(asked) or text in str(row["prompt"]))
        assert [p.getpixel((1, 1)) for p in row["images"]] == [p.getpixel((1, 1)) for p in shown(number)]
    assert "advantage" in pq.read_schema(file).names


class Judged(Mixed):
    """Lets the policy look at each prompt again."""

    needs_policy = True

    def __call__(self, completions: Any, mixed: list[bool], **columns: Any) -> list[float]:
        prompts = columns["prompts"]
        self.said = columns["policy"][0].generate(prompts[:2], Sampling(4, temperature=0.0))
        return super().__call__(completions, mixed)


def test_a_teacher_and_a_judge_see_the_pictures(seer: Seer, tmp_path: Path) -> None:
    judge = Judged()
    options: dict[str, Any] = {"per_device_train_batch_size": 8, "num_generations": 4, "max_steps": 2, "beta": 0.1}
    options |= {"processing_class": seer.processor, "teacher": TeacherConfig()}
    rewards = [MajorityVoteReward(voters="teacher"), judge]
    trainer = tiny_run(GRPOTrainer, seer.folder, tmp_path, rewards, rows(), **options)
    trainer.train()
    assert [len(group) for group in judge.said] == [1, 1]
    assert all(len(texts) == 1 for texts in trainer._teacher_texts)


def test_prompts_that_are_too_long_with_their_pictures_are_dropped(seer: Seer) -> None:
    data = rows()
    asked = [prepare_multimodal_messages(row["prompt"], row["images"]) for row in data]
    lengths = [picture_inputs(seer.processor, [prompt])["input_ids"].shape[1] for prompt in asked]
    limit = sorted(lengths)[1]
    kept = drop_long_prompts(data, seer.processor, limit)
    assert kept["row"][:] == [i for i, length in enumerate(lengths) if length <= limit]
    with pytest.raises(ValueError, match="Every prompt has more than 3 tokens"):
        drop_long_prompts(data, seer.processor, 3)


def test_pictures_for_a_model_that_takes_none_are_refused(tmp_path: Path) -> None:
    rows().to_parquet(str(tmp_path / "rows.parquet"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model_name_or_path: tiny\ndataset: {tmp_path}/rows.parquet\nrewards: {{RandomReward: {{}}}}\n")
    plan = parse_recipe([str(recipe), "--use_cpu", "true", "--bf16", "false", "--report_to", "none"])
    with pytest.raises(ValueError, match=r"the column 'images', but .* takes no pictures"):
        build_trainer(plan)
