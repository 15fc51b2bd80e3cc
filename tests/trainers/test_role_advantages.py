"""The worked numbers of two-role advantages."""

import pytest

from selfrl.trainers.role_advantages import RoleBaselines, hierarchical


def test_a_problems_solvers_are_compared_with_each_other() -> None:
    assert hierarchical([1, 1, 0], "aaa") == pytest.approx([1 / 3, 1 / 3, -2 / 3])
    assert hierarchical([1, 0, 0.2], "aab") == pytest.approx([0.5, -0.5, 0])
    with pytest.raises(ValueError, match="3 rewards have 2 problems"):
        hierarchical([1, 1, 0], "aa")


def test_a_roles_baseline_is_that_before_the_reward() -> None:
    baselines = RoleBaselines()
    advantages, means = [], []
    for reward in (1, 1, 0):
        advantages.append(baselines.advantage("sums", "solver", reward))
        means.append(baselines.mean("sums", "solver"))
    assert advantages == pytest.approx([1, 0.95, -0.0975])
    assert means == pytest.approx([0.05, 0.0975, 0.092625])
    assert baselines.advantage("sums", "proposer", 1) == 1  # another role has its own
    assert baselines.advantage("words", "solver", 1) == 1


def test_baselines_are_kept() -> None:
    baselines, again = RoleBaselines(), RoleBaselines()
    baselines.advantage("sums", "solver", 1)
    again.load(baselines.state())
    assert again.state() == baselines.state()
    with pytest.raises(ValueError, match="decay is 2"):
        RoleBaselines(decay=2)
