"""Pure functions on tensors: what a model's own probabilities and weights say."""

from selfrl.signals.effective_rank import effective_rank
from selfrl.signals.ema import cosine_weight, ema_update_
from selfrl.signals.negative_aware import negative_aware_loss, prompt_weights
from selfrl.signals.token_confidence import differentiable_signals, token_signals

__all__ = [
    "cosine_weight",
    "differentiable_signals",
    "effective_rank",
    "ema_update_",
    "negative_aware_loss",
    "prompt_weights",
    "token_signals",
]
