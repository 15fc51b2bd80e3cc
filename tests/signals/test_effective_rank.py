"""RankMe against a float64 reference written from the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selfrl.signals import effective_rank


def reference(states: np.ndarray) -> float:
    sizes = np.linalg.svd(states.astype(np.float64), compute_uv=False)
    shares = sizes / sizes.sum() + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize(("n", "d", "rank"), [(16, 8, 8), (16, 8, 2), (8, 32, 3), (5, 5, 1)])
def test_it_is_the_papers(n: int, d: int, rank: int) -> None:
    draw = np.random.default_rng(n * d * rank)
    states = draw.normal(size=(n, rank)) @ draw.normal(size=(rank, d))
    found = effective_rank(torch.tensor(states))
    assert found == pytest.approx(reference(states), rel=1e-4)
    assert found is not None
    assert found <= rank + 0.01
    # not the entropy of squared values, which counts large directions more
    squares = np.linalg.svd(states, compute_uv=False) ** 2
    if rank > 1:
        assert abs(found - np.exp(-sum(p * np.log(p) for p in squares / squares.sum() if p > 0))) > 0.01


def test_states_that_say_nothing_have_none() -> None:
    assert effective_rank(torch.zeros(3, 4)) is None
    assert effective_rank(torch.full((3, 4), float("nan"))) is None
    with pytest.raises(ValueError, match="must be"):
        effective_rank(torch.zeros(3))
