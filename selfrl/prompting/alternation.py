"""Prompt optimisation that alternates with training."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from selfrl.generation import Generator, seed_of
from selfrl.monitor.metrics_file import log_beside
from selfrl.prompting.optimizer import PromptOptimizer, Settings
from selfrl.prompting.prompt_task import PromptTask, task_of
from selfrl.prompting.requests import Templates
from selfrl.prompting.roles import ROLES, Role, RoleName, RoleSpec, open_roles
from selfrl.prompting.run_page import write_page
from selfrl.prompting.run_record import Run, read_run

logger = logging.getLogger(__name__)


class PromptAlternation(TrainerCallback):
    """Optimises the system prompt anew every `every` steps, for the policy as it is then, and trains on with the best.

    It starts from the best prompt of a run of `selfrl optimize` and keeps that run's task, templates and roles, with
    the policy as executor; a role that was played by the executor's model is played by the policy, too. Each time the
    prompt in use is the initial prompt of a new run of `rounds` rounds, on samples drawn anew, which is kept in
    `<output_dir>/prompts/step-N`. Where a role cannot be reached, training goes on with the prompt that it has.

    The main process optimises, with transformers, whatever writes the rollouts. `prompt/changed`, `prompt/failed`,
    `prompt/calls` and `prompt/cost` are logged.

    Args:
        source: folder of the run to start from.
        every: steps between two optimisations.
        rounds: of each; the first of them runs the prompt in use.

    Raises:
        ValueError: for a folder without a run, one whose models were not opened by name, or numbers below 1 (rounds:
            below 2).
    """

    def __init__(self, source: str, every: int, rounds: int) -> None:
        if every < 1 or rounds < 2:
            raise ValueError(
                f"prompt_every is {every} and prompt_rounds {rounds}: they must be 1 or more, and 2 or more."
            )
        begun = read_run(source)
        self.prompt = begun.best_prompt
        self.task: PromptTask = task_of(begun.begun["task"], f"the run {source}")
        self.settings, self.templates = Settings(**begun.begun["settings"]), Templates(**begun.begun["templates"])
        self.specs = _specs(begun, source)
        self.every, self.rounds = every, rounds
        self._trainer: Any = None
        self._opened: dict[RoleName, Role] = {}

    def attach(self, trainer: Any) -> None:
        """Add it to one of selfrl's trainers, whose system prompt it sets."""
        self._trainer = trainer
        trainer.system_prompt = self.prompt
        trainer.add_callback(self)
        own = self.specs["executor"].back_end
        self._opened = open_roles({name: spec for name, spec in self.specs.items() if spec.back_end != own})

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop optimisations that a resumed run is about to make again."""
        if state.is_world_process_zero:
            for folder in (Path(args.output_dir) / "prompts").glob("step-*"):
                if int(folder.name[5:]) > state.global_step:
                    shutil.rmtree(folder)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Optimise every `every` steps, but not after the last."""
        if state.global_step % self.every or state.global_step >= state.max_steps:
            return
        result: list[Any] = [None]
        with self._roles() as roles:
            if state.is_world_process_zero:
                result = [self._optimize(Path(args.output_dir) / "prompts", state.global_step, roles)]
        broadcast_object_list(result)
        prompt, logs = result[0]
        self._trainer.system_prompt = prompt
        if state.is_world_process_zero:
            log_beside(self._trainer, args, state, logs)

    def _optimize(self, folder: Path, step: int, roles: dict[RoleName, Role]) -> tuple[str, dict[str, float]]:
        """The prompt to go on with, and what to log."""
        current: str = self._trainer.system_prompt
        settings = dataclasses.replace(
            self.settings, rounds=self.rounds, heldout=0, seed=seed_of(self.settings.seed, "step", step)
        )
        task = dataclasses.replace(self.task, prompt=current)
        out = folder / f"step-{step}"
        try:
            optimizer = PromptOptimizer(
                task,
                out,
                optimizer=roles["optimizer"],
                executor=roles["executor"],
                evaluator=roles["evaluator"],
                settings=settings,
                templates=self.templates,
            )
            run = optimizer.run()
        except (ValueError, OSError) as error:
            logger.warning("The prompt was not optimised at step %d: %s", step, error)
            return current, {"prompt/failed": 1.0}
        write_page(out / "results.html", run)
        return run.best_prompt, {
            "prompt/failed": 0.0,
            "prompt/changed": float(run.best_prompt != current),
            "prompt/calls": float(sum(usage.calls for usage in run.usage.values())),
            "prompt/cost": sum(usage.cost for usage in run.usage.values()),
        }

    @contextmanager
    def _roles(self) -> Iterator[dict[RoleName, Role]]:
        with self._trainer.policy_generator() as policy:
            yield {name: self._opened.get(name) or self._own(name, policy) for name in ROLES}

    def _own(self, name: RoleName, policy: Generator) -> Role:
        return self.specs[name].role(name, policy, label={"model": "the policy"})


def _specs(run: Run, source: str) -> dict[RoleName, RoleSpec]:
    """The roles of a run as they were given by name."""
    roles = run.begun["roles"]
    if any("model" not in roles[name] for name in ROLES):
        raise ValueError(f"The run {source} was made with generators in memory: make one with `selfrl optimize`.")
    return {name: RoleSpec(**roles[name]) for name in ROLES}
