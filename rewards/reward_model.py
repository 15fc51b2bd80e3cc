"""The score of a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from selfrl.models import model_path
from selfrl.rewards.contract import BaseReward, Batch, Scores, share_abstaining


class RewardModelReward(BaseReward):
    """The one output of a sequence classifier on prompt and completion, as TRL takes it.

    A conversation is written by the classifier's chat template, texts are joined. Equal inputs get equal rewards,
    whatever else is in the batch. The model is loaded at first use, on a GPU if there is one, in fp32 on a CPU.

    Abstains (None): an input of more than `max_tokens`, which the model would see cut; a score that is not finite.

    Args:
        model: folder or hub name.
        batch_size: inputs at a time.
        max_tokens: of an input.

    Raises:
        ValueError: at first use, for a model with more than one output, or without a chat template for conversations.
    """

    abstains = True

    def __init__(self, model: str, batch_size: int = 8, max_tokens: int = 4096) -> None:
        if batch_size < 1 or max_tokens < 1:
            raise ValueError(f"batch_size is {batch_size} and max_tokens {max_tokens}: both must be 1 or more.")
        self.model, self.batch_size, self.max_tokens = model, batch_size, max_tokens
        self._opened: tuple[Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        model, tokenizer = self._open()
        rows = zip(batch.prompts, batch.completions, strict=True)
        ids = [
            tokenizer(self._text(tokenizer, prompt, said), add_special_tokens=False).input_ids for prompt, said in rows
        ]
        rewards: list[float | None] = [None] * len(ids)
        fitting = sorted((i for i in range(len(ids)) if 0 < len(ids[i]) <= self.max_tokens), key=lambda i: len(ids[i]))
        for start in range(0, len(fitting), self.batch_size):
            places = fitting[start : start + self.batch_size]
            for i, value in zip(places, _scores(model, tokenizer, [ids[i] for i in places]), strict=True):
                rewards[i] = value if torch.isfinite(torch.tensor(value)) else None
        return Scores(rewards, {"abstained": share_abstaining(rewards)})

    def _text(self, tokenizer: Any, prompt: Any, completion: Any) -> str:
        if isinstance(prompt, str):
            return prompt + str(completion)
        if tokenizer.chat_template is None:
            raise ValueError(f"The reward model {self.model} has no chat template: give it texts, or take another one.")
        text: str = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
        return text

    def _open(self) -> tuple[Any, Any]:
        if self._opened is None:
            source = model_path(self.model)
            outputs = AutoConfig.from_pretrained(source).num_labels
            if outputs != 1:
                raise ValueError(f"{self.model} has {outputs} outputs: a reward model has one.")
            gpu = torch.cuda.is_available()
            model = AutoModelForSequenceClassification.from_pretrained(source, dtype="auto" if gpu else torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(source)
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
            self._opened = model.to("cuda" if gpu else "cpu").eval(), tokenizer
        return self._opened


@torch.inference_mode()
def _scores(model: Any, tokenizer: Any, ids: Sequence[list[int]]) -> list[float]:
    """Scores of a batch, padded at the right, as a classifier finds its last token."""
    inputs = tokenizer.pad({"input_ids": list(ids)}, padding_side="right", return_tensors="pt").to(model.device)
    logits_B1 = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    scores: list[float] = logits_B1[:, 0].float().tolist()
    return scores
