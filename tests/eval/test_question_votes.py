"""What a question's completions voted."""

import random

import pytest

from selfrl.eval.question_votes import QuestionVote, question_vote, question_votes
from selfrl.eval.scoring import Sample, score


def samples(question: int, keys: list[str | None], verdicts: list[bool | None]) -> list[Sample]:
    """A group's samples; only keys and verdicts count."""
    return [
        Sample(question, i, "", "stop", 1, key, key, key, verdict, verdict)
        for i, (key, verdict) in enumerate(zip(keys, verdicts, strict=True))
    ]


@pytest.mark.parametrize(
    ("keys", "verdicts", "right", "ratio", "maj"),
    [
        (["7", "7", "3", None], [True, True, False, False], 0.5, 0.5, 1.0),
        (["3", "7", "7", "3"], [False, True, True, False], 0.5, 0.5, 0.0),  # a tie goes to the key seen first
        (["7", "3", "3", "7"], [True, False, False, True], 0.5, 0.5, 1.0),
        ([None, None, "7", None], [False, False, True, False], 0.25, 0.25, 1.0),
        ([None, None, None, None], [False, False, False, None], 0.0, 0.0, 0.0),
        (["x", "x", "x", "y"], [None, None, None, True], 0.25, 0.75, 0.0),  # undecided is not right
    ],
)
def test_a_question_by_hand(
    keys: list[str | None], verdicts: list[bool | None], right: float, ratio: float, maj: float
) -> None:
    assert question_vote(samples(3, keys, verdicts)) == QuestionVote(3, 4, right, ratio, maj)


def test_means_over_questions_are_the_scores() -> None:
    rng = random.Random(0)
    groups = []
    for question in range(40):
        keys = [rng.choice(["1", "2", "3", None]) for _ in range(6)]
        groups.append(samples(question, keys, [key == "1" for key in keys]))
    votes = question_votes([*groups, []])
    scores = score([*groups, []])
    assert [vote.question for vote in votes] == list(range(40))
    assert sum(vote.right for vote in votes) / 40 == pytest.approx(scores.avg)
    assert sum(vote.maj for vote in votes) / 40 == pytest.approx(scores.maj)


def test_samples_of_two_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="the samples of one question, not of 2"):
        question_vote([*samples(1, ["7"], [True]), *samples(2, ["7"], [True])])
