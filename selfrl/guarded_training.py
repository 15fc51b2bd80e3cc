"""Train a plan to its end; back to where it was well, once, if its guard asks for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from selfrl.checkpoint import latest_checkpoint, step_of
from selfrl.files import write_whole
from selfrl.monitor.guard import EVENTS, ROLLBACK, ROLLED_BACK, CollapseGuard
from selfrl.recipe import Plan, plan_of

START = "start"  # folder of the weights that the run began with
LESS = 0.1  # of the learning rate, after a rollback that says nothing else


class Trained(NamedTuple):
    """A run that has ended.

    Args:
        trainer: its model is the run's.
        put_back: whether its weights are those of a checkpoint before the end.
    """

    trainer: Any
    put_back: bool


def resumed(plan: Plan) -> Plan:
    """The plan that goes on: the one after the rollback, if the run that is resumed was rolled back."""
    if plan.config.resume_from_checkpoint is None:
        return plan
    file = Path(plan.config.output_dir) / ROLLBACK
    return _with(plan, json.loads(file.read_text())["then"]) if file.exists() else plan


def train_guarded(plan: Plan, build: Callable[[Plan], Any]) -> Trained:
    """Train; after an alarm of a guard that rolls back, go on from the last checkpoint before it with other settings.

    The checkpoints of the branch that is given up are renamed to `collapsed-STEP`, and `rollback.json` says what
    happened, so that a killed run resumes on the right branch. A second alarm ends the training with the weights of the
    last checkpoint before it, or of the start.

    Args:
        plan: of the run, see [`resumed`].
        build: builds a trainer from a plan; once more after a rollback.
    """
    trainer = build(plan)
    out, processes = Path(plan.config.output_dir), trainer.args.world_size
    resume = plan.config.resume_from_checkpoint
    rolled_back = resume is not None and (out / ROLLBACK).exists()
    if resume == "latest":
        resume = latest_checkpoint(out, processes)
    trainer.accelerator.wait_for_everyone()
    if not rolled_back and trainer.args.should_save:
        (out / ROLLBACK).unlink(missing_ok=True)
    if resume is None and plan.guard is not None and plan.guard.action == "rollback":
        trainer.save_model(str(out / START))
    while True:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        alarm = _asked(trainer)
        if alarm is None:
            return Trained(trainer, put_back=False)
        trainer.accelerator.wait_for_everyone()
        resume = latest_checkpoint(out, processes, before=alarm.change_point)
        if rolled_back:
            good = resume or out / START
            if good.exists():
                trainer._load_from_checkpoint(str(good))
            return Trained(trainer, put_back=good.exists())
        assert plan.guard is not None
        then = dict(plan.guard.then) or {"learning_rate": LESS * plan.config.learning_rate}
        plan, rolled_back = _with(plan, then), True
        if trainer.args.should_save:
            _give_up(out, resume, alarm._asdict(), then)
        trainer.accelerator.wait_for_everyone()
        trainer.accelerator.free_memory()
        del trainer  # or two models would stand side by side
        trainer = build(plan)


def _asked(trainer: Any) -> Any:
    """The alarm after which a guard wants the run rolled back; None without one."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, CollapseGuard) and callback.action == "rollback" and callback.alarms:
            return callback.alarms[-1]
    return None


def _with(plan: Plan, then: Mapping[str, Any]) -> Plan:
    return plan_of({**plan.keys, **then}, "in `then` of the guard", then)


def _give_up(out: Path, checkpoint: Path | None, alarm: dict[str, Any], then: Mapping[str, Any]) -> None:
    """Write down what happened, and set the branch's checkpoints aside."""
    step = 0 if checkpoint is None else step_of(checkpoint)
    write_whole(out / ROLLBACK, json.dumps({"step": step, "then": then, "alarm": alarm}))
    others = ", ".join(f"{key} {value}" for key, value in then.items())
    words = f"{alarm['words']} Back to step {step}, with {others}."
    row = {**alarm, "rule": ROLLED_BACK, "action": "rollback", "words": words}
    with (out / EVENTS).open("a") as file:
        file.write(json.dumps(row) + "\n")
    for path in out.glob("checkpoint-*"):
        if step_of(path) > step:
            aside = out / f"collapsed-{step_of(path)}"
            shutil.rmtree(aside, ignore_errors=True)  # of an earlier run in this folder
            path.rename(aside)
