"""Difficulty x dispersion: the sheet's numbers, then what training makes of them."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from support.processes import on_two_processes
from support.runs import nft, scored, tiny_run

from selfrl.checkpoint import latest_checkpoint
from selfrl.conversation import row_id
from selfrl.rewards import PretextReward, RandomReward
from selfrl.trainers import CurriculumConfig, GRPOTrainer
from selfrl.trainers.group_weights import Stages, difficulty, dispersion, group_weight
from selfrl.trainers.stage_sampler import StageSampler

ANSWERS = st.lists(st.sampled_from(["0", "90", "180", "270", None]), min_size=1, max_size=16)


def test_the_sheets_numbers() -> None:
    spread = ["90"] * 4 + ["0"] * 2 + ["180", "270"]
    assert difficulty(0.5) == 1
    assert dispersion(spread, 4) == pytest.approx(0.875)
    assert group_weight(0.5, spread, 4) == pytest.approx(0.875)
    assert group_weight(0.5, ["90"] * 4 + ["0"] * 4, 4) == pytest.approx(0.5)
    assert group_weight(1.0, ["90"] * 8, 4) == 0.05


def test_spread_is_measured_by_the_smaller_of_group_and_answers() -> None:
    assert dispersion(["1,2,3", "1,3,2"], 6) == pytest.approx(1.0)
    assert dispersion(["a", "b", "c", "d"] * 2, 24) == pytest.approx(math.log(4) / math.log(8))
    assert dispersion(["90", None, None, None], 4) == 0.0
    assert dispersion(["90"], 4) == 0.0


@given(ANSWERS, st.floats(0, 1))
def test_a_weight_is_from_the_floor_to_one_and_not_of_an_order(answers: list[str | None], rate: float) -> None:
    weight = group_weight(rate, answers, 4)
    assert 0.05 <= weight <= 1 + 1e-9
    assert weight == pytest.approx(group_weight(rate, answers[::-1], 4))
    assert weight == pytest.approx(group_weight(1 - rate, answers, 4))


def test_stages_go_up_and_down_by_the_last_hundred_groups() -> None:
    stages = Stages({"rotation": 2, "jigsaw": 1})
    for i in range(99):
        assert not stages.add("rotation", 0.81, 0.25, drawn=i)
    assert stages.add("rotation", 0.81, 0.25, drawn=640)
    assert stages.now == {"rotation": 1, "jigsaw": 0}
    assert stages.recent["rotation"] == []  # what another stage gave decides nothing
    for _ in range(99):
        stages.add("rotation", 0.15, 1 / 8, drawn=700)
    assert stages.add("rotation", 0.15, 1 / 8, drawn=960)  # below 1.3 / 8
    assert [stages.at(drawn)["rotation"] for drawn in (0, 639, 640, 959, 960)] == [0, 0, 1, 1, 0]
    for _ in range(300):
        assert not stages.add("jigsaw", 0.5, 0.5, drawn=2000)  # the easiest has nothing below it
    assert not any(stages.add("rotation", 0.8, 0.25, drawn=2000) for _ in range(300))  # not above 0.8


def test_stages_are_kept() -> None:
    stages = Stages({"rotation": 2}, window=2)
    stages.add("rotation", 0.9, 0.25, 8)
    stages.add("rotation", 0.9, 0.25, 16)
    stages.add("rotation", 0.3, 0.25, 24)
    again = Stages({"rotation": 2}, window=2)
    again.load(stages.state())
    assert (again.changes, again.recent) == (stages.changes, stages.recent)


def test_only_rows_of_the_stage_are_drawn_all_of_them_before_any_again() -> None:
    rows = [("rotation", i % 3) for i in range(30)] + [("jigsaw", 0)] * 6
    sampler = StageSampler(rows, lambda drawn: {"rotation": 1, "jigsaw": 0}, group_size=2, batch_size=4, repeat_count=3)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 9 * 4 * 2 * 3
    assert {rows[i] for i in drawn} == {("rotation", 1), ("jigsaw", 0)}
    first = drawn[:8]
    assert drawn[8:24] == first * 2  # a batch is given three times
    assert first[::2] == first[1::2]
    once = [row for batch in range(4) for row in drawn[batch * 24 : batch * 24 + 8 : 2]]
    assert len(set(once)) == 16  # of the 16 rows of these stages


def test_what_is_drawn_follows_from_the_number_drawn_before() -> None:
    rows = [("rotation", i % 2) for i in range(40)]

    def drawn(epoch: int, changed_at: int) -> list[int]:
        sampler = StageSampler(rows, lambda n: {"rotation": int(n >= changed_at)}, 1, batch_size=4)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert drawn(0, 20)[:20] == drawn(0, 99)[:20]
    assert {rows[i][1] for i in drawn(0, 20)[20:]} == {1}
    assert {rows[i][1] for i in drawn(1, 20)} == {1}
    assert drawn(1, 99) != drawn(0, 99)


def test_a_stage_without_rows_is_refused() -> None:
    sampler = StageSampler([("rotation", 0)] * 4, lambda drawn: {"rotation": 1}, 2, batch_size=2)
    with pytest.raises(ValueError, match="No row of the data set is at the stages"):
        list(sampler)
    with pytest.raises(ValueError, match="the data set only 1"):
        StageSampler([("rotation", 0)], lambda drawn: {}, 2, batch_size=2)


class Told(PretextReward):
    """Rewards and answers that are known beforehand: of stage 0 three of four are right."""

    def __call__(
        self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any
    ) -> list[float | None]:
        said = ["90", "0", "90", "90"] if columns["stage"][0] == 0 else ["0", "0", "180", "270"]
        completions = [f"<answer>{said[i % 4]}</answer>" for i in range(len(completions))]
        return super().__call__(prompts, completions, completion_ids, **columns)


def data(count: int = 16) -> Dataset:
    task = '{"task": "rotation"}'
    rows = [{"prompt": f"Add {i} and 4.", "answer": "90", "task": task, "stage": i % 2} for i in range(count)]
    return Dataset.from_list(rows)


def test_advantages_are_multiplied_by_their_groups_weights(random_model: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 4, "scale_rewards": "none"}
    options |= {"max_steps": 3, "shuffle_dataset": False}
    curriculum = CurriculumConfig()
    trainer = tiny_run(GRPOTrainer, random_model, tmp_path, Told(), data(), curriculum=curriculum, **options)
    batches = scored(trainer)
    trainer.train()
    mixed, wrong = ["90", "0", "90", "90"], ["0", "0", "180", "270"]
    of_mixed = torch.tensor([0.25, -0.75, 0.25, 0.25]) * group_weight(0.75, mixed, 4)
    expected = [of_mixed, torch.zeros(4) * group_weight(0.0, wrong, 4), of_mixed]
    for batch, advantages in zip(batches, expected, strict=True):
        torch.testing.assert_close(batch["advantages"].sort().values, advantages.sort().values)
    assert trainer._weights[row_id(data()[0])] == pytest.approx(0.75 * dispersion(mixed, 4))
    assert trainer._weights[row_id(data()[1])] == 0.05


def test_a_weight_remembers_earlier_visits(random_model: Path, tmp_path: Path) -> None:
    class Better(Told):
        calls = 0

        def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
            Better.calls += 1
            said = ["90", "0", "180", "270"] if Better.calls == 1 else ["90"] * 4
            made = [f"<answer>{said[i % 4]}</answer>" for i in range(len(completions))]
            return PretextReward.__call__(self, prompts, made, completion_ids, **columns)

    options: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 4, "max_steps": 2}
    trainer = tiny_run(GRPOTrainer, random_model, tmp_path, Better(), data(1), curriculum=CurriculumConfig(), **options)
    trainer.train()
    assert list(trainer._weights.values()) == [pytest.approx(0.7 * 0.75 + 0.3 * 0.05)]


def staged(model: Path, out: Path, steps: int = 12) -> Any:
    curriculum = CurriculumConfig(curriculum_stages=True, curriculum_window=3, curriculum_up=0.7, curriculum_down=0.5)
    options: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 8, "max_steps": steps}
    options |= {"save_strategy": "steps", "save_steps": 1}
    return tiny_run(GRPOTrainer, model, out, Told(), data(), curriculum=curriculum, **options)


def test_tasks_move_through_their_stages_and_a_resumed_run_with_them(random_model: Path, tmp_path: Path) -> None:
    whole = staged(random_model, tmp_path / "whole")
    batches = scored(whole)
    whole.train()
    assert len(batches) == 12
    moves = [stages["rotation"] for _, stages in whole.stages.changes]
    assert moves[:4] == [0, 1, 0, 1]  # .75 of stage 0 are right, none of stage 1
    logged = [row["curriculum/rotation/stage"] for row in whole.state.log_history if "curriculum/rotation/stage" in row]
    assert {0, 1} <= set(logged)
    for step in (3, 5, 8):
        out = tmp_path / f"killed{step}"
        shutil.copytree(tmp_path / "whole" / f"checkpoint-{step}", out / f"checkpoint-{step}")
        resumed = staged(random_model, out)
        resumed.train(resume_from_checkpoint=str(latest_checkpoint(out)))
        assert resumed.stages.changes == whole.stages.changes
        assert resumed._weights == whole._weights
        for (name, p), (_, q) in zip(resumed.model.named_parameters(), whole.model.named_parameters(), strict=True):
            assert torch.equal(p, q), f"{name} after a kill at {step}"


def test_prompts_that_take_anothers_place_are_of_the_stage(random_model: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    class Watching(Told):
        def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
            seen.extend(columns["stage"])
            said = ["90" if stage else "0" for stage in columns["stage"]]  # none teaches, so others are drawn
            made = [f"<answer>{s}</answer>" for s in said]
            return PretextReward.__call__(self, prompts, made, completion_ids, **columns)

    curriculum = CurriculumConfig(curriculum_stages=True)
    options: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 8, "dynamic_sampling_rounds": 2}
    tiny_run(
        GRPOTrainer, random_model, tmp_path, Watching(), data(), curriculum=curriculum, max_steps=1, **options
    ).train()
    assert len(seen) > 8
    assert set(seen) == {0}


def stages_of_two(model: str, out: str) -> Any:
    """A run of two processes; run by [`on_two_processes`]."""
    torch.manual_seed(0)
    curriculum = CurriculumConfig(curriculum_stages=True, curriculum_window=3, curriculum_up=0.7, curriculum_down=0.5)
    options: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 4, "max_steps": 8}
    trainer = tiny_run(GRPOTrainer, model, Path(out), Told(), data(), curriculum=curriculum, **options)
    trainer.train()
    assert trainer.stages is not None
    return trainer.stages.changes, trainer._weights


def test_two_processes_are_at_one_stage(random_model: Path, tmp_path: Path) -> None:
    first, second = on_two_processes(stages_of_two, str(random_model), str(tmp_path))
    assert first == second
    assert len(first[0]) > 2


def test_what_a_curriculum_cannot_work_with_is_refused(random_model: Path, tmp_path: Path) -> None:
    plain = Dataset.from_dict({"prompt": ["Add 3 and 4."], "answer": ["7"]})
    with pytest.raises(ValueError, match="A curriculum needs the column 'task'"):
        tiny_run(GRPOTrainer, random_model, tmp_path, RandomReward(), plain, curriculum=CurriculumConfig())
    with pytest.raises(ValueError, match="NFT has none"):
        nft(random_model, tmp_path, Told(), data(), curriculum=CurriculumConfig())
    with pytest.raises(ValueError, match="curriculum_memory is 1"):
        CurriculumConfig(curriculum_memory=1.0)
