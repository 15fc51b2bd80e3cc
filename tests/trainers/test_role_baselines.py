"""One policy in two roles: what the loss gets, in one process and in two, and after a resume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from datasets import Dataset
from support.processes import on_two_processes
from support.runs import tiny_run

from selfrl.models import model_path
from selfrl.rewards import RandomReward
from selfrl.trainers import CurriculumConfig, GRPOTrainer, NFTTrainer, RLOOTrainer, RoleConfig

ROWS = [("Add 3 and 4.\n", "proposer"), ("Add 5 and 6.\n", "solver")]
PLANNED = {"proposer": [1.0, 1.0, 0.0, None], "solver": [0.0, 0.0, 1.0, 1.0]}


def data(count: int = 4) -> Dataset:
    return Dataset.from_list([{"prompt": text, "role": role} for text, role in ROWS] * count)


def planned(prompts: Any, role: Any, **columns: Any) -> list[float | None]:
    """The rewards of PLANNED, in the order of each role's rows of the call."""
    left = {name: iter(values * 8) for name, values in PLANNED.items()}
    return [next(left[name]) for name in role]


def spied(trainer_class: type, out: Path, reward: Any, method: str = "rae", **options: Any) -> Any:
    class Spied(trainer_class):  # type: ignore[misc, valid-type]
        seen: ClassVar[list[Any]] = []

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            self.seen.append((inputs["prompt_ids"][:, -4:].tolist(), inputs["advantages"].tolist()))
            return super()._compute_loss(model, inputs)

    Spied.seen = []
    keys = {"max_steps": 1, "shuffle_dataset": False, **options}
    return tiny_run(Spied, model_path("tiny"), out, reward, data(), roles=RoleConfig(role_method=method), **keys)


@pytest.mark.slow
@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer])
def test_each_role_has_its_own_moving_mean_taken_before_it_moves(trainer_class: type, tmp_path: Path) -> None:
    trainer = spied(trainer_class, tmp_path, planned, steps_per_generation=1, gradient_accumulation_steps=1)
    trainer.train()
    advantages = sorted(round(a, 4) for _, values in trainer.seen for a in values)
    # the sheet's 1, 1, 0 -> 1, .95, -.0975, then an abstention; and 0, 0, 1, 1 -> 0, 0, 1, .95
    assert advantages == sorted([1.0, 0.95, -0.0975, 0.0, 0.0, 0.0, 1.0, 0.95])
    assert trainer.role_means.mean("None", "proposer") == pytest.approx(0.092625)
    assert trainer.role_means.mean("None", "solver") == pytest.approx(0.0975)
    assert any("roles/None/solver" in row for row in trainer.state.log_history)


@pytest.mark.slow
def test_hierarchical_baselines_are_means_of_a_role_and_prompt_without_a_deviation(tmp_path: Path) -> None:
    trainer = spied(GRPOTrainer, tmp_path, planned, "hierarchical", steps_per_generation=1)
    trainer.train()
    advantages = sorted(round(a, 4) for _, values in trainer.seen for a in values)
    assert advantages == sorted([0.3333, 0.3333, -0.6667, 0.0, -0.5, -0.5, 0.5, 0.5])


@pytest.mark.slow
def test_a_resumed_run_equals_the_one_that_was_never_killed(tmp_path: Path) -> None:
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 1}
    whole = spied(GRPOTrainer, tmp_path / "whole", RandomReward(p=0.5), **options)
    whole.train()
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole/checkpoint-2", cut / "checkpoint-2")
    resumed = spied(GRPOTrainer, cut, RandomReward(p=0.5), **options)
    resumed.train(resume_from_checkpoint=str(cut / "checkpoint-2"))
    assert resumed.role_means.state() == whole.role_means.state()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def two_roles(out: str) -> tuple[dict[str, Any], list[float]]:
    trainer = spied(GRPOTrainer, Path(out), by_text, max_steps=2, per_device_train_batch_size=4, seed=3)
    trainer.train()
    return trainer.role_means.state(), [a for _, values in trainer.seen for a in values]


def by_text(prompts: Any, completions: Any, role: Any, **columns: Any) -> list[float]:
    """From what is asked alone: the same whatever was said, and whichever process asks."""
    return [0.75 if name == "solver" else 0.25 for name in role]


@pytest.mark.slow
def test_baselines_are_equal_on_two_processes(tmp_path: Path) -> None:
    (first, mine), (second, theirs) = on_two_processes(two_roles, str(tmp_path))
    assert first == second
    means = dict.fromkeys(("proposer", "solver"), 1 - 0.95**8)  # two steps of four rows a role
    expected = [["None", role, 0.25 * means[role] * (3 if role == "solver" else 1)] for role in means]
    assert sorted(first["means"]) == [[*key, pytest.approx(value)] for *key, value in sorted(expected)]
    assert len(mine) == len(theirs) == 8


@pytest.mark.parametrize(
    ("trainer_class", "options", "word"),
    [
        (NFTTrainer, {}, "NFT has none"),
        (GRPOTrainer, {"dynamic_sampling_rounds": 1}, "dynamic sampling"),
        (GRPOTrainer, {"curriculum": CurriculumConfig()}, "curriculum"),
        (GRPOTrainer, {"multi_objective_aggregation": "normalize_then_sum"}, "multi_objective_aggregation"),
    ],
)
def test_what_does_not_go_together_is_refused(
    trainer_class: type, options: dict[str, Any], word: str, tmp_path: Path
) -> None:
    rows = data().map(lambda row: {"task": "rotation", "stage": 0}) if "curriculum" in options else data()
    with pytest.raises(ValueError, match=word):
        tiny_run(trainer_class, "none", tmp_path, RandomReward(), rows, roles=RoleConfig(), **options)


def test_roles_need_their_column_and_a_known_method(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column 'role'"):
        tiny_run(GRPOTrainer, "none", tmp_path, RandomReward(), roles=RoleConfig())
    with pytest.raises(ValueError, match="role_method"):
        RoleConfig(role_method="mean")
    with pytest.raises(ValueError, match="decay"):
        RoleConfig(role_decay=2.0)
