"""Majority vote that logs how often it rewards as the truth would."""

from __future__ import annotations

from selfrl.monitor.label_noise import reward_accuracy
from selfrl.rewards import MajorityVoteReward
from selfrl.rewards.contract import Batch, Scores
from selfrl.rewards.ground_truth import grades


class WatchedVote(MajorityVoteReward):
    r"""[`selfrl.rewards.MajorityVoteReward`] that logs `reward_accuracy` against the column `answer`.

    Example:
        >>> told = []
        >>> WatchedVote()(["2+2?"] * 4, [rf"\boxed{{{n}}}" for n in "5543"], answer=["4"] * 4,
        ...               log_metric=lambda name, value: told.append((name, value)))
        [1.0, 1.0, 0.0, 0.0]
        >>> dict(told)["WatchedVote/reward_accuracy"]
        0.25
    """

    columns = ("answer",)

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        scores = super().score(batch)
        truth = grades(batch.answers(), [str(gold) for gold in batch.column("answer")])
        found = reward_accuracy(scores.rewards, truth)
        return scores if found is None else scores._replace(metrics={**scores.metrics, "reward_accuracy": found})
