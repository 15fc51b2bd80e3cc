"""A curriculum over pretext tasks: groups weigh as they teach, and tasks grow harder as they are learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch.utils.data import Sampler

from selfrl.checkpoint import Part
from selfrl.group_record import GroupRecord
from selfrl.rewards.pretext import task_of
from selfrl.trainers.group_weights import Stages, group_weight
from selfrl.trainers.records import Listener
from selfrl.trainers.stage_sampler import StageSampler, rows_at_stages
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup


@dataclass
class CurriculumConfig:
    """Difficulty x dispersion weights, and stages.

    Args:
        curriculum_floor: weight of a group that teaches nothing: all right, all wrong, or all of one answer.
        curriculum_memory: of the weights of a prompt's earlier visits, from 0 (none) to below 1.
        curriculum_stages: whether tasks begin at their first stage and move; the data must hold all stages.
        curriculum_window: groups of a task that decide on its stage.
        curriculum_up: mean reward above which it goes up.
        curriculum_down: mean reward, in chances, below which it goes down.

    Raises:
        ValueError: for a share outside its bounds, or an empty window.
    """

    curriculum_floor: float = field(default=0.05, metadata={"help": "Weight of a group that teaches nothing."})
    curriculum_memory: float = field(default=0.7, metadata={"help": "Share of a prompt's earlier weight that is kept."})
    curriculum_stages: bool = field(default=False, metadata={"help": "Move tasks through their stages."})
    curriculum_window: int = field(default=100, metadata={"help": "Groups of a task that decide on its stage."})
    curriculum_up: float = field(default=0.8, metadata={"help": "Mean reward above which a task goes up."})
    curriculum_down: float = field(default=1.3, metadata={"help": "Chances below which a task goes down."})

    def __post_init__(self) -> None:
        if not 0 <= self.curriculum_floor <= 1:
            raise ValueError(f"curriculum_floor is {self.curriculum_floor}: it must lie between 0 and 1.")
        if not 0 <= self.curriculum_memory < 1:
            raise ValueError(f"curriculum_memory is {self.curriculum_memory}: it must be from 0 to below 1.")
        if self.curriculum_window < 1:
            raise ValueError(f"curriculum_window is {self.curriculum_window}: it must be 1 or more.")


class Curriculum(GroupTrainer):
    """Mixin over a TRL group trainer, with `curriculum=CurriculumConfig()`.

    Each group's advantages are multiplied by its weight, 4p(1 − p) x H(answers) / ln min(G, possible answers), averaged
    over the visits to its prompt. With stages, prompts come from each task's present stage alone. Logged:
    `curriculum/weight`, and `curriculum/TASK/stage`. Weights and stages are in every checkpoint.

    Raises:
        ValueError: before a model loads, for data without the columns `task` and `stage`, or for NFT, whose loss has no
            advantages.
    """

    add_listener: Callable[[Listener], None]
    _repeats: int
    _train_sampler: Any
    _prompt_ids: list[str]  # of the rows that were just scored

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        if setup.curriculum is None:
            return
        if hasattr(setup.args, "prompt_weight"):
            raise ValueError("A curriculum weighs advantages, and NFT has none: take prompt_weight, or GRPO.")
        rows_at_stages(setup.train_dataset)

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.curriculum: CurriculumConfig | None = setup.curriculum
        self._weights: dict[str, float] = {}
        self.stages: Stages | None = None
        if self.curriculum is None:
            return
        self.add_listener(self._learn)
        self.checkpoint.register(Part("curriculum", self._curriculum_state, self._load_curriculum))

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        if self.curriculum is None or not self.curriculum.curriculum_stages:
            return super()._get_train_sampler(dataset)
        rows = rows_at_stages(self.train_dataset)
        if self.stages is None:
            highest = {task: max(stage for name, stage in rows if name == task) for task, _ in rows}
            config = self.curriculum
            self.stages = Stages(highest, config.curriculum_window, config.curriculum_up, config.curriculum_down)
        sampler = self._train_sampler = StageSampler(
            rows,
            self.stages.at,
            group_size=self.num_generations,
            batch_size=self.args.generation_batch_size // self.num_generations,
            repeat_count=self._repeats,
            seed=self.args.seed,
        )
        return sampler

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if self.curriculum is not None and self.model.training:
            advantages = output["advantages"]
            weights_B = advantages.new_tensor([self._weights[name] for name in self._prompt_ids])
            output["advantages"] = advantages * weights_B.view(-1, *[1] * (advantages.ndim - 1))
        return output

    def _learn(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """Weigh the groups of a batch, and move the stages of their tasks."""
        curriculum = self.curriculum
        assert curriculum is not None
        weights = []
        drawn = self._drawn() if self.stages is not None else 0
        for record in records:
            if record.solve_rate is None or record.task is None:
                weight = curriculum.curriculum_floor
            else:
                task = task_of(record.task)
                possible = max(round(1 / task.chance), 1)
                weight = group_weight(record.solve_rate, record.keys, possible, curriculum.curriculum_floor)
                if self.stages is not None and self.stages.now.get(task.name) == record.stage:
                    self.stages.add(task.name, record.solve_rate, task.chance, drawn)
            before = self._weights.get(record.prompt_id, weight)
            weight = curriculum.curriculum_memory * before + (1 - curriculum.curriculum_memory) * weight
            self._weights[record.prompt_id] = weight
            weights.append(weight)
        now = {} if self.stages is None else self.stages.now
        return {"curriculum/weight": fmean(weights)} | {f"curriculum/{name}/stage": n for name, n in now.items()}

    def _drawn(self) -> int:
        """Prompts that any process has drawn ahead: a new stage begins behind them, on all processes alike."""
        drawn = torch.tensor([self._train_sampler.drawn], device=self.accelerator.device)
        return int(self.accelerator.gather(drawn).max())

    def _may_draw(self, row: dict[str, Any]) -> bool:
        if self.stages is None:
            return super()._may_draw(row)
        return self.stages.now.get(task_of(row["task"]).name) == row["stage"]

    def _curriculum_state(self) -> dict[str, Any]:
        return {"weights": self._weights, "stages": None if self.stages is None else self.stages.state()}

    def _load_curriculum(self, state: dict[str, Any]) -> None:
        self._weights = dict(state["weights"])
        if self.stages is not None and state["stages"] is not None:
            self.stages.load(state["stages"])
