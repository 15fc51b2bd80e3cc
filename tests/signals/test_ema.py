"""The moving average and its schedule against float64."""

import math

import pytest
import torch

from selfrl.signals import cosine_weight, ema_update_


def test_both_ends_and_the_middle_of_the_schedule() -> None:
    assert cosine_weight(0, 100, 0.01, 1e-5) == pytest.approx(0.01, rel=1e-12)
    assert cosine_weight(100, 100, 0.01, 1e-5) == pytest.approx(1e-5, rel=1e-9)
    assert cosine_weight(50, 100, 0.01, 1e-5) == pytest.approx((0.01 + 1e-5) / 2, rel=1e-9)
    assert cosine_weight(25, 100, 1.0, 0.0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    for step in (-1, 101):
        with pytest.raises(ValueError, match="steps run from 0"):
            cosine_weight(step, 100, 0.01, 1e-5)


def test_the_shadow_follows_float64_where_bfloat16_drifts() -> None:
    generator = torch.Generator().manual_seed(0)
    steps = 300
    policy = torch.randn(4000, generator=generator, dtype=torch.float64) * 0.02
    exact, shadow, naive = policy.clone(), {"w": policy.float()}, policy.bfloat16()
    start = policy.clone()
    for k in range(steps):
        policy += torch.randn(4000, generator=generator, dtype=torch.float64) * 2e-4
        weight = cosine_weight(k, steps, 0.01, 1e-5)
        live = policy.bfloat16()
        exact = weight * live.double() + (1 - weight) * exact
        ema_update_(shadow, {"w": live}, weight)
        naive.mul_(1 - weight).add_(live, alpha=weight)

    def correlation(teacher: torch.Tensor) -> float:
        return torch.corrcoef(torch.stack([teacher.double() - start, exact - start]))[0, 1].item()

    assert correlation(shadow["w"]) > 0.99999
    assert correlation(naive) < 0.95
    torch.testing.assert_close(shadow["w"].double(), exact, rtol=0, atol=1e-7)


def test_the_weight_belongs_to_the_policy() -> None:
    teacher = {"w": torch.tensor([1.0])}
    ema_update_(teacher, {"w": torch.tensor([3.0])}, 0.25)
    assert teacher["w"].item() == 1.5


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in"):
        ema_update_({"a": torch.zeros(1)}, {"b": torch.zeros(1)}, 0.5)
