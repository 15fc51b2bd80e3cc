"""The guard in a plain TRL script: `callbacks=[CollapseGuard()]` and nothing else of selfrl's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trl
from support.runs import Script, tiny_run

from selfrl.models import TINY_MODEL
from selfrl.monitor.guard import CollapseGuard


@pytest.mark.parametrize("trainer_class", [trl.GRPOTrainer, trl.RLOOTrainer])
def test_it_reads_the_log_and_stops_the_run(trainer_class: type, tmp_path: Path) -> None:
    guard = CollapseGuard("stop")
    options = {"max_completion_length": 40, "max_steps": 14}
    trainer = tiny_run(trainer_class, TINY_MODEL, tmp_path, Script([1.0]), callbacks=[guard], **options)
    trainer.train()
    (alarm,) = guard.alarms
    assert (alarm.step, alarm.figures) == (10, ("zero_spread",))
    assert trainer.state.global_step == 10
    assert json.loads((tmp_path / "guard.jsonl").read_text())["step"] == 10
    assert (tmp_path / "checkpoint-10").is_dir()  # saved, though the run saves none


def test_its_state_is_in_trls_checkpoint(tmp_path: Path) -> None:
    options = {"max_completion_length": 40, "save_strategy": "steps", "save_steps": 6}
    guard = CollapseGuard()
    arguments = (trl.GRPOTrainer, TINY_MODEL, tmp_path, Script([1.0]))
    tiny_run(*arguments, callbacks=[guard], max_steps=6, **options).train()
    assert not guard.alarms
    again = CollapseGuard()
    resumed = tiny_run(*arguments, callbacks=[again], max_steps=12, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert [alarm.step for alarm in again.alarms] == [10]  # ten in a row, six of them before
