"""What a run leaves beside its metrics: records of its batches, and how it was started."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.processes import on_two_processes
from support.runs import tiny_run
from transformers import TrainerControl, TrainerState, TrainingArguments

from selfrl.group_record import GroupRecord
from selfrl.models import TINY_MODEL
from selfrl.monitor.records_file import RecordsFile, SeenPrompt, read_records
from selfrl.monitor.run_file import RunFile, read_run
from selfrl.recipe import plan_of
from selfrl.rewards import MajorityVoteReward
from selfrl.trainers import GRPOTrainer
from selfrl.training import build_trainer


def record(step: int, label: str | None, rewards: Sequence[float | None] = (1.0, 0.0)) -> GroupRecord:
    return GroupRecord("a", step, ("4", "5"), label, None, tuple(rewards), (3, 3), (False, False))


def begun(callback: Any, folder: Path, step: int, main: bool = True) -> None:
    state = TrainerState(global_step=step, is_world_process_zero=main, max_steps=9)
    callback.on_train_begin(TrainingArguments(str(folder), use_cpu=True), state, TrainerControl())


def test_a_resumed_run_scores_the_batches_past_its_checkpoint_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    callback = RecordsFile()
    assert callback.hear([record(0, "4")]) == {}  # outside a training
    assert not path.exists()
    begun(callback, tmp_path, 0)
    for step in range(4):
        callback.hear([record(step, "4"), record(step, None, (None, None))])
    seen = [SeenPrompt("a", "4", None, 0.5, 0.5), SeenPrompt("a", None, None, 0.5, None)]
    assert read_records(path) == [(step, seen) for step in range(4)]
    with path.open("a") as file:
        file.write('{"step":4,"prom')  # a kill
    assert len(read_records(path)) == 4
    begun(RecordsFile(), tmp_path, 2)
    assert read_records(path) == [(step, seen) for step in range(2)]
    begun(RecordsFile(), tmp_path, 0)
    assert read_records(path) == []


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    for callback in (RecordsFile(), RunFile({"seed": 1})):
        begun(callback, tmp_path / "none", 0, main=False)
    other = RecordsFile()
    begun(other, tmp_path / "none", 0, main=False)
    other.hear([record(0, "4")])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("steps_per_generation", [1, 2])
def test_the_records_of_a_resumed_run_are_those_of_the_whole_one(steps_per_generation: int, tmp_path: Path) -> None:
    """Step 3 is the first of a batch of rollouts, or within one."""
    out = tmp_path / "out"

    def trainer() -> Any:
        options = {"max_steps": 5, "save_strategy": "steps", "save_steps": 3, "max_completion_length": 40}
        options |= {"steps_per_generation": steps_per_generation, "callbacks": [RecordsFile()]}
        return tiny_run(GRPOTrainer, TINY_MODEL, out, MajorityVoteReward(), **options)

    trainer().train()
    whole = (out / "records.jsonl").read_text()
    assert [step for step, _ in read_records(out / "records.jsonl")] == list(range(0, 5, steps_per_generation))
    trainer().train(resume_from_checkpoint=str(out / "checkpoint-3"))
    assert (out / "records.jsonl").read_text() == whole


def records_by_this_process(out: str) -> None:
    options = {"max_steps": 2, "max_completion_length": 40, "callbacks": [RecordsFile()]}
    tiny_run(GRPOTrainer, TINY_MODEL, Path(out), MajorityVoteReward(), **options).train()


@pytest.mark.slow
def test_two_processes_write_one_line_a_batch(tmp_path: Path) -> None:
    on_two_processes(records_by_this_process, str(tmp_path))
    found = read_records(tmp_path / "records.jsonl")
    assert [(step, len(prompts)) for step, prompts in found] == [(0, 4), (1, 4)]


def test_the_time_of_the_first_start_is_kept_and_no_secret_is(tmp_path: Path) -> None:
    recipe = {"seed": 3, "hub_token": "hf_secret", "rewards": {"PairwiseSelfReward": {"judge": {"api_key": "k"}}}}
    begun(RunFile(recipe), tmp_path, 0)
    path = tmp_path / "run.json"
    first = read_run(path)
    assert first["recipe"] == {"seed": 3, "rewards": {"PairwiseSelfReward": {"judge": {}}}}
    assert {"selfrl", "torch", "transformers", "trl"} <= set(first["versions"])
    assert first["max_steps"] == 9
    path.write_text(json.dumps({**first, "started": "before"}))
    begun(RunFile({"seed": 4}), tmp_path, 2)
    assert (read_run(path)["started"], read_run(path)["recipe"]) == ("before", {"seed": 4})
    begun(RunFile({"seed": 4}), tmp_path, 0)
    assert read_run(path)["started"] != "before"
    assert read_run(tmp_path / "nowhere.json") == {}


def test_a_trained_recipe_is_written_down_with_its_preset_and_its_flags(tmp_path: Path) -> None:
    keys = {"preset": "ttrl", "model_name_or_path": "tiny", "dataset": "tiny", "dataset_split": "train[:64]"}
    keys |= {"num_generations": 4, "num_generations_train": 4, "per_device_train_batch_size": 8, "max_steps": 1}
    keys |= {"max_completion_length": 8, "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
    keys |= {
        "prompts_per_step": 2,
        "gradient_checkpointing": False,
        "output_dir": str(tmp_path),
        "max_prompt_tokens": None,
    }
    build_trainer(plan_of(keys, "here")).train()
    recipe = read_run(tmp_path / "run.json")["recipe"]
    assert recipe.items() >= keys.items()
    assert "rewards" in recipe  # the preset's
    assert len(read_records(tmp_path / "records.jsonl")) == 1
