"""Do label-free signals predict correctness? On labelled questions, by AUROC and calibration error."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from selfrl.eval.scoring import Sample
from selfrl.eval.statistics import auroc, calibration_error
from selfrl.generation import Prompt
from selfrl.generation.tokens import prompt_ids
from selfrl.signals import token_signals
from selfrl.signals.output_head import OutputHead, causal_model
from selfrl.signals.token_confidence import TokenSignal

# signal -> the token signal that it is a mean of, and what turns the mean into a confidence
TOKEN_SIGNALS: dict[str, TokenSignal] = {
    "probability": "log_prob",
    "entropy": "entropy",
    "self_certainty": "self_certainty",
    "margin": "margin",
}
SIGNALS = ("vote_share", *TOKEN_SIGNALS)
SHARES = ("vote_share", "probability", "margin")  # between 0 and 1, so that a calibration error exists


def vote_shares(groups: Sequence[Sequence[Sample]]) -> list[float]:
    """Share of a question's completions that give the same answer, for each completion; 0 without an answer."""
    shares = []
    for group in groups:
        votes = Counter(sample.key for sample in group if sample.key is not None)
        shares += [votes[sample.key] / len(group) if sample.key is not None else 0.0 for sample in group]
    return shares


@torch.no_grad()
def model_signals(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    completions: Sequence[str],
    names: Sequence[str],
    batch_size: int = 8,
) -> dict[str, list[float]]:
    """Means over each completion's tokens, signed so that more is more confident; NaN for an empty completion.

    `probability` is the geometric mean of the tokens' probabilities, `entropy` is negated. Texts are tokenized again,
    so a signal can differ in the last digits from what the trainers see.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        prompts: what was asked, one a completion.
        completions: the texts.
        names: of [`TOKEN_SIGNALS`].
        batch_size: rows of a forward pass.
    """
    model.eval()
    head, device = OutputHead.of(model), model.device
    found: dict[str, list[float]] = {name: [math.nan] * len(completions) for name in names}
    asked = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    said = [tokenizer(text, add_special_tokens=False).input_ids for text in completions]
    order = sorted((i for i, ids in enumerate(said) if ids), key=lambda i: len(asked[i]) + len(said[i]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids = [torch.tensor(asked[i] + said[i]) for i in rows]
        mask_BT = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True).to(device)
        ids_BT = pad_sequence(ids, batch_first=True).to(device)
        hidden_BTH = causal_model(model).base_model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        for row, i in enumerate(rows):
            first, last = len(asked[i]), len(asked[i]) + len(said[i])
            signals = token_signals(
                hidden_BTH[row, first - 1 : last - 1],
                head.weight,
                ids_BT[row, first:last],
                [TOKEN_SIGNALS[name] for name in names],
                bias=head.bias,
                softcap=head.softcap,
                logit_scale=head.logit_scale,
            )
            for name in names:
                found[name][i] = _confidence(name, signals[TOKEN_SIGNALS[name]].mean().item())
    return found


def calibration_rows(
    task: str, groups: Sequence[Sequence[Sample]], signals: dict[str, list[float]]
) -> list[dict[str, Any]]:
    """AUROC and, for shares, ECE of each signal over a task's completions; undecided completions are left out.

    Args:
        task: its name.
        groups: samples of each question.
        signals: name → a value a completion, in the order of the samples.
    """
    samples = [sample for group in groups for sample in group]
    rows = []
    for name, values in signals.items():
        kept = [
            (value, sample.correct)
            for value, sample in zip(values, samples, strict=True)
            if sample.correct is not None and not math.isnan(value)
        ]
        confidences, correct = [value for value, _ in kept], [ok for _, ok in kept]
        rows.append(
            {
                "task": task,
                "signal": name,
                "completions": len(kept),
                "auroc": auroc(confidences, correct),
                "ece": calibration_error(confidences, correct) if name in SHARES and kept else None,
            }
        )
    return rows


def _confidence(name: str, mean: float) -> float:
    if name == "probability":
        return math.exp(min(mean, 0.0))
    return -mean if name == "entropy" else mean
