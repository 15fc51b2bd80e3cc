"""Pure functions on tensors: what a model's own probabilities and weights say."""

from selfrl.signals.confidence import differentiable_signals, token_signals

__all__ = ["differentiable_signals", "token_signals"]
