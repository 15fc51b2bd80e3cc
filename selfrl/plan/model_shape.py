"""What there is to know of a model without its weights: sizes, and what a forward pass keeps for the backward one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model.

    Args:
        parameters: of the model, embeddings included, tied ones once.
        trained: of these, or of an adapter.
        layers: decoder layers.
        width: of a hidden state.
        inner: of a feed-forward layer's hidden state; of a mixture of experts, those that are active.
        vocabulary: entries.
        kv_values: numbers that a key-value cache holds a token.
    """

    parameters: int
    trained: int
    layers: int
    width: int
    inner: int
    vocabulary: int
    kv_values: int


def read_config(model: str, given: Path | None = None) -> Any:
    """A model's configuration, from its folder, the hub, or a file.

    Args:
        model: folder or hub name.
        given: a config.json, or a folder with one, in its place.

    Raises:
        ValueError: if it cannot be read, or is no causal language model's.
    """
    source = str(model if given is None else given)
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The configuration of {source} cannot be read: name its config.json, or a folder with it, by --config."
        ) from error
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise ValueError(f"{source} is no causal language model that can be planned yet: plan one of text alone.")
    return config


def shape_of(config: Any, adapter: Any = None) -> ModelShape:
    """The sizes of a model.

    Args:
        config: of transformers.
        adapter: peft's configuration, if an adapter is trained.

    Example:
        >>> from selfrl.models import TINY_MODEL
        >>> shape_of(read_config(str(TINY_MODEL)))
        ModelShape(parameters=884864, trained=884864, layers=4, width=128, inner=384, vocabulary=248, kv_values=1024)
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        parameters = sum(p.numel() for p in model.parameters())
        if adapter is not None:
            from peft import get_peft_model

            model = get_peft_model(model, adapter)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    text = config.get_text_config(decoder=True)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    layers = text.num_hidden_layers
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    if getattr(text, "moe_intermediate_size", None):
        inner = text.moe_intermediate_size * text.num_experts_per_tok
    return ModelShape(parameters, trained, layers, text.hidden_size, inner, text.vocab_size, 2 * layers * heads * size)


def kept_bytes(config: Any, rows: int, length: int, kept: int, *, half: bool, checkpointing: bool) -> int:
    """Bytes that a forward pass keeps for the backward one, beside the weights: counted on a model without memory.

    Args:
        config: of transformers.
        rows: of the micro-batch.
        length: tokens a row.
        kept: of these, tokens that are scored.
        half: whether products are computed in bfloat16, whose casts of the weights are then kept, too.
        checkpointing: whether layers keep their inputs alone.

    Example:
        >>> from selfrl.models import TINY_MODEL
        >>> config = read_config(str(TINY_MODEL))
        >>> whole, less = (kept_bytes(config, 8, 64, 32, half=False, checkpointing=c) for c in (False, True))
        >>> whole > 5 * less
        True
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        add_fused_lm_head(model, temperature=1.0)
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        own = {p.untyped_storage()._cdata for p in model.parameters()}
        seen: dict[int, torch.Tensor] = {}  # the tensors live on, or their places would be taken again

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            place = tensor.untyped_storage()._cdata
            if place not in own:
                seen[place] = tensor
            return tensor

        ids = torch.zeros(rows, length, dtype=torch.long)
        labels = ids.clone()
        labels[:, : length - kept] = -100
        cast = torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), cast:
            model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True)
        return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())
