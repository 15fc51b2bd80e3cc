"""The loss against a float64 reference written from the paper, its edges, and what it equals on-policy."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.signals import negative_aware_loss, prompt_weights
from selfrl.signals.negative_aware import PROMPT_WEIGHTS, negative_aware_terms

WEIGHTS = {"one_minus_rate": lambda r: 1 - r, "grpo": lambda r: math.sqrt((1 - r) / r), "none": lambda r: 1.0}


def reference(
    logps: torch.Tensor,
    old: torch.Tensor,
    mask: torch.Tensor,
    labels: torch.Tensor,
    rates: torch.Tensor,
    *,
    sequence: bool = False,
    weight: str = "one_minus_rate",
    negative_weight: float = 1.0,
    clamp_positive: float = 0.0,
    clamp_negative: float = 1.0,
) -> tuple[float, torch.Tensor]:
    """Sum of the token losses, and its gradient by hand, token by token in Python floats."""
    total, gradient = 0.0, torch.zeros(logps.shape, dtype=torch.float64)
    for b in range(len(logps)):
        r, y = rates[b].item(), labels[b].item()
        if math.isnan(y) or not 0 < r < 1:
            continue
        r = min(max(r, 0.02), 0.98)
        w = WEIGHTS[weight](r)
        tokens = [t for t in range(logps.shape[1]) if mask[b, t]]
        for t in tokens:
            heads = tokens if sequence else [t]
            log_ratio = sum((logps[b, h] - old[b, h]).item() for h in heads) / len(heads)
            R, within = math.exp(min(log_ratio, 10.0)), float(log_ratio <= 10)
            x = (1 - r * R) / (1 - r)
            positive = -math.log(max(R, clamp_positive))
            negative = -math.log(max(x, clamp_negative))
            total += w * (y * positive + negative_weight * (1 - y) * negative)
            positive_slope = -within * R / max(R, clamp_positive)
            negative_slope = within * r / (1 - r) * R / max(x, clamp_negative)
            slope = w * (y * positive_slope + negative_weight * (1 - y) * negative_slope)
            for h in heads:
                gradient[b, h] += slope / len(heads)
    return total, gradient


def batch(seed: int, rows: int = 6, length: int = 5, spread: float = 1.0) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    old = -torch.rand(rows, length, generator=draw, dtype=torch.float64) * 3
    logps = old + spread * torch.randn(rows, length, generator=draw, dtype=torch.float64)
    mask = torch.arange(length) < torch.randint(0, length + 1, (rows, 1), generator=draw)
    labels = torch.tensor([1.0, 0.0, 0.3, 0.0, 1.0, math.nan] * rows)[:rows].double()
    rates = torch.tensor([0.25, 0.5, 0.9, 0.0, 0.005, 0.5] * rows)[:rows].double()
    return logps.requires_grad_(), old, mask, labels, rates


@pytest.mark.parametrize(
    ("log_ratio", "expected"), [(11.0, 0.0), (10.0, 0.25 * math.exp(10)), (9.0, 0.25 * math.exp(9))]
)
def test_the_gradient_ends_where_the_log_ratio_is_clamped(log_ratio: float, expected: float) -> None:
    """A wrong answer at rate ¼: w · r / (1−r) · R is ¾ · ⅓ · R up to log R = 10, and at 11 nothing (not 5506)."""
    old = torch.tensor([[-12.0]], dtype=torch.float64)
    logps = (old + log_ratio).requires_grad_()
    loss = negative_aware_loss(logps, old, torch.ones(1, 1), torch.zeros(1), torch.tensor([0.25]), normalizer=1.0)
    loss.backward()
    assert logps.grad is not None
    assert logps.grad.item() == pytest.approx(expected, rel=1e-6)
    assert loss.item() == 0  # the floor of 1 on the negative policy's ratio holds the value


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("spread", [1.0, 8.0])
def test_beyond_the_clamp_value_and_gradient_are_the_formula(sequence: bool, spread: float) -> None:
    beyond = 0
    for seed in range(20):
        logps, old, mask, labels, rates = batch(seed, spread=1.0)
        with torch.no_grad():
            logps += spread * (torch.arange(len(logps)).unsqueeze(1) % 3)  # rows beside, near and beyond the clamp
        loss = negative_aware_loss(
            logps, old, mask, labels, rates, ratio="sequence" if sequence else "token", normalizer=1.0
        )
        loss.backward()
        total, gradient = reference(logps, old, mask, labels, rates, sequence=sequence)
        assert loss.item() == pytest.approx(total, rel=1e-10, abs=1e-12)
        torch.testing.assert_close(logps.grad, gradient, rtol=1e-10, atol=1e-12)
        beyond += int(((logps - old > 10) & mask).sum())
    assert (beyond > 0) == (spread == 8.0)


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("weight", PROMPT_WEIGHTS)
@pytest.mark.parametrize("clamps", [(0.0, 1.0), (0.5, 0.2), (1.2, 3.0)])
@pytest.mark.parametrize("negative_weight", [1.0, 0.0, 0.4])
def test_off_policy_value_and_gradient_are_the_formula(
    sequence: bool, weight: str, clamps: tuple[float, float], negative_weight: float
) -> None:
    for seed in range(3):
        arguments = batch(seed)
        loss = negative_aware_loss(
            *arguments,
            ratio="sequence" if sequence else "token",
            prompt_weight=weight,  # type: ignore[arg-type]
            negative_weight=negative_weight,
            clamp_positive=clamps[0],
            clamp_negative=clamps[1],
            normalizer=7.0,
        )
        loss.backward()
        total, gradient = reference(
            *arguments,
            sequence=sequence,
            weight=weight,
            negative_weight=negative_weight,
            clamp_positive=clamps[0],
            clamp_negative=clamps[1],
        )
        assert loss.item() == pytest.approx(total / 7, rel=1e-10, abs=1e-12)
        torch.testing.assert_close(arguments[0].grad, gradient / 7, rtol=1e-10, atol=1e-12)


def test_default_normaliser_counts_every_token_of_the_mask() -> None:
    arguments = batch(0)
    mask = arguments[2]
    constant = negative_aware_loss(*arguments, normalizer=float(mask.sum()))
    assert negative_aware_loss(*arguments).item() == pytest.approx(constant.item())


@pytest.mark.parametrize("kind", ["one_minus_rate", "grpo"])
@pytest.mark.parametrize("right", range(1, 8))
def test_on_policy_gradient_is_the_negative_advantage(kind: str, right: int) -> None:
    """With r answers right of 8, minus the gradient is r − r̄, and with "grpo" that over TRL's deviation."""
    labels = torch.tensor([1.0] * right + [0.0] * (8 - right), dtype=torch.float64)
    advantages = labels - labels.mean()
    if kind == "grpo":
        advantages = advantages / (labels.std() + 1e-4)
    logps = torch.full((8, 3), -1.0, dtype=torch.float64, requires_grad=True)
    loss = negative_aware_loss(
        logps,
        logps.detach(),
        torch.ones(8, 3),
        labels,
        labels.mean().expand(8),
        prompt_weight=kind,  # type: ignore[arg-type]
        group_sizes_B=torch.full((8,), 8),
        normalizer=1.0,
    )
    loss.backward()
    assert logps.grad is not None
    torch.testing.assert_close(-logps.grad, advantages.unsqueeze(1).expand(8, 3), rtol=1e-12, atol=0)


