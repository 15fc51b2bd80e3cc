"""Confidence of every token, from hidden states and the output head, without a (B, T, V) tensor."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from trl.kernels import ChunkedLogProbFunction

TokenSignal = Literal["log_prob", "entropy", "self_certainty", "margin"]
NAMES: tuple[TokenSignal, ...] = get_args(TokenSignal)

# Tokens x vocabulary entries in one tile. On a CPU a tile stays in the cache for all passes over it; a GPU needs
# larger ones to be busy.
_CPU_TILE = (1024, 2048)
_GPU_TILE = (4096, 16384)
_BLOCK = 128  # maxima are taken of blocks first: the two largest values then cost one pass
_DIFFERENTIABLE_CHUNK = 32768


@torch.no_grad()
def token_signals(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor | None = None,
    names: Collection[TokenSignal] = NAMES,
    *,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
) -> dict[TokenSignal, torch.Tensor]:
    r"""Signals of p = softmax(z) with z = cap(logit_scale · (W h + b)) / temperature, in one pass over the vocabulary.

    | name | value | paper |
    | --- | --- | --- |
    | log_prob | log p(y) of the target y | EM-RL 2505.15134 |
    | entropy | H(p) = −Σ_v p_v log p_v | RENT 2505.22660 |
    | self_certainty | KL(U‖p) = logsumexp(z) − mean_v z_v − log V | Intuitor 2505.19590 |
    | margin | p of the most likely token − p of the second | |

    Without a soft-cap, mean_v z_v is h · mean_v(W_v) + mean_v(b_v): one dot product a token. The product with W is
    taken in tiles; sums run in float32 whatever the inputs' type. No gradient, see [`differentiable_signals`].

    Args:
        hidden: last hidden states (..., H); the one at position t scores the token at t + 1.
        weight: output head (V, H), at least two rows.
        targets: token ids (...); needed for "log_prob" alone.
        names: which signals to compute.
        bias: of the head (V,).
        temperature: divides the logits, above 0.
        softcap: c in cap(x) = c · tanh(x / c).
        logit_scale: factor of the logits before the cap, as some models have.

    Returns:
        A float32 tensor (...) a name, in nats ("margin" is a difference of probabilities).

    Raises:
        ValueError: for shapes that do not fit, an unknown name, or "log_prob" without targets.

    Example:
        >>> signals = token_signals(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([0, 1]))
        >>> {name: round(value[0].item(), 3) for name, value in signals.items()}
        {'log_prob': -1.386, 'entropy': 1.386, 'self_certainty': 0.0, 'margin': 0.0}
    """
    _check(hidden, weight, targets, names, bias, temperature)
    shape = hidden.shape[:-1]
    hidden_NH = hidden.reshape(-1, hidden.shape[-1])
    targets_N = None if targets is None else targets.reshape(-1)
    rows, columns = _CPU_TILE if hidden.device.type == "cpu" else _GPU_TILE
    head = _Head(weight, bias, logit_scale, temperature, softcap, columns)
    parts = [
        _fold(head, hidden_NH[i : i + rows], None if targets_N is None else targets_N[i : i + rows], names)
        for i in range(0, max(len(hidden_NH), 1), rows)
    ]
    return {name: torch.cat([part[name] for part in parts]).view(shape) for name in names}


def differentiable_signals(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    logit_scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy as in [`token_signals`], with gradients, by TRL's chunked kernel.

    Returns:
        (log_prob, entropy), float32 tensors (...), differentiable in hidden, weight and bias.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> hidden = torch.zeros(1, 3, requires_grad=True)
        >>> log_prob, entropy = differentiable_signals(hidden, torch.eye(3), torch.tensor([0]))
        >>> log_prob.sum().backward()
        >>> [round(x, 3) for x in hidden.grad[0].tolist()]
        [0.667, -0.333, -0.333]
    """
    _check(hidden, weight, targets, ("log_prob", "entropy"), bias, temperature)
    log_prob, entropy, *_ = ChunkedLogProbFunction.apply(
        hidden.reshape(-1, hidden.shape[-1]),
        weight,
        bias,
        targets.reshape(-1),
        temperature,
        min(_DIFFERENTIABLE_CHUNK, len(weight)),
        softcap,
        logit_scale,
        ("entropy",),
    )
    return log_prob.view(targets.shape), entropy.view(targets.shape)


