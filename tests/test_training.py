"""The tiny recipe, run for real: what it leaves, a kill and a resume, two processes."""

import copy
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from selfrl.checkpoint import latest_checkpoint
from selfrl.conversation import conversation
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer
from selfrl.generation.tokens import prompt_ids
from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer, drop_long_prompts

RECIPE = "recipes/co_rewarding/tiny.yaml"
SMALL = [
    "--prompts_per_step=2",
    "--num_generations=4",
    "--per_device_train_batch_size=8",
    "--max_completion_length=12",
    "--logging_steps=1",
    "--save_steps=1",
    "--dataset_split=train[:32]",
    "--learning_rate=0.001",
]


PYTHON = (sys.executable,)
ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=1")
TWO_PROCESSES = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


def command(out: Path, *flags: str, launcher: tuple[str, ...] = PYTHON) -> list[str]:
    return [*launcher, "-m", "selfrl.cli", "train", RECIPE, *SMALL, f"--output_dir={out}", *flags]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    subprocess.run(command(straight, "--max_steps=6", launcher=ACCELERATE), check=True, timeout=240)
    with subprocess.Popen(command(killed, "--max_steps=6"), start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while latest_checkpoint(killed) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    reached = latest_checkpoint(killed)
    assert reached is not None
    assert not (killed / "model.safetensors").exists()  # killed before its end
    subprocess.run(command(killed, "--max_steps=6", "--resume_from_checkpoint=latest"), check=True, timeout=240)
    one, two = weights(straight), weights(killed)
    assert all(torch.equal(one[name], two[name]) for name in one)
    rows = [
        [(r["step"], r["reward"]) for r in read_metrics(p / "metrics.jsonl") if "reward" in r]
        for p in (straight, killed)
    ]
    assert rows[0] == rows[1]
    assert [step for step, _ in rows[0]] == [1, 2, 3, 4, 5, 6]
    table = pd.read_parquet(straight / "completions" / "completions_00006.parquet")
    assert len(table) == 2 * 2 * 4
    assert {"prompt", "completion", "ContrastiveAgreementReward", "advantage"} <= set(table.columns)


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """A group of 4 on two processes of 2 rows each: every group crosses the border."""
    flags = ["--max_steps=2", "--per_device_train_batch_size=2", "--prompts_per_step=1"]
    subprocess.run(command(tmp_path, *flags, launcher=TWO_PROCESSES), check=True, timeout=280)
    rows = [r for r in read_metrics(tmp_path / "metrics.jsonl") if "reward" in r]
    assert [r["step"] for r in rows] == [1, 2]
    assert (tmp_path / "model.safetensors").exists()


def test_an_unfinished_checkpoint_is_not_resumed_from(tmp_path: Path) -> None:
    for step, files in ((2, ["trainer_state.json", "rng_state.pth"]), (10, ["trainer_state.json"]), (11, [])):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in files:
            (folder / name).touch()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    assert latest_checkpoint(tmp_path / "nowhere") is None
    assert latest_checkpoint(tmp_path, processes=2) is None
    for rank, newest in ((0, None), (1, tmp_path / "checkpoint-10")):
        (tmp_path / "checkpoint-10" / f"rng_state_{rank}.pth").touch()
        assert latest_checkpoint(tmp_path, processes=2) == newest


def test_a_long_prompt_goes_with_its_other_view() -> None:
    rows = Dataset.from_list(
        [
            {"prompt": "Add 1 to 2.", "paraphrase": "Add 2 and 1, then subtract 0, then add 0."},
            {"prompt": "Add 3 to 2.", "paraphrase": "Add 2 to 3."},
        ]
    )
    kept = drop_long_prompts(expand_pairs(rows), build_tokenizer(), limit=8)
    assert kept["prompt"][:] == ["Add 3 to 2.", "Add 2 to 3."]
    with pytest.raises(ValueError, match="Every prompt has more than 2 tokens"):
        drop_long_prompts(expand_pairs(rows), build_tokenizer(), limit=2)


@pytest.mark.parametrize("later", [None, "Answer shortly."])
def test_a_model_without_a_chat_template_reads_a_system_prompt_as_in_evaluation(
    later: str | None, tmp_path: Path
) -> None:
    """`later` takes the place of the recipe's, as in alternation."""
    system = "Add and subtract."
    flags = [*SMALL, "--save_strategy=no", "--max_steps=2", f"--output_dir={tmp_path}", f"--system_prompt={system}"]
    trainer = build_trainer(parse_recipe([RECIPE, *flags]))
    assert trainer.processing_class.chat_template is None
    trainer.system_prompt = later
    seen, inner = set(), trainer._generate_and_score_completions

    def spied(inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = inner(inputs)
        rows = zip(output["prompt_ids"], output["prompt_mask"].bool(), strict=True)
        seen.update(tuple(ids[mask].tolist()) for ids, mask in rows)
        return output

    trainer._generate_and_score_completions = spied
    trainer.train()
    problems = tiny_problems("train", 32)
    evaluated = {
        tuple(prompt_ids(trainer.processing_class, conversation(later or system, question)))
        for question in [*problems["prompt"], *problems["paraphrase"]]
    }
    assert len(seen) == 2 * 2 * 2  # steps x pairs x views
    assert seen <= evaluated


def test_long_prompts_are_measured_with_their_system_prompt() -> None:
    rows = Dataset.from_list([{"prompt": conversation("Add 1 to 2.", f"Add {n} to 2.")} for n in ("3", "3 and 4")])
    assert len(drop_long_prompts(rows, build_tokenizer(), limit=14)) == 1


def test_a_plan_stays_as_it_is_while_trainers_are_built_from_it(tmp_path: Path) -> None:
    flags = [*SMALL, "--save_strategy=no", "--max_steps=1", f"--output_dir={tmp_path}"]
    plan = parse_recipe([RECIPE, *flags])
    parts = (plan.recipe, plan.config, plan.model)
    before = copy.deepcopy([dataclasses.asdict(part) for part in parts])
    first = build_trainer(plan)
    first.train()
    assert [dataclasses.asdict(part) for part in parts] == before
    assert build_trainer(plan).args is not first.args
