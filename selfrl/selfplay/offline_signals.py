"""Token signals of answers that are on disk or were just sampled, outside of any trainer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from selfrl.generation import Generation, Prompt
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.tokens import prompt_ids, token_texts
from selfrl.signals.output_head import OutputHead, causal_model
from selfrl.signals.token_confidence import NAMES, token_signals


@torch.no_grad()
def signal_columns(
    generator: TransformersGenerator,
    prompts: Sequence[Prompt],
    answers: Sequence[Generation],
    wanted: Collection[str],
    temperature: float,
) -> dict[str, list[Any]]:
    """The columns of [`selfrl.rewards.contract`] that rewards ask for, one entry an answer.

    An answer's tokens are those that its text is read as, and the end token if it ended: the sampled ones may have been
    others where a text has several readings. An answer without tokens is not scored (None).

    Args:
        generator: whose model answered.
        prompts: one an answer.
        answers: as they were generated.
        wanted: names of columns.
        temperature: of the sampling.
    """
    tokenizer, model = generator.tokenizer, causal_model(generator.model)
    ids = [
        [
            *tokenizer(answer.text, add_special_tokens=False).input_ids,
            *([tokenizer.eos_token_id] if answer.finish_reason == "stop" else []),
        ]
        for answer in answers
    ]
    columns: dict[str, list[Any]] = {}
    names = [name for name in NAMES if name in wanted]
    if names:
        before = [prompt_ids(generator.processor, prompt) for prompt in prompts]
        columns |= {name: [None] * len(ids) for name in names}
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: len(before[i]) + len(ids[i]))
        for start in range(0, len(order), generator.batch_size):
            rows = order[start : start + generator.batch_size]
            signals = _signals(generator, [(before[i], ids[i]) for i in rows], names, temperature)
            for name in names:
                for i, values in zip(rows, signals[name], strict=True):
                    columns[name][i] = values
    if "token_texts" in wanted:
        columns["token_texts"] = [token_texts(tokenizer, row) for row in ids]
    if "vocab_size" in wanted:
        columns["vocab_size"] = [OutputHead.of(model).vocab_size] * len(ids)
    return columns


def _signals(
    generator: TransformersGenerator,
    rows: Sequence[tuple[list[int], list[int]]],
    names: Sequence[Any],
    temperature: float,
) -> dict[str, tuple[torch.Tensor, ...]]:
    """Signals of each row's answer."""
    model = causal_model(generator.model)
    inputs = generator.padded([[*prompt, *answer] for prompt, answer in rows])
    was_training = model.training
    model.eval()
    try:
        hidden_BLH = model.base_model(**{n: value.to(model.device) for n, value in inputs.items()}).last_hidden_state
    finally:
        model.train(was_training)
    sizes = [len(answer) for _, answer in rows]
    hidden_NH = torch.cat([states[-size - 1 : -1] for states, size in zip(hidden_BLH, sizes, strict=True)])
    head = OutputHead.of(model)
    targets_N = torch.tensor([token for _, answer in rows for token in answer], device=hidden_NH.device)
    signals = token_signals(
        hidden_NH,
        head.weight,
        targets_N,
        names,
        bias=head.bias,
        temperature=temperature,
        softcap=head.softcap,
        logit_scale=head.logit_scale,
    )
    return {name: values.cpu().split(sizes) for name, values in signals.items()}
