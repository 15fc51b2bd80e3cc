"""Under FSDP2, on two processes: fewer columns and fewer rows, and the same updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.processes import on_two_processes
from support.runs import Script, tiny_run
from support.sharded import FSDP, allow_fsdp_on_cpu, whole_weights

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.trainers import GRPOTrainer, NFTTrainer

HALF = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]  # the second group of four is decided
KINDS = {"grpo": GRPOTrainer, "nft": NFTTrainer}


def sharded(out: str, kind: str, ours: bool) -> tuple[torch.Tensor, int, list[float]]:
    """Weights after two updates, passes with a gradient, and what was skipped."""
    allow_fsdp_on_cpu()
    options: dict[str, Any] = {"gradient_accumulation_steps": 4, "optim": "sgd", "learning_rate": 0.1, "beta": 0.0}
    options |= {"per_device_train_batch_size": 2, "max_completion_length": 24, **FSDP}
    trainer = tiny_run(KINDS[kind], model_path("tiny"), Path(out), Script(HALF), tiny_problems("train", 32), **options)
    assert trainer.is_fsdp_enabled
    trainer._trims = trainer._reorders = ours
    passes = 0

    def count(*args: Any) -> None:
        nonlocal passes
        passes += torch.is_grad_enabled()

    trainer.model.register_forward_pre_hook(count)
    trainer.train()
    skipped = [row["rows/skipped"] for row in trainer.state.log_history if "rows/skipped" in row]
    return whole_weights(trainer.model), passes, skipped


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_updates_of_a_sharded_model_are_those_of_all_rows_and_columns(kind: str, tmp_path: Path) -> None:
    whole, fewer = (on_two_processes(sharded, str(tmp_path / str(ours)), kind, ours) for ours in (False, True))
    for ours, theirs in zip(fewer, whole, strict=True):
        torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-5)
        assert (theirs[1], ours[1]) == (8, 4)
        assert ours[2] == [0.5, 0.5]
    assert torch.equal(fewer[0][0], fewer[1][0])