def test_the_square_root_is_the_population_deviation() -> None:
    rates = torch.tensor([0.1, 0.5, 0.7], dtype=torch.float64)
    exact = prompt_weights(rates, "grpo", torch.full((3,), 10**12))
    torch.testing.assert_close(prompt_weights(rates, "grpo"), exact, rtol=1e-3, atol=0)
    torch.testing.assert_close(prompt_weights(rates, "grpo")[0], torch.tensor(3.0, dtype=torch.float64))


@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize("log_ratio", [-2000.0, -50.0, -1e-4, 0.0, 0.5, math.log(2), 0.7, 9.99, 10.01, 80.0, 2000.0])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.5, 0.98, 0.999])
def test_edges_are_finite_and_push_the_right_way(ratio: str, log_ratio: float, rate: float) -> None:
    """r·R at 1 and beyond, R at 0, one token: right answers never go down, wrong ones never up; neither beyond e¹⁰."""
    old = torch.full((2, 1), -1.0)
    logps = (old + log_ratio).requires_grad_()
    loss = negative_aware_loss(
        logps,
        old,
        torch.ones(2, 1),
        torch.tensor([1.0, 0.0]),
        torch.full((2,), rate),
        ratio=ratio,  # type: ignore[arg-type]
    )
    loss.backward()
    assert loss.isfinite()
    assert logps.grad is not None
    assert logps.grad.isfinite().all()
    right, wrong = logps.grad[:, 0].tolist()
    if log_ratio > 10:
        assert (right, wrong) == (0, 0)
        return
    assert right < 0
    assert wrong > 0 or (wrong == 0 and log_ratio == -2000)  # exp(-2000) is 0


