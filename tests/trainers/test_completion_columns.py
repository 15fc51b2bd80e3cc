"""Key and label of every completion in TRL's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.processes import on_two_processes
from support.runs import Script, tiny_run

from selfrl.answers import canonical_key, extract, vote
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import ContrastiveAgreementReward, MajorityVoteReward
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer

LOGGED = {"log_completions": True, "num_completions_to_print": 0, "max_completion_length": 40}


def tables(out: Path) -> list[pd.DataFrame]:
    return [pd.read_parquet(file) for file in sorted((out / "completions").glob("*.parquet"))]


def check(table: pd.DataFrame) -> None:
    """Each row's key is that of its own text, and its label that of its group."""
    assert len(table) == 8
    for _, group in table.groupby("prompt"):
        keys = [None if (said := extract(text)) is None else canonical_key(said) for text in group["completion"]]
        assert [None if pd.isna(key) else key for key in group["key"]] == keys
        assert {None if pd.isna(label) else label for label in group["label"]} == {vote(keys)}
        for key, label, reward in zip(group["key"], group["label"], group["MajorityVoteReward"], strict=True):
            assert pd.isna(label) or reward == float(key == label)
    assert table["key"].notna().any()


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer, NFTTrainer])
def test_every_trainer_writes_them_also_after_a_resume(trainer_class: Any, tmp_path: Path) -> None:
    def trainer(**options: Any) -> Any:
        options = {**LOGGED, "max_steps": 3, "save_strategy": "steps", "save_steps": 2, **options}
        return tiny_run(trainer_class, TINY_MODEL, tmp_path, MajorityVoteReward(), **options)

    trainer().train()
    whole = tables(tmp_path)
    assert len(whole) == 3
    list(map(check, whole))
    for file in (tmp_path / "completions").glob("*.parquet"):
        file.unlink()
    trainer().train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    (last,) = tables(tmp_path)
    pd.testing.assert_frame_equal(last, whole[-1])


def test_they_stay_in_line_with_evaluations_and_new_prompts(tmp_path: Path) -> None:
    options = {**LOGGED, "eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 8, "max_steps": 2}
    options |= {"dynamic_sampling_rounds": 1, "eval_dataset": tiny_problems("heldout", 4)}
    tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, MajorityVoteReward(), **options).train()
    assert len(tables(tmp_path)) >= 2
    list(map(check, tables(tmp_path)))


def test_a_run_that_votes_on_nothing_and_one_that_logs_none(tmp_path: Path) -> None:
    tiny_run(GRPOTrainer, TINY_MODEL, tmp_path / "a", Script([1, 0]), **LOGGED).train()
    assert all(table[["key", "label"]].isna().all(axis=None) for table in tables(tmp_path / "a"))
    silent = tiny_run(
        GRPOTrainer, TINY_MODEL, tmp_path / "b", MajorityVoteReward(), **{**LOGGED, "log_completions": False}
    )
    silent.train()
    assert not {"key", "label"} & set(silent._logs["extra"])
    assert not (tmp_path / "b" / "completions").exists()


def test_a_pairs_label_is_the_other_views(tmp_path: Path) -> None:
    pairs = expand_pairs(tiny_problems("train", 8))
    options = {**LOGGED, "max_steps": 1, "per_device_train_batch_size": 16}
    tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, ContrastiveAgreementReward(), pairs, **options).train()
    (table,) = tables(tmp_path)
    rows = table.iterrows()
    assert all(
        pd.isna(row["label"]) or row["ContrastiveAgreementReward"] == (row["key"] == row["label"]) for _, row in rows
    )
    assert table["label"].notna().any()


class OwnColumn(MajorityVoteReward):
    """Logs a column of its own under the name of ours."""

    def __call__(self, *args: Any, log_extra: Any = None, **columns: Any) -> list[float | None]:
        rewards = super().__call__(*args, **columns)
        log_extra("label", ["mine"] * len(rewards))
        return rewards


def test_a_rewards_own_column_of_that_name_stays(tmp_path: Path) -> None:
    tiny_run(GRPOTrainer, TINY_MODEL, tmp_path, OwnColumn(), max_steps=1, **LOGGED).train()
    (table,) = tables(tmp_path)
    assert set(table["label"]) == {"mine"}
    assert table["key"].notna().any()


def two(out: str) -> None:
    """Half of each batch's rows; run by [`on_two_processes`]."""
    options = {**LOGGED, "max_steps": 1, "per_device_train_batch_size": 4}
    tiny_run(GRPOTrainer, TINY_MODEL, Path(out), MajorityVoteReward(), **options).train()


@pytest.mark.slow
def test_two_processes_write_each_its_own(tmp_path: Path) -> None:
    on_two_processes(two, str(tmp_path))
    (table,) = tables(tmp_path)
    check(table)
