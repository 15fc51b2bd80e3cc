"""What is advised, from hand-made answers."""

import pytest

from selfrl.forecast.agreement_figures import agreement_of
from selfrl.forecast.answered_prompts import Wording, answered
from selfrl.forecast.asked_prompts import Asked
from selfrl.forecast.outlook import confidence_sign, contrastive_outlook, majority_outlook
from selfrl.forecast.reward_choice import choice, lead
from selfrl.forecast.truth_figures import truth_of
from selfrl.generation import Generation


def pair(*groups: str, gold: str | None = "4", cut: bool = False) -> list[Wording]:
    """A prompt in one wording or two, by the answers to each; the gold answer is 4."""
    said = [
        [Generation(rf"\boxed{{{a}}}", "length" if cut else "stop", 3, 5) for a in answers.split()]
        for answers in groups
    ]
    return answered(Asked("2+2?", "Add 2 to 2." if len(groups) > 1 else None, gold), said)


def advised(pairs: list[list[Wording]], **within: float | None) -> list[str]:
    first = [wordings[0] for wordings in pairs]
    outlooks = majority_outlook(pairs), contrastive_outlook(pairs)
    return choice(agreement_of(first), truth_of(pairs), *outlooks, within)


RIGHT, WRONG = "4 4 4 5 6", "5 5 5 4 4"


@pytest.mark.parametrize(
    ("pairs", "start"),
    [
        ([pair(RIGHT)] * 30, "Take MajorityVoteReward: majorities are right where it counts."),
        ([pair(RIGHT, RIGHT)] * 30, "Take MajorityVoteReward: majorities are right where it counts. Contrastive"),
        ([pair(WRONG, "4 4 4 4 4")] * 30, "Take ContrastiveAgreementReward: the other wording mends"),
        ([pair(WRONG)] * 30, "Do not train on majorities here"),
        ([pair("4 4 4 4 4")] * 30, "Nothing to gain by agreement"),
        ([pair("1 2 3 4 5")] * 30, "No label-free reward: on 100.0 %"),
        ([pair(RIGHT)] * 3 + [pair("4 4 4 5 5")], "MajorityVoteReward may gain, but may lose"),
    ],
)
def test_what_to_take_first(pairs: list[list[Wording]], start: str) -> None:
    assert advised(pairs)[0].startswith(start)


def test_without_labels_nothing_is_claimed() -> None:
    unlabelled = [pair(RIGHT, RIGHT, gold=None)] * 10
    sentences = advised(unlabelled)
    assert "A vote has something to decide on 100.0 %" in sentences[0]
    assert "no sign" in sentences[1]
    assert not any("Take " in sentence for sentence in sentences)
    assert advised([pair("4 4 4 4 4", gold=None)] * 10)[0].startswith("Little to learn")
    assert advised([pair("1 2 3 4 5", gold=None)] * 10)[0].startswith("No label-free reward")


def test_a_reward_that_pays_wrong_answers_is_told() -> None:
    assert any("more often than right ones" in sentence for sentence in advised([pair(WRONG)] * 30))
    weak = [pair(WRONG)] * 225 + [pair("4 4 4 5 5")] * 275
    assert any("drifts" in sentence for sentence in advised(weak))
    assert not any("J is" in sentence for sentence in advised([pair(RIGHT)] * 30))


def test_confidence_only_where_it_tells_right_from_wrong() -> None:
    pairs = [pair(RIGHT)] * 30
    assert any("No confidence reward" in s for s in advised(pairs, entropy=0.6, margin=0.65, vote_share=0.99))
    assert any("under a guard" in s for s in advised(pairs, entropy=0.8))
    assert any("not measured" in s for s in advised(pairs, vote_share=0.9, length=0.9, entropy=None))
    assert (confidence_sign(0.89), confidence_sign(0.9)) == ("loss", "none")


def test_collapsed_and_cut_off_starts_are_told() -> None:
    sentences = advised([pair(RIGHT, cut=True)] * 30)
    assert any("collapsed already" in sentence for sentence in sentences)  # one answer for all prompts
    assert any("--max-tokens" in sentence for sentence in sentences)


def test_the_lead_holds_the_numbers() -> None:
    found = majority_outlook([pair("4 4 4 5 5")] * 20 + [pair(RIGHT)] * 20)
    assert found is not None
    sentence = lead("MajorityVoteReward", found)
    assert sentence.startswith(
        "MajorityVoteReward: a gain expected, from 60.0 % towards 100.0 %: 50.0 % of the prompts"
    )
    assert "balance +1.00" in sentence
