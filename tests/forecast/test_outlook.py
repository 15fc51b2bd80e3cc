"""The sign of an outlook, and when it is firm."""

from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.forecast.answered_prompts import answered
from selfrl.forecast.asked_prompts import Asked
from selfrl.forecast.contest import Stake
from selfrl.forecast.outlook import contrastive_outlook, majority_outlook, outlook
from selfrl.generation import Generation

SHARP = [Stake(0.7, 0.1, True, 0.7)]
WON = [Stake(0.5, 0.4, True, 0.5)]
LOST = [Stake(0.4, 0.5, False, 0.5)]


def said(answers: str) -> list[Generation]:
    return [Generation(rf"\boxed{{{answer}}}", "stop", 3, 5) for answer in answers]


@st.composite
def stakes(draw: st.DrawFn) -> list[Stake]:
    """A prompt of 16 completions with any label."""
    right = draw(st.integers(0, 16))
    rival = draw(st.integers(0, 16 - right))
    label_is_right = draw(st.sampled_from([True, False, None]))
    label = {True: right, False: rival, None: 0}[label_is_right]
    return [Stake(right / 16, rival / 16, label_is_right, label / 16, disputed=draw(st.booleans()))]


@settings(deadline=None, max_examples=30)
@given(st.lists(stakes(), min_size=1, max_size=12), st.lists(stakes(), max_size=12))
def test_the_end_lies_between_worst_and_best(one: list[list[Stake]], two: list[list[Stake]]) -> None:
    found = outlook({"one": one, "two": two})
    assert found is not None
    assert 0 <= found.worst <= found.end + 1e-12
    assert found.end <= found.best + 1e-12 <= 1 + 1e-11
    assert abs(sum(kind.share for kind in found.kinds) - 1) < 1e-9
    for kind in found.kinds:
        if kind.balance is not None:
            assert -1 <= kind.balance.low <= kind.balance.high <= 1
            assert -1 <= kind.balance.value <= 1


def test_a_lost_balance_takes_the_contests_that_are_still_right() -> None:
    prompts = [SHARP] * 50 + [WON] * 20 + [LOST] * 60
    found = outlook({"all": prompts})
    assert found is not None
    assert found.sign == "loss"
    assert found.firm
    # maj@n is (50 + 20)/130, above the start: the gap alone would say gain
    assert found.start < 70 / 130
    assert found.end == found.worst == found.best == 50 / 130


def test_an_open_balance_is_not_firm() -> None:
    found = outlook({"all": [SHARP] * 10 + [WON] * 21 + [LOST] * 20})
    assert found is not None
    assert not found.firm
    assert found.worst < found.start < found.best


def test_a_gain_of_few_prompts_is_not_firm() -> None:
    few, many = outlook({"all": [SHARP] * 3 + [LOST]}), outlook({"all": [SHARP] * 60})
    assert few is not None
    assert many is not None
    assert not few.firm
    assert many.firm
    assert many.sign == "gain"


def test_kinds_end_each_for_itself() -> None:
    together = outlook({"all": [WON] * 20 + [LOST] * 60})
    apart = outlook({"agree": [LOST] * 60, "differ": [WON] * 20})
    assert together is not None
    assert apart is not None
    assert together.end == 0
    assert apart.end == 0.25
    assert [kind.share for kind in apart.kinds] == [0.75, 0.25]


def test_without_labels_there_is_no_outlook() -> None:
    unknown = [answered(Asked("2+2?", "Add 2 to 2."), [said("4455"), said("4444")])]
    assert majority_outlook(unknown) is None
    assert contrastive_outlook(unknown) is None
    alone = [answered(Asked("2+2?", None, "4"), [said("4455")])]
    assert majority_outlook(alone) is not None
    assert contrastive_outlook(alone) is None


def test_a_wording_that_is_right_mends_the_other() -> None:
    asked = Asked("2+2?", "Add 2 to 2.", "4")
    pairs = [answered(asked, [said("55544"), said("44444")])] * 20  # the majority of the first is wrong
    vote, crossed = majority_outlook(pairs), contrastive_outlook(pairs)
    assert vote is not None
    assert crossed is not None
    assert (vote.sign, vote.end) == ("loss", 0.0)
    assert (crossed.sign, crossed.end) == ("gain", 1.0)
    assert [kind.name for kind in crossed.kinds] == ["labels differ"]


def test_a_wording_that_is_surely_wrong_spoils_the_other() -> None:
    asked = Asked("2+2?", "Add 2 to 2.", "4")
    pairs = [answered(asked, [said("55554"), said("44455")])] * 20
    crossed = contrastive_outlook(pairs)
    assert crossed is not None
    # pushes: .2·.8 towards right in the first wording, −.6·.4 in the second
    assert (crossed.sign, crossed.end) == ("loss", 0.0)
