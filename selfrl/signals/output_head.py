"""A model's output head as numbers: weight, bias, and what it does to its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch.distributed.tensor import DTensor


def causal_model(model: Any) -> Any:
    """The transformers model itself, without a PEFT wrapper."""
    return model.get_base_model() if is_peft_model(model) else model


@dataclass(frozen=True)
class OutputHead:
    """z = cap(logit_scale · (weight h + bias)), with cap(x) = softcap · tanh(x / softcap) if there is one.

    Args:
        weight: (V, H).
        bias: (V,), or None.
        softcap: as in Gemma 2.
        logit_scale: as in Cohere (a factor) or Granite (a divisor).
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    softcap: float | None
    logit_scale: float

    @classmethod
    def of(cls, model: Any) -> OutputHead:
        """The head of a causal or vision-language model of transformers, tied or not."""
        layer, config = model.get_output_embeddings(), model.config.get_text_config()
        weight, bias = _whole(layer.weight), getattr(layer, "bias", None)
        bias = None if bias is None else _whole(bias)
        return cls(weight, bias, getattr(config, "final_logit_softcapping", None), _logit_scale(config))

    @property
    def vocab_size(self) -> int:
        """Entries of the distribution, V."""
        return len(self.weight)


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _logit_scale(config: Any) -> float:
    for factor in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        value = getattr(config, factor, None)
        if value is not None:
            return float(value)
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    return float(scaling) if config.model_type == "hyperclovax" else 1 / scaling
