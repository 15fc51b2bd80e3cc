"""The optimised prompt in training: as the system prompt, alternating with optimisation, killed and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from scripted import Scripted, task
from three_roles import CHAT_TEMPLATE, EVALUATE, OPTIMIZE, TASK
from transformers import AutoTokenizer

from selfrl.cli import main
from selfrl.models import TINY_MODEL
from selfrl.monitor.metrics_file import read_metrics
from selfrl.prompting import PromptOptimizer, Role, Settings, read_run
from selfrl.prompting.alternation import PromptAlternation
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer, run

RECIPE = """
model_name_or_path: {model}
dataset: tiny
dataset_split: train[:16]
output_dir: {out}
rewards: {{RandomReward: {{}}}}
prompts_per_step: 2
num_generations: 4
per_device_train_batch_size: 8
max_completion_length: 8
learning_rate: 0.001
max_steps: 4
save_steps: 1
logging_steps: 1
use_cpu: true
bf16: false
report_to: none
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with a chat template."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(TINY_MODEL, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def start(tmp_path: Path, model: Path) -> Path:
    """A run of `selfrl optimize` with short templates, in which the model plays all roles (and writes no prompt)."""
    (tmp_path / "words.yaml").write_text(TASK)
    (tmp_path / "o.j2").write_text(OPTIMIZE)
    (tmp_path / "e.j2").write_text(EVALUATE)
    flags = [
        "--model",
        str(model),
        "--rounds",
        "1",
        "--samples",
        "2",
        "--max-tokens",
        "4",
        "--out",
        str(tmp_path / "spo"),
    ]
    templates = ["--optimizer-template", str(tmp_path / "o.j2"), "--evaluator-template", str(tmp_path / "e.j2")]
    assert main(["optimize", str(tmp_path / "words.yaml"), *flags, *templates]) == 0
    return tmp_path / "spo"


def recipe(tmp_path: Path, model: Path, out: str, *flags: str) -> Any:
    path = tmp_path / f"{out}.yaml"
    path.write_text(RECIPE.format(model=model, out=tmp_path / out))
    return parse_recipe([str(path), *flags])


class Turns(Scripted):
    """Plays optimiser and evaluator by rule, and leaves the executor to the policy: the newest prompt is the best."""

    def reply(self, role: str, prompt: Any) -> str:
        if role == "evaluator":
            return "A" if self.counts()["evaluator"] % 2 == 0 else "B"  # the new prompt, which is shown second first
        return super().reply(role, prompt)


def test_the_optimised_prompt_is_the_system_prompt(start: Path, tmp_path: Path, model: Path) -> None:
    plan = recipe(tmp_path, model, "plain", f"--prompt={start}", "--max_steps=1")
    assert plan.system_prompt == "Say a odd word."
    trainer = build_trainer(plan)
    assert trainer.train_dataset["prompt"][0][0] == {"role": "system", "content": "Say a odd word."}
    assert trainer.system_prompt is None


@pytest.mark.slow
def test_optimisation_alternates_with_training_and_survives_a_kill(
    start: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = (f"--prompt={start}", "--prompt_every=2", "--prompt_rounds=2")

    def train(out: str, *more: str, stop: int | None = None) -> list[str]:
        """Trains with scripted optimiser and evaluator; returns the system prompts that rollouts were made under."""
        trainer = build_trainer(recipe(tmp_path, model, out, *flags, *more))
        alternation = next(c for c in trainer.callback_handler.callbacks if isinstance(c, PromptAlternation))
        scripted = Role(Turns(["quality 7"]), name={"model": "scripted"})
        alternation._opened = {"optimizer": scripted, "evaluator": scripted}
        seen, inner = [], trainer._generate

        def generate(prompts: Any) -> Any:
            seen.append(prompts[0][0]["content"])
            if stop is not None and len(seen) > stop:
                raise KeyboardInterrupt
            return inner(prompts)

        trainer._generate = generate
        run(trainer)
        return seen

    assert train("whole") == ["Say a odd word."] * 2 + ["quality 7"] * 2
    with pytest.raises(KeyboardInterrupt):
        train("killed", stop=3)
    assert (tmp_path / "killed" / "checkpoint-2" / "system_prompt.txt").read_text() == "quality 7"
    assert train("killed", "--resume_from_checkpoint=latest") == ["quality 7"]
    one, two = (load_file(tmp_path / out / "model.safetensors") for out in ("whole", "killed"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (tmp_path / "whole" / "system_prompt.txt").read_text() == "quality 7"
    found = read_run(tmp_path / "whole" / "prompts" / "step-2")
    assert found.initial_prompt == "Say a odd word."
    assert found.begun["roles"]["executor"]["model"] == "the policy"
    assert found.begun["templates"] == {"optimize": OPTIMIZE, "evaluate": EVALUATE}
    assert found.rounds[0].answers is not None
    assert all(answer is not None for answer in found.rounds[0].answers)
    assert not (tmp_path / "whole" / "prompts" / "step-4").exists()  # nothing is trained after the last step
    logged = [row for row in read_metrics(tmp_path / "whole" / "metrics.jsonl") if "prompt/changed" in row]
    assert [(row["step"], row["prompt/changed"], row["prompt/failed"]) for row in logged] == [(2, 1.0, 0.0)]


@pytest.mark.slow
def test_the_policy_plays_all_roles_that_it_played(start: Path, tmp_path: Path, model: Path) -> None:
    """It writes no prompt, so the one in use stays; the calls were made."""
    trainer = build_trainer(
        recipe(tmp_path, model, "self", f"--prompt={start}", "--prompt_every=3", "--prompt_rounds=2")
    )
    run(trainer)
    found = read_run(tmp_path / "self" / "prompts" / "step-3")
    assert [r.outcome for r in found.rounds] == ["start", "no prompt"]
    assert {role["model"] for role in found.begun["roles"].values()} == {"the policy"}
    assert trainer.system_prompt == "Say a odd word."
    assert json.loads((tmp_path / "self" / "prompts" / "step-3" / "results.json").read_text())["done"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prompt=nowhere"], "nowhere does not exist"),
        (["--prompt_every=2"], "`prompt_every` needs `prompt`"),
        (["--prompt={start}", "--system_prompt=x"], "Both `prompt` and `system_prompt`"),
        (["--prompt={start}", "--prompt_every=0"], "prompt_every is 0"),
        (["--prompt={start}", "--prompt_every=2", "--prompt_rounds=1"], "prompt_rounds 1"),
        (["--prompt={start}/../o.j2", "--prompt_every=2"], r"holds no results\.json"),
    ],
)
def test_bad_keys_are_refused(start: Path, tmp_path: Path, model: Path, flags: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(tmp_path, model, "bad", *(flag.format(start=start) for flag in flags))


def test_a_run_with_generators_in_memory_cannot_alternate(tmp_path: Path) -> None:
    role = Role(Scripted())
    job = PromptOptimizer(task(), tmp_path, optimizer=role, executor=role, evaluator=role, settings=Settings(rounds=1))
    job.run()
    with pytest.raises(ValueError, match="generators in memory"):
        PromptAlternation(str(tmp_path), every=1, rounds=2)
