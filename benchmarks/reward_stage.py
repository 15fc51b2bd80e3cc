"""Share of a training step that a reward takes, on the quickstart recipe: python -m benchmarks.reward_stage.

Co-rewarding's reward is timed in twenty steps. The robust votes and the shapers then get the completions and signals of
one such step, fifty times over, and are set against the mean step; their signals, and the passes of the policy that
CoVo asks for, are not the reward's own time and are left out.
"""

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfrl.group_record import Visit
from selfrl.monitor.metrics_file import read_metrics
from selfrl.recipe import parse_recipe
from selfrl.rewards import (
    ConsistencyVolatilityReward,
    ContrastiveAgreementReward,
    DiversityReward,
    NoveltyReward,
    SelectiveComplementaryReward,
    SoftVote,
    StepConfidenceVote,
)
from selfrl.shaping import EntropyReshaping, FlipGuard, Restrain, Shaper
from selfrl.shaping.shaper import AdvantageGroup, Shaped
from selfrl.training import build_trainer

STEPS, TIMES = 20, 50
SIGNALS = ("entropy", "self_certainty", "token_texts")


class Timed(ContrastiveAgreementReward):
    """Co-rewarding's reward that adds up its own time."""

    seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        started = time.perf_counter()
        rewards = super().__call__(*args, **kwargs)
        self.seconds += time.perf_counter() - started
        return rewards


class Heard(ContrastiveAgreementReward):
    """Keeps what it is handed, signals among it."""

    signals = SIGNALS

    def __call__(self, *args: Any, **kwargs: Any) -> list[float | None]:
        # without the records, so that answers are read anew
        self.handed = args, {name: value for name, value in kwargs.items() if name != "batch_records"}
        return super().__call__(*args, **kwargs)


class Seen(Shaper):
    """Keeps the groups of a batch, as if the prompts had been visited ten times."""

    signals = ("entropy",)

    def shape(self, groups: Sequence[AdvantageGroup]) -> Shaped:
        past = [Visit(step, "0", 0.8, 0.5) for step in range(10)]
        self.groups = [dataclasses.replace(group, earlier=past, visits=10) for group in groups]
        return Shaped([list(group.advantages) for group in groups])


class Instantly:
    """Scores every continuation alike, in no time."""

    def mean_log_probs(self, triples: Sequence[Any]) -> list[float]:
        return [-1.0 - i % 7 / 10 for i in range(len(triples))]


def mean_seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    for _ in range(TIMES):
        run()
    return (time.perf_counter() - started) / TIMES


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
        reward, heard = Timed(), Heard()
        build_trainer(dataclasses.replace(plan, rewards=(reward,))).train()
        steps = [row["step_time"] for row in read_metrics(Path(out) / "metrics.jsonl") if "step_time" in row]
        trainer = build_trainer(dataclasses.replace(plan, rewards=(heard,), shapers=(Seen(),)))
        trainer.args.max_steps = 1
        trainer.train()
    step = sum(steps) / len(steps)
    args, handed = heard.handed
    rewards = {
        "scrl": SelectiveComplementaryReward(),
        "evol_rl": NoveltyReward(),
        "covo": ConsistencyVolatilityReward(steps="sentences", scorer=Instantly()),
        "scope": StepConfidenceVote(boundary=". "),
        "scope_parts": StepConfidenceVote(boundary=". ", parts=True),
        "soft_vote": SoftVote(),
        "darling": DiversityReward(),
    }
    shapers = {
        "flip_guard": FlipGuard("flip"),
        "restrain": Restrain(3, 1.0, 1.0, 0.5),
        "ettrl": EntropyReshaping(),
    }
    (groups,) = (shaper.groups for shaper in trainer._shapers)  # the plan's own stays as it is
    shares = {"reward_share": reward.seconds / sum(steps)}
    shares |= {name: mean_seconds(lambda each=each: each(*args, **handed)) / step for name, each in rewards.items()}
    shares |= {name: mean_seconds(lambda each=each: each.shape(groups)) / step for name, each in shapers.items()}
    print(f"{STEPS} steps of {step:.2f} s, {len(handed['token_texts'])} completions each")
    print(json.dumps({name: round(share, 5) for name, share in shares.items()}))


if __name__ == "__main__":
    main()
