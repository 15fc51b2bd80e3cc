"""Share of a training step that the reward takes, on the quickstart recipe: python -m benchmarks.reward_stage."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe
from selfrl.rewards import ContrastiveAgreementReward
from selfrl.training import build_trainer

STEPS = 20


class Timed(ContrastiveAgreementReward):
    """Co-rewarding's reward that adds up its own time."""

    seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        started = time.perf_counter()
        rewards = super().__call__(*args, **kwargs)
        self.seconds += time.perf_counter() - started
        return rewards


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        flags = [
            "--output_dir",
            out,
            "--max_steps",
            str(STEPS),
            "--save_strategy",
            "no",
            "--logging_steps",
            "1",
        ]
        plan = parse_recipe(["recipes/co_rewarding/tiny.yaml", *flags])
        reward = Timed()
        trainer = build_trainer(dataclasses.replace(plan, rewards=(reward,)))
        trainer.train()
        steps = [row["step_time"] for row in read_metrics(Path(out) / "metrics.jsonl") if "step_time" in row]
    print(f"{STEPS} steps: {sum(steps):.1f} s, of which the reward {reward.seconds:.3f} s")
    print(json.dumps({"reward_share": round(reward.seconds / sum(steps), 4)}))


if __name__ == "__main__":
    main()
