"""What the policy still thinks of completions that it wrote at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import tiny_run

from selfrl.models import TINY_MODEL
from selfrl.monitor.guard import CollapseGuard
from selfrl.monitor.watch import Diagnostics
from selfrl.rewards import MajorityVoteReward, SelfCertaintyReward
from selfrl.signals import effective_rank
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer
from selfrl.trainers.anchors import COUNT, EVERY, Anchor

OPTIONS: dict[str, Any] = {"per_device_train_batch_size": 32, "max_completion_length": 40, "max_steps": 5}


def trained(trainer_class: Any, out: Path, reward: Any = None, **options: Any) -> Any:
    callbacks = options.pop("callbacks", [Diagnostics()])
    trainer = tiny_run(
        trainer_class, TINY_MODEL, out, reward or MajorityVoteReward(), callbacks=callbacks, **{**OPTIONS, **options}
    )
    trainer.train()
    return trainer


def rows(trainer: Any) -> list[dict[str, float]]:
    return [row for row in trainer.state.log_history if "anchors/log_prob" in row]


@torch.no_grad()
def scored_alone(model: Any, anchor: Anchor) -> tuple[float, float, torch.Tensor]:
    """Log-probability, entropy and last state of one completion, by transformers, without padding."""
    ids = torch.tensor([[*anchor.prompt, *anchor.completion]])
    output = model(ids, output_hidden_states=True)
    logits_TV = output.logits[0, len(anchor.prompt) - 1 : -1].double()
    logps_TV = logits_TV.log_softmax(-1)
    chosen = torch.tensor(anchor.completion)
    entropy = -(logps_TV.exp() * logps_TV).sum(-1).mean().item()
    return logps_TV.gather(1, chosen[:, None]).mean().item(), entropy, output.hidden_states[-1][0, -1]


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, RLOOTrainer, NFTTrainer])
def test_figures_are_those_of_the_policy_on_its_first_agreed_completions(trainer_class: Any, tmp_path: Path) -> None:
    trainer = trained(trainer_class, tmp_path, max_steps=2, per_device_train_batch_size=8, steps_per_generation=4)
    assert 4 <= len(trainer._anchors) <= COUNT
    # as the policy is now: the last measurement was before the last step
    scores = trainer._score_anchors(trainer._anchors)
    for anchor, score in zip(trainer._anchors, scores, strict=True):
        log_prob, entropy, state = scored_alone(trainer.model, anchor)
        assert score.log_prob == pytest.approx(log_prob, abs=1e-4)
        assert score.entropy == pytest.approx(entropy, abs=1e-4)
        torch.testing.assert_close(score.state, state, atol=1e-3, rtol=1e-3)
    assert trainer._anchor_figures()["effective_rank"] == pytest.approx(
        effective_rank(torch.stack([score.state for score in scores]))
    )


def test_they_are_measured_every_few_steps_and_compared_with_the_start(tmp_path: Path) -> None:
    trainer = trained(GRPOTrainer, tmp_path, max_steps=11)
    steps = [row["step"] for row in rows(trainer)]
    assert steps == list(range(steps[0], 12, EVERY))
    assert steps[0] > trainer._anchor_batches  # not before all are there
    start = sum(anchor.log_prob for anchor in trainer._anchors) / len(trainer._anchors)
    likeliest = start
    for row in rows(trainer):
        likeliest = max(likeliest, row["anchors/log_prob"])
        assert row["anchors/log_ratio"] == pytest.approx(row["anchors/log_prob"] - start, abs=1e-6)
        assert row["anchors/lost"] == pytest.approx((likeliest - row["anchors/log_prob"]) / max(-start, 0.01), abs=1e-4)


def test_without_learning_nothing_is_lost(tmp_path: Path) -> None:
    trainer = trained(GRPOTrainer, tmp_path, learning_rate=1e-12, max_steps=11)
    assert rows(trainer)
    assert all(abs(row["anchors/log_ratio"]) < 1e-5 and row["anchors/lost"] < 1e-3 for row in rows(trainer))


def test_a_policy_that_unlearns_loses_them_and_the_guard_hears_it(tmp_path: Path) -> None:
    guard = CollapseGuard("stop")
    trainer = trained(GRPOTrainer, tmp_path, SelfCertaintyReward(), callbacks=[guard], max_steps=24, learning_rate=1e-3)
    assert [alarm.figures for alarm in guard.alarms] == [("anchors/lost",)]
    assert trainer.state.global_step < 24
    assert rows(trainer)[-1]["anchors/lost"] > 0.15


def test_nobody_asks_nothing_is_kept(tmp_path: Path) -> None:
    trainer = trained(GRPOTrainer, tmp_path, callbacks=[], max_steps=3)
    assert not trainer._anchors
    assert not rows(trainer)


def test_a_resumed_run_keeps_its_anchors(tmp_path: Path) -> None:
    options = {**OPTIONS, "max_steps": 6, "per_device_train_batch_size": 64}
    whole = trained(GRPOTrainer, tmp_path / "whole", save_strategy="steps", save_steps=3, **options)
    again = tiny_run(
        GRPOTrainer, TINY_MODEL, tmp_path / "again", MajorityVoteReward(), callbacks=[Diagnostics()], **options
    )
    again.train(resume_from_checkpoint=str(tmp_path / "whole/checkpoint-3"))
    assert again._anchors == whole._anchors
    expected, found = (figures_after(3, trainer) for trainer in (whole, again))
    assert found == expected
    assert any("anchors/lost" in row for row in found)


def figures_after(step: int, trainer: Any) -> list[dict[str, float]]:
    names = ("anchors/log_prob", "anchors/lost", "groups/flip_rate", "groups/competed")
    return [{n: row[n] for n in names if n in row} for row in trainer.state.log_history if row["step"] > step]