def test_masked_unlabelled_and_one_sided_rows_teach_nothing() -> None:
    logps = torch.randn(5, 3, requires_grad=True)
    old = torch.randn(5, 3)
    old[0] = math.inf  # whatever stands in padding
    mask = torch.tensor([0, 1, 1, 1, 1]).unsqueeze(1).expand(5, 3)
    labels = torch.tensor([1.0, math.nan, 0.0, 1.0, math.nan])
    rates = torch.tensor([0.5, 0.5, 0.0, 1.0, math.nan])
    loss = negative_aware_loss(logps, old, mask, labels, rates)
    loss.backward()
    assert loss.item() == 0
    assert logps.grad is not None
    assert (logps.grad == 0).all()


def test_nothing_in_the_mask() -> None:
    logps = torch.zeros(2, 3, requires_grad=True)
    loss = negative_aware_loss(logps, logps.detach(), torch.zeros(2, 3), torch.ones(2), torch.full((2,), 0.5))
    loss.backward()
    assert loss.item() == 0


def test_clamped_tokens_are_told() -> None:
    logps = torch.tensor([[0.0, 0.2, -0.2]])
    terms = negative_aware_terms(
        logps, torch.zeros(1, 3), torch.tensor([[1, 1, 1]]), torch.zeros(1), torch.full((1,), 0.5)
    )
    assert terms.clamped.tolist() == [[False, True, False]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": "word"}, "choose among token, sequence"),
        ({"prompt_weight": "rate"}, "choose among one_minus_rate, grpo, none"),
        ({"clamp_negative": 0.0}, "must be above 0"),
    ],
)
def test_unknown_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        negative_aware_loss(*batch(0), **options)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.1, 3.0, 30.0]),
    weight=st.sampled_from(PROMPT_WEIGHTS),
    negative_weight=st.floats(0, 2),
    clamp_negative=st.floats(0.01, 5),
    clamp_positive=st.floats(0, 2),
)
def test_any_batch_is_finite_linear_in_soft_labels_and_blind_to_padding(
    seed: int, spread: float, weight: str, negative_weight: float, clamp_negative: float, clamp_positive: float
) -> None:
    logps, old, mask, labels, rates = batch(seed, spread=spread)

    def value(labels: torch.Tensor, logps: torch.Tensor = logps) -> torch.Tensor:
        return negative_aware_loss(
            logps,
            old,
            mask,
            labels,
            rates,
            prompt_weight=weight,  # type: ignore[arg-type]
            negative_weight=negative_weight,
            clamp_negative=clamp_negative,
            clamp_positive=clamp_positive,
        )

    loss = value(labels)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, logps)[0].isfinite().all()
    soft = torch.full_like(labels, 0.3)
    mixture = 0.3 * value(torch.ones_like(labels)) + 0.7 * value(torch.zeros_like(labels))
    torch.testing.assert_close(value(soft), mixture)
    torch.testing.assert_close(value(labels, logps.masked_fill(~mask, -77.0)), loss)
