"""TTRV: the sheet's groups, and that under a group baseline it is the soft vote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import MajorityVoteReward, SoftVote

GROUPS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=12)


def texts(answers: list[str | None]) -> list[str]:
    return ["I do not know" if answer is None else rf"\boxed{{{answer}}}" for answer in answers]


def rewards(answers: list[str | None], **options: float) -> list[float | None]:
    return SoftVote(**options)(["p"] * len(answers), texts(answers))


def centred(values: list[float | None]) -> list[float]:
    known = [value for value in values if value is not None]
    return [value - sum(known) / len(known) for value in known]


def test_the_sheets_groups() -> None:
    group = [*"11112223"]
    assert rewards(group) == pytest.approx([-0.165145] * 4 + [-0.290145] * 3 + [-0.540145], abs=1e-6)
    assert centred(rewards(group)) == pytest.approx([0.09375] * 4 + [-0.03125] * 3 + [-0.28125], abs=1e-6)
    assert rewards([*"12345678"]) == pytest.approx([-0.625] * 8, abs=1e-6)
    assert rewards([*"1111"]) == [1.0] * 4


@given(GROUPS)
def test_the_entropy_cancels_under_a_group_baseline(answers: list[str | None]) -> None:
    soft = MajorityVoteReward(soft=True)(["p"] * len(answers), texts(answers))
    assert (rewards(answers) == soft) if soft[0] is None else centred(rewards(answers)) == pytest.approx(centred(soft))


def test_no_answer_never_wins_and_takes_no_part_in_the_entropy() -> None:
    assert rewards([None, None]) == [None, None]
    assert rewards([None, None, None, "4"]) == [0.0, 0.0, 0.0, 0.25]
