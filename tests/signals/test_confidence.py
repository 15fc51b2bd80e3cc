"""Token signals against float64 references written from the papers' formulas."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from selfrl.signals import differentiable_signals, token_confidence, token_signals


def reference(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
) -> dict[str, torch.Tensor]:
    """Every signal from the probabilities themselves, in float64."""
    z = hidden.double() @ weight.double().T
    if bias is not None:
        z = z + bias.double()
    z = z * logit_scale
    if softcap is not None:
        z = softcap * torch.tanh(z / softcap)
    p = torch.softmax(z / temperature, -1)
    V = p.shape[-1]
    top = p.sort(-1, descending=True).values
    return {
        "log_prob": p.gather(-1, targets.unsqueeze(-1)).squeeze(-1).log(),
        "entropy": -(p * p.log()).sum(-1),
        "self_certainty": ((1 / V) * ((1 / V) / p).log()).sum(-1),
        "margin": top[..., 0] - top[..., 1],
    }


def random_case(seed: int, T: int, V: int, H: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(T, H, generator=generator),
        torch.randn(V, H, generator=generator),
        torch.randint(V, (T,), generator=generator),
    )


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    T=st.integers(1, 7),
    V=st.integers(2, 700),
    with_bias=st.booleans(),
    temperature=st.sampled_from([0.6, 1.0, 1.7]),
    softcap=st.sampled_from([None, 3.0]),
    logit_scale=st.sampled_from([1.0, 0.5]),
    names=st.sets(st.sampled_from(token_confidence.NAMES), min_size=1),
)
def test_any_subset_equals_the_float64_reference(
    seed: int,
    T: int,
    V: int,
    with_bias: bool,
    temperature: float,
    softcap: float | None,
    logit_scale: float,
    names: set[Any],
) -> None:
    hidden, weight, targets = random_case(seed, T, V)
    bias = torch.randn(V, generator=torch.Generator().manual_seed(seed)) + 1 if with_bias else None
    options: dict[str, Any] = {"temperature": temperature, "softcap": softcap, "logit_scale": logit_scale, "bias": bias}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_confidence, "_CPU_TILE", (3, 256))  # several tiles both ways, the last one partial
        signals = token_signals(hidden, weight, targets, names, **options)
    expected = reference(hidden, weight, targets, **options)
    assert signals.keys() == names
    for name, value in signals.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-5)


def test_large_vocabulary_in_the_tiles_of_a_real_run() -> None:
    hidden, weight, targets = random_case(0, 600, 5000, 64)
    signals = token_signals(hidden, weight / 4, targets, temperature=0.8)
    for name, value in reference(hidden, weight / 4, targets, temperature=0.8).items():
        torch.testing.assert_close(signals[name].double(), value, rtol=1e-5, atol=1e-5)  # type: ignore[index]


def test_leading_dimensions_are_kept_and_targets_are_needed_for_log_prob_alone() -> None:
    hidden, weight, targets = random_case(1, 6, 10)
    flat = token_signals(hidden, weight, targets)
    batched = token_signals(hidden.view(2, 3, 8), weight, targets.view(2, 3))
    assert all(torch.equal(batched[name], flat[name].view(2, 3)) for name in token_confidence.NAMES)
    alone = token_signals(hidden, weight, names=["entropy"])
    torch.testing.assert_close(alone["entropy"], flat["entropy"])
    assert token_signals(hidden[:0], weight, targets[:0])["margin"].shape == (0,)


def test_self_certainty_is_no_function_of_entropy() -> None:
    def entropy(p: torch.Tensor) -> float:
        return -(p * p.log()).sum().item()

    two_peaks = torch.tensor([0.5, 0.498, 0.001, 0.001], dtype=torch.float64)
    low, high = 0.25, 0.999
    for _ in range(60):  # one peak, softened to the same entropy
        top = (low + high) / 2
        one_peak = torch.tensor([top, *[(1 - top) / 3] * 3], dtype=torch.float64)
        low, high = (top, high) if entropy(one_peak) > entropy(two_peaks) else (low, top)
    signals = token_signals(
        torch.stack([two_peaks.log(), one_peak.log()]).float(), torch.eye(4), names=["entropy", "self_certainty"]
    )
    assert signals["entropy"][0].item() == pytest.approx(signals["entropy"][1].item(), abs=1e-5)
    assert (signals["self_certainty"][0] - signals["self_certainty"][1]).item() > 0.5


def test_margin_of_a_tie_is_zero_and_of_one_certain_token_is_one() -> None:
    def margin(weight: torch.Tensor) -> float:
        return token_signals(torch.ones(1, 1), weight, names=["margin"])["margin"].item()

    weight = torch.zeros(512, 1)
    weight[[3, 4, 300]] = 50.0
    assert margin(weight) == 0
    weight[[3, 4]] = 0
    assert margin(weight) == pytest.approx(1)


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_the_differentiable_form_has_the_gradient_of_the_materialised_one(softcap: float | None) -> None:
    hidden, weight, targets = random_case(2, 5, 40)
    bias = torch.linspace(-1, 1, 40)
    ours = [t.clone().requires_grad_() for t in (hidden, weight, bias)]
    log_prob, entropy = differentiable_signals(
        ours[0], ours[1], targets, bias=ours[2], temperature=0.7, softcap=softcap, logit_scale=0.5
    )
    (log_prob.sum() + 2 * (entropy * torch.arange(5)).sum()).backward()
    exact = [t.double().requires_grad_() for t in (hidden, weight, bias)]
    z = (exact[0] @ exact[1].T + exact[2]) * 0.5
    z = z if softcap is None else softcap * torch.tanh(z / softcap)
    logs = (z / 0.7).log_softmax(-1)
    expected = logs.gather(1, targets.unsqueeze(1)).sum() + 2 * (-(logs.exp() * logs).sum(1) * torch.arange(5)).sum()
    expected.backward()
    for mine, theirs in zip(ours, exact, strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-5, atol=1e-5)
    forward = token_signals(
        hidden, weight, targets, ["log_prob", "entropy"], bias=bias, temperature=0.7, softcap=softcap, logit_scale=0.5
    )
    torch.testing.assert_close(log_prob, forward["log_prob"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy, forward["entropy"], rtol=1e-5, atol=1e-5)


def test_bfloat16_inputs_are_summed_in_float32() -> None:
    # 3000 equal logits: a bfloat16 sum of exponentials would stop at 256.
    hidden, weight = torch.zeros(1, 4, dtype=torch.bfloat16), torch.ones(3000, 4, dtype=torch.bfloat16)
    signals = token_signals(hidden, weight, names=["entropy", "self_certainty"])
    assert signals["entropy"].dtype == torch.float32
    assert signals["entropy"].item() == pytest.approx(math.log(3000), abs=1e-4)
    assert signals["self_certainty"].item() == pytest.approx(0, abs=1e-4)


class LargestTensor(TorchDispatchMode):
    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_nothing_as_large_as_tokens_times_vocabulary_is_made() -> None:
    hidden, weight, targets = random_case(3, 1100, 6000)
    with LargestTensor() as seen:
        token_signals(hidden, weight, targets, softcap=4.0)
    assert seen.elements <= 1024 * 2048


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.zeros(4, 7)}, r"must be \(\.\.\., H\) and \(V, H\)"),
        ({"targets": torch.zeros(3, dtype=torch.long)}, "must have the shape"),
        ({"bias": torch.zeros(5)}, "one entry a row"),
        ({"temperature": 0.0}, "must be above 0"),
        ({"names": ["certainty"]}, "Unknown signals"),
        ({"targets": None}, "needs `targets`"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    hidden, weight, targets = random_case(4, 2, 4)
    with pytest.raises(ValueError, match=message):
        token_signals(**{"hidden": hidden, "weight": weight, "targets": targets, **change})
