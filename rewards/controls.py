"""The control that rewards nothing in particular."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from selfrl.conversation import prompt_id
from selfrl.distributed import over_all_processes
from selfrl.rewards.groups import Metrics


class RandomReward:
    """r_i = 1 with probability p, whatever the completion: a control that shows what training alone does.

    Spurious rewards raise contaminated models (random: +21 points on MATH-500 for Qwen2.5-Math-7B), so a claim for
    a label-free reward needs this beside it. Draws depend on the seed, the optimizer step, the prompt and the row's
    place in the global batch: they repeat on a resumed run and do not depend on the number of processes.
    Never abstains.

    Raises:
        ValueError: for p outside 0..1.

    Example:
        >>> reward = RandomReward(p=0.5, seed=1)
        >>> reward(["2+2?"] * 6, ["4"] * 6) == reward(["2+2?"] * 6, ["5"] * 6)
        True
    """

    def __init__(self, p: float = 0.5, seed: int = 0) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomReward has p = {p}: it must lie between 0 and 1.")
        self.__name__ = type(self).__name__
        self.p, self.seed = p, seed

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        step = 0 if trainer_state is None else trainer_state.global_step

        def draw(ids: list[str]) -> tuple[list[float | None], Metrics]:
            draws = [random.Random(f"{self.seed}/{step}/{i}/{prompt}").random() for i, prompt in enumerate(ids)]
            return [float(draw < self.p) for draw in draws], {}

        return over_all_processes(draw, [prompt_id(prompt) for prompt in prompts])[0]
