"""No padding computed: the same updates from fewer columns, in one process and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.processes import on_two_processes
from support.runs import tiny_run
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.rewards import AccuracyReward, RandomReward
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer
from selfrl.trainers.trimming import extents

LONG: dict[str, Any] = {
    "max_completion_length": 40,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4,
    "beta": 0.05,
    "optim": "sgd",  # Adam makes whole steps of what is rounding alone
    "learning_rate": 0.1,
}


def ended(out: Path, trims: bool, trainer_class: Any = GRPOTrainer, model: Any = None, **options: Any) -> Any:
    """A trainer after two updates, and the columns that its model saw in all."""
    data = tiny_problems("train", 32)
    trainer = tiny_run(trainer_class, model or model_path("tiny"), out, AccuracyReward(), data, **{**LONG, **options})
    trainer._trims &= trims
    trainer._reorders = trims
    trainer.columns, trainer.shapes = 0, []

    def count(module: Any, args: Any, kwargs: Any) -> None:
        if trainer.model.training and kwargs.get("labels") is not None:
            trainer.columns += kwargs["input_ids"].numel()
            trainer.shapes.append(tuple(kwargs["input_ids"].shape))

    trainer.model.register_forward_pre_hook(count, with_kwargs=True)
    trainer.train()
    return trainer


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer_class", "options"),
    [
        *((GRPOTrainer, {"loss_type": name}) for name in ("grpo", "dapo", "dr_grpo", "bnpo", "cispo", "luspo")),
        (GRPOTrainer, {"num_iterations": 2, "steps_per_generation": 8}),
        (GRPOTrainer, {"pad_to_multiple_of": 8}),
        (GRPOTrainer, {"mask_truncated_completions": True, "max_completion_length": 16}),
        (GRPOTrainer, {"num_generations": 4, "num_generations_train": 2, "gradient_accumulation_steps": 2}),
        (RLOOTrainer, {}),
        (NFTTrainer, {}),
    ],
    ids=str,
)
def test_updates_are_those_of_all_columns(trainer_class: Any, options: dict[str, Any], tmp_path: Path) -> None:
    whole, trimmed = (ended(tmp_path / str(trims), trims, trainer_class, **options) for trims in (False, True))
    assert trimmed.columns < whole.columns
    torch.testing.assert_close(weights(trimmed), weights(whole), rtol=0, atol=1e-5)
    for ours, theirs in zip(trimmed.state.log_history, whole.state.log_history, strict=True):
        for name in ("loss", "grad_norm", "reward"):
            assert ours.get(name, 0.0) == pytest.approx(theirs.get(name, 0.0), abs=2e-4), name
        # TRL logs kl and entropy as means of micro-batches' means, and other rows share these now
    multiple = options.get("pad_to_multiple_of", 1)
    assert all(columns % multiple == 0 for _, columns in trimmed.shapes)


@pytest.mark.slow
def test_scoring_in_chunks_gives_each_row_its_own_log_probabilities(tmp_path: Path) -> None:
    trainer = tiny_run(GRPOTrainer, model_path("tiny"), tmp_path, RandomReward(), **LONG)
    ids = torch.randint(3, 60, (7, 20))
    mask = torch.zeros_like(ids)
    for row, (left, said) in enumerate([(0, 10), (3, 1), (5, 4), (9, 10), (1, 7), (6, 0), (2, 3)]):
        mask[row, left : 10 + said] = 1
    with torch.no_grad():
        ours = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, 10, batch_size=2, compute_entropy=True
        )
        trainer._trims = False
        theirs = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, 10, batch_size=2, compute_entropy=True
        )
    said = mask[:, 10:].bool()
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        assert one.shape == other.shape == (7, 10)
        torch.testing.assert_close(one[said], other[said], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_model_with_absolute_positions_keeps_the_padding_before_its_prompts(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_path("tiny"))
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 256,
        "attn_pdrop": 0,
        "embd_pdrop": 0,
        "resid_pdrop": 0,
    }
    special = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes, **special)).save_pretrained(tmp_path / "gpt")
    tokenizer.save_pretrained(tmp_path / "gpt")
    whole, trimmed = (ended(tmp_path / str(trims), trims, model=tmp_path / "gpt") for trims in (False, True))
    assert not trimmed._trims_left
    torch.testing.assert_close(weights(trimmed), weights(whole), rtol=0, atol=1e-5)


def two(out: str, trims: bool) -> torch.Tensor:
    return weights(ended(Path(out), trims, gradient_accumulation_steps=2))


@pytest.mark.slow
def test_updates_on_two_processes_are_those_of_all_columns(tmp_path: Path) -> None:
    whole, trimmed = (on_two_processes(two, str(tmp_path / str(trims)), trims) for trims in (False, True))
    for ours, theirs in zip(trimmed, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert torch.equal(*trimmed)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        extents(torch.ones(3), 1)
    with pytest.raises(ValueError, match="must be"):
        extents(torch.ones(3, 2), 3)
