"""What each question's completions voted, kept beside a task's scores: these are means, which hide who changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

from selfrl.eval.metrics import maj_at_k
from selfrl.eval.scoring import Sample
from selfrl.rewards.vote_rule import agreement

PLACES = 4  # decimals of a row


@dataclass(frozen=True)
class QuestionVote:
    """One question by its completions; shares are in 0..1, and an undecided answer counts as not right.

    Args:
        question: its id.
        n: how many completions.
        right: share of them that are right.
        majority_ratio: share of the most common key among all of them, those without a key included.
        maj: probability that the majority answer is right: maj@n, in which a tie goes to the key seen first.
    """

    question: int
    n: int
    right: float
    majority_ratio: float
    maj: float

    def row(self) -> list[float]:
        """Its values in this order, shortened for a file.

        >>> QuestionVote(7, 3, 1 / 3, 2 / 3, 0.0).row()
        [7, 3, 0.3333, 0.6667, 0.0]
        """
        return [round(value, PLACES) for value in astuple(self)]


def question_vote(samples: Sequence[Sample]) -> QuestionVote:
    """What one question's samples voted.

    Raises:
        ValueError: for no samples, or samples of several questions.

    Example:
        >>> keys = ("7", "7", "3", None)
        >>> question_vote([Sample(5, i, "", "stop", 9, key, key, key, key == "7", None) for i, key in enumerate(keys)])
        QuestionVote(question=5, n=4, right=0.5, majority_ratio=0.5, maj=1.0)
    """
    ids = {sample.question for sample in samples}
    if len(ids) != 1:
        raise ValueError(f"A vote takes the samples of one question, not of {len(ids)}: give it one group.")
    (question,), n = ids, len(samples)
    keys = [sample.key for sample in samples]
    return QuestionVote(
        question=question,
        n=n,
        right=fmean(bool(sample.correct) for sample in samples),
        majority_ratio=agreement(keys),
        maj=maj_at_k(keys, [sample.correct for sample in samples], n),
    )


def question_votes(groups: Sequence[Sequence[Sample]]) -> list[QuestionVote]:
    """What every question's samples voted; a question without any is left out, as by [`selfrl.eval.scoring.score`].

    >>> question_votes([[], [Sample(1, 0, "", "stop", 9, None, None, None, None, None)]])
    [QuestionVote(question=1, n=1, right=0.0, majority_ratio=0.0, maj=0.0)]
    """
    return [question_vote(group) for group in groups if group]
