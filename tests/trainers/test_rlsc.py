"""RLSC: the loss against one written from the paper, one real training, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import Gradients, Script, scored, tiny_config, tiny_run
from transformers import AutoModelForCausalLM

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.shaping import EntropyReshaping
from selfrl.trainers import GRPOConfig, RLSCConfig, RLSCTrainer

TINY = Path(model_path("tiny"))


def log_probs_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """log p(y_i) of the completions (B,), by plain passes, row by row."""
    found = []
    for i in range(len(batch["completion_ids"])):
        prompt = batch["prompt_ids"][i][batch["prompt_mask"][i].bool()]
        said = batch["completion_ids"][i][batch["completion_mask"][i].bool()]
        logits = model(input_ids=torch.cat([prompt, said]).unsqueeze(0)).logits[0, len(prompt) - 1 : -1]
        found.append(torch.log_softmax(logits, -1)[range(len(said)), said].sum())
    return torch.stack(found)


@pytest.mark.slow
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("micro_batch", [16, 8])
def test_the_gradient_is_that_of_the_weighted_likelihood(normalised: bool, micro_batch: int, tmp_path: Path) -> None:
    """L = −(1/Q) Σ_q Σ_i w_i log p(y_i), and a step along it makes what weighs more probable."""
    options = {"max_steps": 1, "max_completion_length": 40, "max_grad_norm": 1e9, "learning_rate": 1e-4}
    options |= {"per_device_train_batch_size": micro_batch, "gradient_accumulation_steps": 16 // micro_batch}
    heard = Gradients()
    trainer = tiny_run(
        RLSCTrainer, TINY, tmp_path, Script([None]), length_normalised=normalised, callbacks=[heard], **options
    )
    batches = scored(trainer)
    trainer.train()
    batch = batches[0]
    start = AutoModelForCausalLM.from_pretrained(TINY)
    log_probs_QG = log_probs_of(start, batch).view(-1, 4)
    lengths_QG = batch["completion_mask"].sum(1).view(-1, 4)
    weights_QG = torch.softmax(log_probs_QG.detach() / (lengths_QG if normalised else 1), 1)
    loss = -(weights_QG * log_probs_QG).sum(1).mean()
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in start.parameters()])
    assert torch.allclose(heard.steps[0], expected, atol=2e-5 * expected.abs().max().item())
    with torch.no_grad():
        after = -(weights_QG * log_probs_of(trainer.model, batch).view(-1, 4)).sum(1).mean()
    assert after < loss


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no KL term"):
        tiny_config(RLSCTrainer, tmp_path, beta=0.1)
    with pytest.raises(ValueError, match="smoothing"):
        RLSCConfig(str(tmp_path), use_cpu=True, bf16=False, smoothing=-1.0)
    with pytest.raises(ValueError, match="drop `shaping`"):
        tiny_run(RLSCTrainer, "none", tmp_path, Script([0.0]), shaping=[EntropyReshaping()])
    args = GRPOConfig(str(tmp_path), use_cpu=True, bf16=False)
    with pytest.raises(ValueError, match="RLSCConfig"):
        RLSCTrainer("none", Script([0.0]), args, tiny_problems("train", 4))
