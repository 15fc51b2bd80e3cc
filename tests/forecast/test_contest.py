"""The arithmetic of contests: against a policy gradient in float64, and at its bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.forecast.contest import Stake, balance, end


def first_order(shares: np.ndarray, label: int) -> float:
    """d p(right)/dt, right is answer 0, under the natural policy gradient of E[1[answer = label]], by finite steps."""
    step = 1e-7
    rewards = np.eye(len(shares))[label]
    logits = np.log(shares) + step * (rewards - shares @ rewards)
    after = np.exp(logits) / np.exp(logits).sum()
    return float((after[0] - shares[0]) / step)


@given(st.lists(st.floats(0.05, 1), min_size=3, max_size=6), st.booleans())
def test_push_and_scattered_errors_are_the_policy_gradient(weights: list[float], label_is_right: bool) -> None:
    shares = np.array(weights) / sum(weights)
    rival = int(shares[1:].argmax()) + 1
    label = 0 if label_is_right else rival
    stake = Stake(shares[0], shares[rival], label_is_right, shares[label])
    scattered = shares[0] * (1 - shares[0] - shares[rival]) if label_is_right else 0.0
    assert stake.push + scattered == pytest.approx(first_order(shares, label), abs=1e-5)
    assert abs(stake.push) <= stake.mass + 1e-12


def test_a_contest_needs_a_quarter_on_both_sides() -> None:
    assert Stake(0.25, 0.25, True, 0.25).contested
    assert not Stake(0.24, 0.6, False, 0.6).contested  # the right answer is hardly there
    assert not Stake(0.6, 0.24, True, 0.6).contested
    assert Stake(0.9, 0.05, False, 0.05, disputed=True).contested


def test_the_balance_weighs_contests_by_their_gradient() -> None:
    close, clear = Stake(0.5, 0.5, True, 0.5), Stake(0.25, 0.7, False, 0.7)
    found = balance([[close], [clear], [Stake(0.9, 0.1, False, 0.1)]])
    assert found is not None
    assert found.value == pytest.approx((0.25 - 0.175) / (0.25 + 0.175))  # not 0, as by counts
    assert found.prompts == 2  # the last is no contest
    assert balance([[Stake(0.9, 0.1, True, 0.9)]]) is None


def test_few_contests_that_lean_one_way_prove_little() -> None:
    right = [Stake(0.5, 0.3, True, 0.5)]
    few, many = balance([right] * 3), balance([right] * 30)
    assert few is not None
    assert many is not None
    assert few.value == many.value == 1
    assert few.low < 0 < many.low
    wrong = balance([[Stake(0.3, 0.5, False, 0.5)]] * 30)
    assert wrong is not None
    assert wrong.high < 0


def test_the_interval_goes_by_prompt_not_by_wording() -> None:
    right, wrong = Stake(0.5, 0.5, True, 0.5), Stake(0.5, 0.5, False, 0.5)
    alone = balance([[right]] * 30 + [[wrong]] * 20)
    doubled = balance([[right, right]] * 30 + [[wrong, wrong]] * 20)
    assert alone is not None
    assert doubled is not None
    assert alone.value == doubled.value
    assert doubled.high - doubled.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_where_a_prompt_ends() -> None:
    torn, sharp, silent = Stake(0.5, 0.3, True, 0.5), Stake(0.7, 0.1, True, 0.7), Stake(0.4, 0.1, None, 0.0)
    assert [end([stake], won=True) for stake in (torn, sharp, silent)] == [1.0, 1.0, 0.4]
    assert [end([stake], won=False) for stake in (torn, sharp, silent)] == [0.0, 1.0, 0.4]
    mended = Stake(0.3, 0.6, False, 0.6, reach=1.0, disputed=True)
    assert (end([mended], won=True), end([mended], won=False)) == (1.0, 0.0)
