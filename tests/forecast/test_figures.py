"""Figures of hand-made answers, with labels and without."""

import math

import pytest

from selfrl.forecast.agreement_figures import agreement_of, cost
from selfrl.forecast.answered_prompts import Wording, answered
from selfrl.forecast.asked_prompts import Asked
from selfrl.forecast.truth_figures import signal_aurocs, truth_of, vote_shares_of
from selfrl.generation import Generation


def wording(answers: str, gold: str | None = None, cut: int = 0) -> Wording:
    """A group by its answers, one a character; - for none; the last `cut` of them at the length limit."""
    said = [
        Generation("" if a == "-" else rf"\boxed{{{a}}}", "length" if i >= len(answers) - cut else "stop", 10, i + 1)
        for i, a in enumerate(answers)
    ]
    return answered(Asked(f"{answers}?", None, gold), [said])[0]


GROUPS = [wording("4444"), wording("4445"), wording("4455"), wording("1234", cut=1), wording("4---"), wording("----")]


def test_agreement_without_labels() -> None:
    found = agreement_of(GROUPS, failed=2)
    assert (found.prompts, found.failed, found.n) == (6, 2, 4)
    assert found.ratio == pytest.approx((1 + 0.75 + 0.5 + 0.25 + 0.25 + 0) / 6)
    assert [share for *_, share in found.histogram] == pytest.approx([1 / 6, 2 / 6, 1 / 6, 1 / 6, 1 / 6])
    assert found.decided == pytest.approx(2 / 6)  # 4444, 4445
    assert found.hopeless == pytest.approx(3 / 6)  # nobody repeats an answer in 1234, 4---, ----
    assert found.open == pytest.approx(1 / 6)
    assert found.tied == pytest.approx(2 / 6)  # 4455, 1234
    assert found.split == pytest.approx(3 / 6)  # 4445, 4455, 1234
    assert found.unanimous == pytest.approx(2 / 6)  # 4444, and ---- which teaches nothing either
    assert found.concentration == pytest.approx(11 / 24)  # the fours, of all completions
    assert found.no_answer == pytest.approx(7 / 24)
    assert found.truncated == pytest.approx(1 / 24)
    assert found.tokens == 2.5
    with pytest.raises(ValueError, match="No prompt was answered"):
        agreement_of([])


def test_a_prompt_is_read_once_a_group() -> None:
    found = cost(agreement_of(GROUPS), completions=800, a_prompt=8)
    assert (found.completions, found.read, found.written) == (800, 1000, 2000)


def test_truth_of_the_labelled_prompts_alone() -> None:
    pairs = [[wording("4445", "4")], [wording("5554", "4")], [wording("4444")], [wording("44-5", "4")]]
    found = truth_of(pairs)
    assert found is not None
    assert (found.avg.prompts, found.avg.value) == (3, pytest.approx((0.75 + 0.25 + 0.5) / 3))
    assert found.maj.value == pytest.approx(2 / 3)
    assert [part and (part.prompts, part.value) for part in found.by_bin] == [None, None, (1, 1.0), (2, 0.5), None]
    youden = found.majority.youden
    assert youden is not None
    assert youden.j == pytest.approx(5 / 6 - 3 / 6)  # right: 3 + 1 + 2, rewarded 5; wrong: 1 + 3 + 2, rewarded 3
    assert found.majority.accuracy == pytest.approx(8 / 12)
    assert found.contrastive is None
    assert truth_of([[wording("4444")]]) is None


def test_a_crossed_label_is_judged_by_its_own_wording() -> None:
    said = [[Generation(rf"\boxed{{{n}}}", "stop", 3, 5) for n in group] for group in ("5556", "4445")]
    found = truth_of([answered(Asked("2+2?", "Add 2 to 2.", "4"), said)])
    assert found is not None
    assert found.contrastive is not None
    assert found.contrastive.label_accuracy is not None
    assert found.contrastive.label_accuracy.value == 0.5
    # in the first nobody is rewarded, and all are wrong; in the second the one wrong answer is
    assert found.contrastive.accuracy == pytest.approx(4 / 8)  # by its own labels it would be 5 / 8
    assert found.majority.accuracy == pytest.approx(1 / 4)


def test_auroc_within_prompts_is_blind_to_which_prompt_is_easy() -> None:
    groups = [wording("4445", "4"), wording("5554", "4")]
    by_prompt = [0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]
    within = [0.2, 0.2, 0.2, 0.1, 0.8, 0.8, 0.8, 0.9]
    found = {row["signal"]: row for row in signal_aurocs(groups, {"easy": by_prompt, "knows": within})}
    assert found["easy"]["auroc"] == pytest.approx(0.75)
    assert found["easy"]["within"] == 0.5
    assert found["knows"]["within"] == 1.0
    assert found["knows"]["auroc"] == pytest.approx((3 * 1 + 1 * 4) / 16)


def test_auroc_within_prompts_weighs_them_by_their_pairs() -> None:
    groups = [wording("44455", "4"), wording("45555", "4")]
    found = signal_aurocs(groups, {"x": [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]})
    assert found[0]["within"] == pytest.approx((3 * 2 * 1 + 1 * 4 * 0) / (3 * 2 + 1 * 4))


def test_unknown_signals_and_undecided_answers_are_left_out() -> None:
    (row,) = signal_aurocs([wording("45", "4"), wording("44")], {"x": [0.5, math.nan, 1.0, 1.0]})
    assert row == {"signal": "x", "completions": 1, "auroc": None, "within": None}
    assert vote_shares_of([wording("445-")]) == [0.5, 0.5, 0.25, 0.0]
