"""Every reward inside TRL's own, unmodified trainers."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import trl
from support.runs import tiny_run

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import (
    AccuracyReward,
    ContrastiveAgreementReward,
    FormatReward,
    MajorityVoteReward,
    RandomReward,
    SemanticEntropyReward,
)

OPTIONS: dict[str, Any] = {"per_device_train_batch_size": 16, "max_completion_length": 40}


@pytest.mark.parametrize("trainer_class", [trl.GRPOTrainer, trl.RLOOTrainer])
def test_all_rewards_train_together(trainer_class: Any, tmp_path: Path) -> None:
    rewards = [
        MajorityVoteReward(),
        ContrastiveAgreementReward(),
        SemanticEntropyReward(),
        AccuracyReward(),
        FormatReward(),
        RandomReward(),
    ]
    options = {**OPTIONS, "shuffle_dataset": False, "log_completions": True, "num_completions_to_print": 0}
    trainer = tiny_run(trainer_class, TINY_MODEL, tmp_path, rewards, expand_pairs(tiny_problems("train", 8)), **options)
    trainer.train()
    rows = [row for row in trainer.state.log_history if "reward" in row]
    assert len(rows) == 2
    for reward in rewards:
        means = [row[f"rewards/{reward.__name__}/mean"] for row in rows]
        assert all(0 <= mean <= 1 for mean in means if mean is not None and not math.isnan(mean))
    assert 0 < rows[0]["MajorityVoteReward/majority_ratio"] <= 1
    assert 0 <= rows[0]["ContrastiveAgreementReward/cross_view_agreement"] <= 1
    if trainer_class is trl.RLOOTrainer:
        return  # it writes no table
    table = pd.read_parquet(tmp_path / "completions" / "completions_00002.parquet")
    assert {"MajorityVoteReward/answer", "ContrastiveAgreementReward/answer"} <= set(table.columns)
    assert len(table) == 16


def test_shuffled_views_end_in_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    rows = expand_pairs(tiny_problems("train", 64))
    trainer = tiny_run(trl.GRPOTrainer, TINY_MODEL, tmp_path, ContrastiveAgreementReward(), rows, **OPTIONS)
    with pytest.raises(ValueError, match=r"only one view in this batch: train with selfrl\.trainers\.GRPOTrainer"):
        trainer.train()
