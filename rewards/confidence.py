"""Rewards from a model's confidence in its own tokens. They need selfrl's trainers, which compute the signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from selfrl.answers import extract
from selfrl.rewards.contract import BaseReward, Batch, Scores, share_abstaining
from selfrl.rewards.spans import Span, check_per_token, token_span


class _ConfidenceReward(BaseReward):
    """Takes the signal's values over a span; subclasses say which signal, and what they make of it."""

    abstains = True
    signal: str

    def __init__(self, span: Span = "whole", no_answer: float | None = None) -> None:
        if span not in get_args(Span):
            raise ValueError(f"`span` is {span!r}: it must be one of {get_args(Span)}.")
        self.span, self.no_answer = span, no_answer
        by_text = span in ("answer", "rationale")
        self.signals = (self.signal, "token_texts") if by_text else (self.signal,)

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        rows = zip(batch.texts, batch.column(self.signal), batch.column("token_texts"), strict=True)
        rewards = [self._reward(*row) for row in rows]
        return Scores(rewards, {"abstained": share_abstaining(rewards)})

    def _reward(self, text: str, values: torch.Tensor | None, texts: Sequence[str] | None) -> float | None:
        if self.no_answer is not None and extract(text) is None:
            return self.no_answer
        if values is None:
            return None
        check_per_token(self.signal, values, texts)
        span = token_span(self.span, len(values), texts)
        return None if span is None else self.confidence(values[span].double())

    def confidence(self, values: torch.Tensor) -> float:
        """Reward of the signal's values (T,) over the span, T ≥ 1."""
        raise NotImplementedError


class SelfCertaintyReward(_ConfidenceReward):
    r"""Self-certainty: Intuitor (2505.19590).

    r = (1/T) Σ_t KL(U‖p_t), where p_t is the policy's distribution at the completion's token t, at the training
    temperature, and U the uniform one over the vocabulary. Higher is surer; at least 0, in nats.

    Abstains (None): a completion that could not be scored; under spans "answer" and "rationale", one whose span is
    empty.

    Args:
        span: tokens that count, see [`selfrl.rewards.spans.token_span`].
        no_answer: reward of a completion that states no answer, whatever its confidence. Default: no such rule.

    Raises:
        ValueError: under TRL's own trainers, which compute no signals.

    Example:
        >>> reward = SelfCertaintyReward()
        >>> reward(["2+2?"], ["4"], self_certainty=[torch.tensor([1.0, 2.0])])
        [1.5]
    """

    signal = "self_certainty"

    def confidence(self, values: torch.Tensor) -> float:
        """(1/T) Σ_t KL(U‖p_t)."""
        return values.mean().item()


class EntropyReward(_ConfidenceReward):
    r"""Negative token entropy: RENT (2505.22660).

    r = −(1/T) Σ_t H(p_t) over the span, in nats, at most 0. RENT's runs gave −7.0 to a completion without an
    extractable answer: `no_answer=-7.0`.

    Abstains (None): a completion that could not be scored; under spans "answer" and "rationale", one whose span is
    empty and has no `no_answer`.

    Args:
        span: tokens that count, see [`selfrl.rewards.spans.token_span`].
        no_answer: reward of a completion that states no answer, in place of its entropy. Default: no such rule.

    Raises:
        ValueError: under TRL's own trainers, which compute no signals.

    Example:
        >>> reward = EntropyReward(no_answer=-7.0)
        >>> reward(["2+2?"] * 2, [r"\boxed{4}", "four"], entropy=[torch.tensor([1.0, 0.5]), torch.tensor([0.1])])
        [-0.75, -7.0]
    """

    signal = "entropy"

    def confidence(self, values: torch.Tensor) -> float:
        """−(1/T) Σ_t H(p_t)."""
        return -values.mean().item()


class LogProbabilityReward(_ConfidenceReward):
    r"""Log-probability of the completion: EM-RL (2505.15134).

    r = Σ_t log p_t(y_t) over the span, or its mean. The sum is the trajectory's own log-probability, as in the paper,
    and favours short completions; the mean does not.

    Abstains (None): as [`EntropyReward`].

    Args:
        reduce: "mean" or "sum".
        span: tokens that count, see [`selfrl.rewards.spans.token_span`].
        no_answer: reward of a completion that states no answer. Default: no such rule.

    Raises:
        ValueError: under TRL's own trainers, which compute no signals.

    Example:
        >>> reward = LogProbabilityReward("sum")
        >>> reward(["2+2?"], ["4"], log_prob=[torch.tensor([-1.0, -0.5])])
        [-1.5]
    """

    signal = "log_prob"

    def __init__(
        self, reduce: Literal["mean", "sum"] = "mean", span: Span = "whole", no_answer: float | None = None
    ) -> None:
        if reduce not in ("mean", "sum"):
            raise ValueError(f"`reduce` is {reduce!r}: it must be 'mean' or 'sum'.")
        super().__init__(span, no_answer)
        self.reduce = reduce

    def confidence(self, values: torch.Tensor) -> float:
        """Σ_t log p_t(y_t), or its mean."""
        return (values.sum() if self.reduce == "sum" else values.mean()).item()


class AnswerProbabilityReward(_ConfidenceReward):
    r"""Mean probability of the stated answer's own tokens, after RLPR (2506.18254) without its reference answer.

    r = (1/|A|) Σ_{t ∈ A} p_t(y_t), where A are the tokens of the answer that the completion states, see
    [`selfrl.answers.extract`]. In 0..1. Probability rewards are known to shorten answers.

    Abstains (None): a completion that could not be scored. One without an answer gets `no_answer`, 0 by default; with
    None it abstains.

    Raises:
        ValueError: under TRL's own trainers, which compute no signals.

    Example:
        >>> reward = AnswerProbabilityReward()
        >>> log_prob = [torch.tensor([-3.0, 0.0, 0.0, 0.0, -2.0])]
        >>> reward(["2+2?"], [r"so \boxed{4}"], log_prob=log_prob, token_texts=[["so ", r"\boxed", "{", "4", "}"]])
        [1.0]
    """

    signal = "log_prob"

    def __init__(self, no_answer: float | None = 0.0) -> None:
        super().__init__("answer", no_answer)

    def confidence(self, values: torch.Tensor) -> float:
        """(1/|A|) Σ p_t(y_t)."""
        return values.exp().mean().item()
