"""Youden's J, reward accuracy and the bias triple against other ways to compute them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.monitor.label_noise import (
    Bias,
    Confusion,
    Youden,
    bias_triple,
    confusion,
    pooled,
    reward_accuracy,
    youden_by_prompt,
    youden_j,
)

SHEET = Confusion(tp=40, fn=10, fp=15, tn=35)
counts = st.integers(0, 30)
tables = st.builds(Confusion, counts, counts, counts, counts)


def rollouts(table: Confusion) -> tuple[list[float | None], list[float | None]]:
    """Pseudo-rewards and truth with these counts."""
    pseudo = [1.0] * table.tp + [0.0] * table.fn + [1.0] * table.fp + [0.0] * table.tn
    truth = [1.0] * (table.tp + table.fn) + [0.0] * (table.fp + table.tn)
    return list(pseudo), list(truth)


def test_the_sheets_table() -> None:
    found = youden_j(SHEET)
    assert found is not None
    assert found.j == pytest.approx(0.5)
    assert found.error == pytest.approx(0.0860233)
    pseudo, truth = rollouts(SHEET)
    bias = bias_triple(pseudo, truth, [0.5] * 100)
    assert bias == Bias(noise=0.25, skew=pytest.approx(0.2), coupling=None)


def test_j_divides_by_right_and_wrong_rollouts_each() -> None:
    # 4 of 5 right ones, 3 of 20 wrong ones: by precision, by columns or by all rollouts it would be another number
    found = youden_j(Confusion(tp=4, fn=1, fp=3, tn=17))
    assert found is not None
    assert found.j == pytest.approx(0.8 - 0.15)
    assert found.error == pytest.approx(np.sqrt(0.8 * 0.2 / 5 + 0.15 * 0.85 / 20))


@given(tables)
def test_j_by_exact_fractions(table: Confusion) -> None:
    found, (pseudo, truth) = youden_j(table), rollouts(table)
    assert confusion(pseudo, truth) == table
    if table.tp + table.fn == 0 or table.fp + table.tn == 0:
        assert found is None
        return
    assert found is not None
    tpr, fpr = Fraction(table.tp, table.tp + table.fn), Fraction(table.fp, table.fp + table.tn)
    assert found.j == pytest.approx(float(tpr - fpr))
    turned = youden_j(Confusion(table.fn, table.tp, table.tn, table.fp))  # a reward that says the opposite
    assert turned is not None
    assert (turned.j, turned.error) == (pytest.approx(-found.j), pytest.approx(found.error))


def test_the_alarm_and_the_stop_are_two_bounds() -> None:
    assert not Youden(0.15, 0.04).alarms  # .2156
    assert Youden(0.15, 0.03).alarms  # .1992
    assert not Youden(0.0, 0.0).stops
    assert Youden(-0.01, 1.0).stops


def test_the_bootstrap_goes_by_prompt() -> None:
    clustered = [Confusion(16, 0, 0, 8)] * 20 + [Confusion(0, 16, 8, 0)] * 20
    pool, by_prompt = youden_j(pooled(clustered)), youden_by_prompt(clustered)
    assert pool is not None
    assert by_prompt is not None
    assert by_prompt.j == pool.j == 0
    # 40 prompts that are right or wrong as a whole: 2·√(.25/40), not 2·√(.25/960)
    assert by_prompt.error == pytest.approx(2 * np.sqrt(0.25 / 40), rel=0.1)
    assert pool.error < by_prompt.error / 3
    assert youden_by_prompt(clustered) == by_prompt
    assert youden_by_prompt(clustered, seed=1) != by_prompt


def test_the_bootstrap_agrees_with_the_pool_where_prompts_do_not_cluster() -> None:
    rng = np.random.default_rng(0)
    alone = [Confusion(*rng.multinomial(1, (0.4, 0.1, 0.15, 0.35)).tolist()) for _ in range(1000)]
    pool, by_prompt = youden_j(pooled(alone)), youden_by_prompt(alone)
    assert pool is not None
    assert by_prompt is not None
    assert by_prompt.error == pytest.approx(pool.error, rel=0.1)


def test_without_right_or_wrong_answers_there_is_no_j() -> None:
    assert youden_by_prompt([]) is None
    assert youden_by_prompt([Confusion(3, 1, 0, 0)]) is None
    assert pooled([]) == Confusion(0, 0, 0, 0)


def test_reward_accuracy_counts_agreement_on_wrong_answers() -> None:
    votes = [7] * 5 + [4] * 2 + [1]
    pseudo, truth = [float(v == 7) for v in votes], [float(v == 4) for v in votes]
    assert reward_accuracy(pseudo, truth) == 0.125  # not the label's accuracy, 0, and not avg@1, .25
    assert reward_accuracy([1.0] * 8, [0.0] * 8) == 0
    assert reward_accuracy([None, 1.0], [1.0, None]) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, None]), st.sampled_from([0.0, 1.0, None]), st.floats(0, 1))))
def test_the_bias_triple_by_the_table(rows: list[tuple[float | None, float | None, float]]) -> None:
    pseudo, truth, shares = ([row[i] for row in rows] for i in range(3))
    found, table = bias_triple(pseudo, truth, shares), confusion(pseudo, truth)
    accuracy = reward_accuracy(pseudo, truth)
    if sum(table) == 0:
        assert found is None
        assert accuracy is None
        return
    assert found is not None
    assert accuracy is not None
    assert found.noise == pytest.approx(1 - accuracy)
    errors = table.fp + table.fn
    assert found.skew == (None if errors == 0 else pytest.approx((table.fp - table.fn) / errors))
    assert found.coupling is None or -1.000001 <= found.coupling <= 1.000001


def test_coupling_is_the_correlation_with_the_share_of_votes() -> None:
    rng = np.random.default_rng(3)
    pseudo, truth = rng.integers(0, 2, (2, 200)).astype(float)
    shares = rng.random(200)
    found = bias_triple(pseudo.tolist(), truth.tolist(), shares.tolist())
    assert found is not None
    x, y = pseudo - truth, shares
    expected = ((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std())
    assert found.coupling == pytest.approx(expected)
    wrong_and_liked = bias_triple([1, 1, 0, 0], [0, 1, 0, 1], [0.9, 0.5, 0.1, 0.1])
    assert wrong_and_liked is not None
    assert wrong_and_liked.coupling is not None
    assert wrong_and_liked.coupling > 0.5
