"""Cost of a GRPO step with a confidence reward, against an accuracy reward: python -m benchmarks.confidence_step.

The quickstart recipe at learning rate 0 and one seed, so both see the same rollouts; rounds of the two alternate.
"""

import json
import statistics
import tempfile
from pathlib import Path

from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer

ROUNDS, STEPS = 4, 8
REWARDS = ("AccuracyReward", "SelfCertaintyReward")


def step_times(reward: str) -> list[float]:
    with tempfile.TemporaryDirectory() as out:
        flags = {
            "rewards": reward,
            "paired": "true",
            "output_dir": out,
            "max_steps": str(STEPS),
            "learning_rate": "0",
            "save_strategy": "no",
            "logging_steps": "1",
            "log_completions": "false",
        }
        plan = parse_recipe(
            ["recipes/co_rewarding/tiny.yaml", *(part for key, value in flags.items() for part in (f"--{key}", value))]
        )
        build_trainer(plan).train()
        rows = read_metrics(Path(out) / "metrics.jsonl")
    return [row["step_time"] for row in rows if "step_time" in row][1:]  # the first one warms up


def main() -> None:
    times: dict[str, list[float]] = {reward: [] for reward in REWARDS}
    for _ in range(ROUNDS):
        for reward in REWARDS:
            times[reward] += step_times(reward)
    accuracy, confidence = (statistics.median(times[reward]) for reward in REWARDS)
    print(f"{len(times[REWARDS[0]])} steps each: accuracy {accuracy:.3f} s, self-certainty {confidence:.3f} s a step")
    print(json.dumps({"confidence_vs_accuracy": round(confidence / accuracy, 3)}))


if __name__ == "__main__":
    main()
