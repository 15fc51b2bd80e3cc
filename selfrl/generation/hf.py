"""Generation with a transformers model, in memory or from a folder or hub name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationConfig,
    StoppingCriteria,
)

from selfrl.generation.continuations import Continuation, mean_log_probs
from selfrl.generation.lean import can_be_lean, lean_generate
from selfrl.generation.processors import load_processor, picture_inputs, pictures_of, sees, tokenizer_of
from selfrl.generation.protocol import Generation, Prompt, Sampling, cut
from selfrl.generation.tokens import prompt_ids

# What is left unset is taken from the checkpoint, whose penalties no other back end applies.
NEUTRAL = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_new_tokens": 0}


class TransformersGenerator:
    """Batched, left-padded generation; prompts of similar length share a batch.

    Leaves the global random state and the model's train/eval mode as they were.

    Args:
        model: a causal language model, or one that sees.
        processor: its tokenizer, with a pad token, or its processor.
        batch_size: completions generated at a time.
    """

    def __init__(self, model: Any, processor: Any, batch_size: int = 512) -> None:
        self.model, self.processor, self.batch_size = model, processor, batch_size
        self.tokenizer = tokenizer_of(processor)

    @classmethod
    def load(cls, source: str, batch_size: int = 16) -> TransformersGenerator:
        """Load a model and what it reads with, onto a GPU if there is one; in fp32 on a CPU."""
        gpu = torch.cuda.is_available()
        processor = load_processor(source)
        kind = AutoModelForImageTextToText if sees(processor) else AutoModelForCausalLM
        model = kind.from_pretrained(source, dtype="auto" if gpu else torch.float32)
        return cls(model.to("cuda" if gpu else "cpu"), processor, batch_size)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """See [`selfrl.generation.Generator`]; an empty prompt is a failure."""
        blind = [i for i, prompt in enumerate(prompts) if not pictures_of(prompt)]
        token_ids = {i: prompt_ids(self.processor, prompts[i]) for i in blind}
        order = sorted(blind, key=lambda i: len(token_ids[i]))
        queue = [i for i in order if token_ids[i] for _ in range(sampling.n)]
        seeing = [i for i in range(len(prompts)) if i not in token_ids for _ in range(sampling.n)]
        groups: list[list[Generation]] = [[] for _ in prompts]
        was_training = self.model.training
        self.model.eval()
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                if sampling.seed is not None:
                    torch.manual_seed(sampling.seed)
                for start in range(0, len(queue), self.batch_size):
                    rows = queue[start : start + self.batch_size]
                    inputs = self.padded([token_ids[i] for i in rows])
                    for i, generation in zip(rows, self._batch(inputs, sampling), strict=True):
                        groups[i].append(generation)
                for start in range(0, len(seeing), self.batch_size):
                    rows = seeing[start : start + self.batch_size]
                    inputs = picture_inputs(self.processor, [prompts[i] for i in rows])
                    for i, generation in zip(rows, self._batch(inputs, sampling), strict=True):
                        groups[i].append(generation)
        finally:
            self.model.train(was_training)
        return groups

    def mean_log_probs(self, continuations: Sequence[Continuation]) -> list[float]:
        """See [`selfrl.generation.continuations.ContinuationScorer`]."""
        return mean_log_probs(self.model, self.processor, continuations, self.batch_size)

    def close(self) -> None:
        """Nothing is held beyond the model."""

    def padded(self, token_ids: list[list[int]]) -> dict[str, torch.Tensor]:
        """Token ids, padded at the left, and their mask, each (B, L)."""
        ids = [torch.tensor(row) for row in token_ids]
        pad = self.tokenizer.pad_token_id
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad, padding_side="left"),
            "attention_mask": pad_sequence(
                [torch.ones_like(row) for row in ids], batch_first=True, padding_side="left"
            ),
        }

    @torch.no_grad()
    def _batch(self, inputs: dict[str, torch.Tensor], sampling: Sampling) -> list[Generation]:
        pad, width = self.tokenizer.pad_token_id, inputs["input_ids"].shape[1]
        ends = self.model.generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), self.tokenizer.eos_token_id} - {None}
        options: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            options = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens, eos_token_id=sorted(ends), pad_token_id=pad, **NEUTRAL, **options
        )
        picture = getattr(self.processor, "image_token_id", None)
        if picture is not None:  # never said in training, where TRL bars it too: a picture would have to follow
            config.suppress_tokens = [picture]
        stops = [_StopTexts(self.tokenizer, sampling.stop, width)] if sampling.stop else []
        generate = partial(self.model.generate, stopping_criteria=stops)
        inputs = {name: value.to(self.model.device) for name, value in inputs.items()}
        if can_be_lean(self.model, config, **inputs):
            output = lean_generate(generate, **inputs, config=config, ended=stops[0].ended if stops else None)
        else:
            output = generate(**inputs, generation_config=config)
        generations = []
        lengths = inputs["attention_mask"].sum(1).tolist()
        for prompt_tokens, row in zip(lengths, output[:, width:].tolist(), strict=True):
            length = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
            tokens = row[:length]
            whole = self.tokenizer.decode(tokens, skip_special_tokens=True)
            text = cut(whole, sampling.stop)
            if text != whole:  # the row is padded since
                tokens = tokens[: len(tokens) - _padding(tokens, pad)]
            ended = text != whole or tokens[-1] in ends
            generations.append(Generation(text, "stop" if ended else "length", prompt_tokens, len(tokens)))
        return generations


def sample_texts(model: Any, tokenizer: Any, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[str]]:
    """`sampling.n` completions of each prompt by a model in memory, as texts."""
    groups = TransformersGenerator(model, tokenizer).generate(prompts, sampling)
    return [[generation.text for generation in group] for group in groups]


class _StopTexts(StoppingCriteria):
    """Ends a row once its text holds one of the stop texts; transformers' own cannot read every tokenizer."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_length: int) -> None:
        self.tokenizer, self.stop, self.prompt_length = tokenizer, stop, prompt_length
        # a token adds a byte at least; some decoders drop a blank at the start
        self.window = max(len(word.encode()) for word in stop) + 2

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        tail = input_ids[:, max(self.prompt_length, input_ids.shape[1] - self.window) :]
        texts = self.tokenizer.batch_decode(tail, skip_special_tokens=True)
        return torch.tensor(self._found(texts), device=input_ids.device)

    def ended(self, completions_BN: torch.Tensor) -> list[bool]:
        """Which completions hold one."""
        return self._found(self.tokenizer.batch_decode(completions_BN, skip_special_tokens=True))

    def _found(self, texts: Sequence[str]) -> list[bool]:
        return [any(word in text for word in self.stop) for text in texts]


def _padding(tokens: list[int], pad: int) -> int:
    """Number of padding tokens at the end.

    >>> _padding([5, 0, 7, 0, 0], pad=0)
    2
    """
    return next((i for i, token in enumerate(reversed(tokens)) if token != pad), len(tokens))
