"""The control that rewards nothing in particular."""

from __future__ import annotations

import random

from selfrl.distributed import over_all_processes
from selfrl.rewards.contract import BaseReward, Batch, Scores


class RandomReward(BaseReward):
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
        self.p, self.seed = p, seed

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        step = 0 if batch.trainer_state is None else batch.trainer_state.global_step

        def draw(ids: list[str]) -> tuple[list[float | None], None]:
            draws = [random.Random(f"{self.seed}/{step}/{i}/{prompt}").random() for i, prompt in enumerate(ids)]
            return [float(draw < self.p) for draw in draws], None

        return Scores(over_all_processes(draw, batch.prompt_ids)[0])
