"""Generation that reads a prompt once however often it stands in the batch, and drops rows that have ended.

`transformers` reads each copy of a prompt, and runs every row until the last one has ended.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

BLOCK = 8  # tokens between two looks at who has ended
# What is the same whether a completion is generated at once or in blocks.
PLAIN = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "disable_compile", "max_new_tokens"),
    *("do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "no_repeat_ngram_size"),
    *("suppress_tokens", "max_length", "use_cache", "_from_model_config"),
}

Ended = Callable[[torch.Tensor], list[bool]]


def can_be_lean(model: Any, config: GenerationConfig, **inputs: Any) -> bool:
    """Whether [`lean_generate`] gives what `model.generate` would.

    It does for text alone, plain sampling and a cache whose rows can be copied and dropped: not with beams, pictures, a
    least length, a static cache, or layers that keep a recurrent state.
    """
    found = {**model.generation_config.to_diff_dict(), **config.to_diff_dict()}
    foreign = {name for name, value in found.items() if value and name not in PLAIN}
    if foreign or found.get("use_cache") is False or None in (config.max_new_tokens, config.pad_token_id):
        return False
    adapter = getattr(model, "active_peft_config", None)
    if set(inputs) - {"input_ids", "attention_mask"} or (adapter is not None and adapter.is_prompt_learning):
        return False
    if model.config.is_encoder_decoder or not getattr(model, "_supports_default_dynamic_cache", lambda: False)():
        return False
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


@torch.no_grad()
def lean_generate(
    generate: Callable[..., Any],
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    config: GenerationConfig,
    ended: Ended | None = None,
) -> torch.Tensor:
    """Sample completions as `model.generate` does, in less time: the distribution is the same, the draws are others.

    Args:
        generate: the model's own method.
        input_ids: (B, P), prompts padded at the left.
        attention_mask: (B, P), 0 where padded.
        config: with `max_new_tokens`, `eos_token_id` and `pad_token_id`; see [`can_be_lean`].
        ended: from new tokens (B, N) to whether each row has ended otherwise than by such a token.

    Returns:
        (B, P + N) prompts and completions, padded after their ends; N is the longest.
    """
    prompts, most = input_ids.shape[1], int(config.max_new_tokens)
    eos = config.eos_token_id if config.eos_token_id is not None else []
    ends = torch.tensor(eos, dtype=torch.long, device=input_ids.device)
    said = input_ids.new_full((len(input_ids), most), int(config.pad_token_id))
    rows = torch.arange(len(input_ids), device=input_ids.device)
    ids, mask, cache, count = input_ids, attention_mask, _read(generate, input_ids, attention_mask, config), 0
    while count < most and len(rows):
        output = generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            generation_config=_within(config, min(BLOCK, most - count)),
        )
        new = output.sequences[:, ids.shape[1] :]
        said[rows, count : count + new.shape[1]] = new
        count += new.shape[1]
        over = torch.isin(new, ends).any(1)
        if ended is not None:
            over |= torch.tensor(ended(output.sequences[:, prompts:]), device=over.device)
        left = (~over).nonzero()[:, 0]
        cache = output.past_key_values
        if len(left) < len(rows):
            cache.batch_select_indices(left)
        ids, rows = output.sequences[left], rows[left]
        mask = pad(mask[left], (0, new.shape[1]), value=1)
    return torch.cat([input_ids, said[:, :count]], 1)


def _read(generate: Callable[..., Any], ids: torch.Tensor, mask: torch.Tensor, config: GenerationConfig) -> Any:
    """A cache of all prompts but for their last tokens, each different one read once; None where there is nothing."""
    if ids.shape[1] < 2:
        return None
    found, places = torch.unique(torch.cat([mask, ids], 1), dim=0, return_inverse=True)
    width = ids.shape[1]
    read = generate(
        input_ids=found[:, width:-1].contiguous(),
        attention_mask=found[:, : width - 1].contiguous(),
        generation_config=_within(config, 1),  # a token that nobody reads: its cache is what is wanted
    )
    read.past_key_values.batch_select_indices(places)
    return read.past_key_values


def _within(config: GenerationConfig, tokens: int) -> GenerationConfig:
    own = copy.deepcopy(config)
    own.max_new_tokens, own.max_length, own.return_dict_in_generate = tokens, None, True
    return own
