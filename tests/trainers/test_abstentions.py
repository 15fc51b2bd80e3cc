"""Rewards that abstain, and rewards that are only watched, in real trainings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import Script, scored, tiny_run

from selfrl.rewards import MajorityVoteReward
from selfrl.trainers import GRPOTrainer, RLOOTrainer

TRAINERS = [GRPOTrainer, RLOOTrainer]


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_a_watched_reward_scores_nobody(trainer_class: Any, random_model: Path, tmp_path: Path) -> None:
    options = {"reward_weights": [1.0, 0.0], "per_device_train_batch_size": 4, "max_steps": 1}
    options |= {"beta": 0.0} if trainer_class is RLOOTrainer else {}
    trainer = tiny_run(trainer_class, random_model, tmp_path, [Script([1, 1, 0, None]), Script([5.0])], **options)
    batches = scored(trainer)
    trainer.train()
    # mean 2/3 and deviation 0.577 of the three that are scored; or the mean of the other two
    expected = [0.577, 0.577, -1.155, 0] if trainer_class is GRPOTrainer else [0.5, 0.5, -1, 0]
    torch.testing.assert_close(batches[0]["advantages"], torch.tensor(expected), atol=1e-3, rtol=0)


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_what_is_watched_is_logged_as_it_is(trainer_class: Any, random_model: Path, tmp_path: Path) -> None:
    rewards = [Script([1, 0, 0, None]), Script([1.0, 2.0, 3.0, 6.0])]
    options = {"reward_weights": [1.0, 0.0], "per_device_train_batch_size": 4, "max_steps": 1}
    trainer = tiny_run(trainer_class, random_model, tmp_path, rewards, **options)
    trainer.reward_func_names = ["first", "watched"]
    trainer.train()
    row = trainer.state.log_history[0]
    assert row["rewards/watched/mean"] == pytest.approx(3.0)
    assert row["rewards/watched/std"] == pytest.approx(torch.tensor([1.0, 2.0, 3.0, 6.0]).std().item())
    assert list(trainer._logs["rewards"]["watched"]) == [1.0, 2.0, 3.0, 6.0]
    assert row["reward"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_only_abstentions_by_design_are_quiet(
    trainer_class: Any, random_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A vote without a label is normal; a function that scores nobody is a mistake that TRL warns of."""

    def warned(rewards: Any) -> bool:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            tiny_run(trainer_class, random_model, tmp_path, rewards, max_steps=1).train()
        return any("All reward functions returned None" in record.getMessage() for record in caplog.records)

    trl_logger = logging.getLogger("trl")
    propagates, trl_logger.propagate = trl_logger.propagate, True
    try:
        assert not warned(MajorityVoteReward(min_votes=4))
        assert warned(Script([None]))
        assert warned([MajorityVoteReward(min_votes=4), Script([None])])
    finally:
        trl_logger.propagate = propagates