def _check(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor | None,
    names: Collection[str],
    bias: torch.Tensor | None,
    temperature: float,
) -> None:
    if weight.ndim != 2 or len(weight) < 2 or hidden.ndim < 1 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(f"hidden {tuple(hidden.shape)} and weight {tuple(weight.shape)} must be (..., H) and (V, H).")
    if targets is not None and targets.shape != hidden.shape[:-1]:
        raise ValueError(
            f"targets {tuple(targets.shape)} must have the shape {tuple(hidden.shape[:-1])} of the tokens."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias {tuple(bias.shape)} must be ({len(weight)},), one entry a row of the head.")
    if temperature <= 0:
        raise ValueError(f"`temperature` is {temperature}: it must be above 0.")
    unknown = set(names) - set(NAMES)
    if unknown:
        raise ValueError(f"Unknown signals {sorted(unknown)}: choose among {', '.join(NAMES)}.")
    if "log_prob" in names and targets is None:
        raise ValueError("The signal log_prob needs `targets`, the tokens whose probability is asked for.")


@dataclass
class _Head:
    """An output head that gives its logits tile by tile."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    logit_scale: float
    temperature: float
    softcap: float | None
    columns: int

    def __post_init__(self) -> None:
        # Without a cap the whole factor rides on the matrix product.
        self.factor = self.logit_scale / (self.temperature if self.softcap is None else 1.0)
        self.mean_weight_H: torch.Tensor | None = None

    def tile(self, hidden_NH: torch.Tensor, start: int, out: torch.Tensor) -> torch.Tensor:
        """Float32 logits of the vocabulary entries from `start`, (N, columns or fewer), in `out` if it fits."""
        weight_CH = self.weight[start : start + self.columns].to(hidden_NH.dtype)
        logits_NC = out[: len(hidden_NH), : len(weight_CH)]
        if self.bias is None:
            torch.addmm(logits_NC, hidden_NH, weight_CH.T, beta=0, alpha=self.factor, out=logits_NC)
        else:
            bias_C = self.bias[start : start + self.columns].to(hidden_NH.dtype)
            torch.addmm(bias_C, hidden_NH, weight_CH.T, beta=self.factor, alpha=self.factor, out=logits_NC)
        logits_NC = logits_NC.float()
        if self.softcap is not None:
            logits_NC.div_(self.softcap).tanh_().mul_(self.softcap / self.temperature)
        return logits_NC

    def mean_logits(self, hidden_NH: torch.Tensor) -> torch.Tensor:
        """mean_v z_v of a head without a cap, (N,)."""
        if self.mean_weight_H is None:
            pieces = self.weight.split(self.columns)
            self.mean_weight_H = torch.stack([p.float().sum(0) for p in pieces]).sum(0) / len(self.weight)
        mean_N = hidden_NH.float() @ self.mean_weight_H
        if self.bias is not None:
            mean_N += self.bias.float().mean()
        return self.factor * mean_N


def _fold(
    head: _Head, hidden_NH: torch.Tensor, targets_N: torch.Tensor | None, names: Collection[str]
) -> dict[str, torch.Tensor]:
    """Signals of N tokens, by the online form of logsumexp and of what goes with it."""
    N, V = len(hidden_NH), len(head.weight)
    columns = min(head.columns, V)
    buffer_NC = hidden_NH.new_empty(N, columns)
    exp_NC = hidden_NH.new_empty(N, columns, dtype=torch.float32)
    zeros_N = hidden_NH.new_zeros(N, dtype=torch.float32)
    top2_N2 = torch.full_like(exp_NC[:, :2], torch.finfo(torch.float32).min)
    sum_exp_N, sum_shifted_N, sum_N, target_N = (zeros_N.clone() for _ in range(4))
    for start in range(0, V, columns):
        logits_NC = head.tile(hidden_NH, start, buffer_NC)
        width = logits_NC.shape[1]
        if "log_prob" in names and targets_N is not None:
            local_N = targets_N - start
            found_N = logits_NC.gather(1, local_N.clamp(0, width - 1).unsqueeze(1)).squeeze(1)
            target_N = torch.where((local_N >= 0) & (local_N < width), found_N, target_N)
        if "self_certainty" in names and head.softcap is not None:
            sum_N += logits_NC.sum(1)
        last_N = top2_N2[:, 0]
        top2_N2 = _top2(logits_NC, top2_N2) if "margin" in names else _maximum(logits_NC, top2_N2)
        max_N = top2_N2[:, 0]
        shrink_N = (last_N - max_N).exp()
        logits_NC.sub_(max_N.unsqueeze(1))
        exps_NC = torch.exp(logits_NC, out=exp_NC[:, :width])
        if "entropy" in names:
            # Σ e^(z−max) (z−max), moved to the new maximum
            sum_shifted_N.add_(sum_exp_N * (last_N - max_N)).mul_(shrink_N).add_(logits_NC.mul_(exps_NC).sum(1))
        sum_exp_N.mul_(shrink_N).add_(exps_NC.sum(1))
    max_N, log_sum_N = top2_N2[:, 0], sum_exp_N.log()
    signals: dict[str, torch.Tensor] = {}
    if "log_prob" in names:
        signals["log_prob"] = target_N - max_N - log_sum_N
    if "entropy" in names:
        signals["entropy"] = log_sum_N - sum_shifted_N / sum_exp_N
    if "self_certainty" in names:
        mean_N = head.mean_logits(hidden_NH) if head.softcap is None else sum_N / V
        signals["self_certainty"] = max_N + log_sum_N - mean_N - math.log(V)
    if "margin" in names:
        signals["margin"] = (1 - (top2_N2[:, 1] - max_N).exp()) / sum_exp_N
    return signals


def _maximum(logits_NC: torch.Tensor, top2_N2: torch.Tensor) -> torch.Tensor:
    """`top2_N2` with its first column raised to the tile's maximum."""
    return torch.stack([torch.maximum(top2_N2[:, 0], logits_NC.amax(1)), top2_N2[:, 1]], 1)


def _top2(logits_NC: torch.Tensor, top2_N2: torch.Tensor) -> torch.Tensor:
    """The two largest among a tile and `top2_N2`, ties kept."""
    N, width = logits_NC.shape
    if width % _BLOCK == 0:
        blocks_NKB = logits_NC.view(N, -1, _BLOCK)
        maxima_NK = blocks_NKB.amax(2)
        best_N = maxima_NK.argmax(1)
        # The second largest is in the best block, or is another block's maximum.
        rows_N = torch.arange(N, device=logits_NC.device)
        logits_NC = torch.cat([maxima_NK, blocks_NKB[rows_N, best_N].topk(2).values[:, 1:]], 1)
    return torch.cat([top2_N2, logits_NC], 1).topk(2).values
