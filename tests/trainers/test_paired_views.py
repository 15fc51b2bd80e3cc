"""Real trainings of a tiny random model, and the objective against a float64 reference."""

from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from support.runs import Variety, scored, tiny_run

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.trainers import GRPOTrainer, RLOOTrainer

TRAINERS = [GRPOTrainer, RLOOTrainer]


@pytest.fixture
def pairs() -> Dataset:
    return expand_pairs(tiny_problems("train", 12))


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_both_views_meet_and_weights_move(
    trainer_class: Any, random_model: Path, tmp_path: Path, pairs: Dataset
) -> None:
    reward = Variety()
    trainer = tiny_run(trainer_class, random_model, tmp_path, reward, pairs)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert len(reward.calls) == 2
    for call in reward.calls:
        assert len(set(call["pair_id"])) == 1
        assert call["view"] == [0] * 4 + [1] * 4
        assert len(set(call["prompts"][:4])) == len(set(call["prompts"][4:])) == 1
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_unpaired_data_is_sampled_and_weighed_as_trl_does(random_model: Path, tmp_path: Path) -> None:
    """Same seed, same data, no pairs: selfrl's trainer ends with TRL's weights, to the bit."""
    rows = tiny_problems("train", 12)
    ends = []
    for trainer_class in (GRPOTrainer, trl.GRPOTrainer):
        draws = {"lean_rollouts": False} if trainer_class is GRPOTrainer else {}
        trainer = tiny_run(trainer_class, random_model, tmp_path, Variety(), rows, **draws)
        trainer._trims = trainer._reorders = False  # which sum in another order
        trainer.train()
        ends.append([p.detach().clone() for p in trainer.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def log_probabilities(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """(B, T) float64 log-probabilities of the completion tokens."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    length = inputs["completion_ids"].shape[1]
    logits_BTV = model(input_ids=ids, attention_mask=mask).logits[:, -length - 1 : -1].double()
    return logits_BTV.log_softmax(-1).gather(-1, inputs["completion_ids"].unsqueeze(-1)).squeeze(-1)


def test_the_paired_objective_is_the_sum_of_both_views_losses(
    random_model: Path, tmp_path: Path, pairs: Dataset
) -> None:
    """L = Σ over views of (1/N) Σ_i (1/|o_i|) Σ_t −(A − β·k3); an average over all rows would be half of it."""
    beta = 0.3
    trainer = tiny_run(GRPOTrainer, random_model, tmp_path, Variety(), pairs, loss_type="grpo", beta=beta)
    captured: list[tuple[dict[str, torch.Tensor], float]] = []
    with torch.no_grad():
        for p in trainer.model.parameters():  # away from the reference, so that the KL term counts
            p.add_(0.02 * torch.randn_like(p))
    original = trainer.compute_loss

    def spy(model: Any, inputs: dict[str, torch.Tensor], **kwargs: Any) -> torch.Tensor:
        loss = original(model, inputs, **kwargs)
        captured.append((inputs, loss.item()))
        return loss

    trainer.compute_loss = spy
    seen = scored(trainer)
    reference = 0.0
    step = trainer.training_step

    def training_step(model: Any, *args: Any) -> torch.Tensor:
        # the reference is taken before the optimizer moves the weights
        nonlocal reference
        loss = step(model, *args)
        if len(captured) == 1:
            inputs = seen[0]
            with torch.no_grad():
                logps = log_probabilities(model, inputs)
            mask = inputs["completion_mask"].double()
            log_ratio = inputs["ref_per_token_logps"].double() - logps
            k3 = log_ratio.exp() - log_ratio - 1
            per_token = -(inputs["advantages"].double().unsqueeze(1) - beta * k3)
            per_row = (per_token * mask).sum(1) / mask.sum(1)
            reference = (per_row[:4].mean() + per_row[4:].mean()).item()
        return loss

    trainer.training_step = training_step
    trainer.train()
    assert abs(reference) > 1e-3
    assert captured[0][1] == pytest.approx(reference, rel=1e-4, abs=1e-6)


def test_evaluation_batches_hold_whole_pairs_too(random_model: Path, tmp_path: Path, pairs: Dataset) -> None:
    reward = Variety()
    options: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 1, "num_generations_eval": 2}
    options["eval_dataset"] = pairs.select(range(6))
    tiny_run(GRPOTrainer, random_model, tmp_path, reward, pairs, per_device_eval_batch_size=8, **options).train()
    evaluated = reward.calls[1:]
    assert sum(len(call["view"]) for call in evaluated) == 3 * 2 * 2  # the last batch is not full
    assert [call["view"] for call in evaluated] == [[0, 0, 1, 1] * 2, [0, 0, 1, 1]]
    with pytest.raises(ValueError, match="An evaluation batch holds 3 prompts"):
        tiny_run(GRPOTrainer, "no/such/model", tmp_path, reward, pairs, per_device_eval_batch_size=6, **options)


def test_advantages_are_normalised_within_each_view(random_model: Path, tmp_path: Path, pairs: Dataset) -> None:
    reward = Variety()
    trainer = tiny_run(GRPOTrainer, random_model, tmp_path, reward, pairs, max_steps=1)
    seen = scored(trainer)
    trainer.train()
    values = torch.tensor([len(set(c)) / 10 for c in reward.calls[0]["completions"]])
    for view in (values[:4], values[4:]):
        assert view.std() > 0
    expected = torch.cat([(v - v.mean()) / (v.std() + 1e-4) for v in (values[:4], values[4:])])
    torch.testing.assert_close(seen[0]["advantages"], expected)


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_all_vote_but_only_the_first_are_trained(
    trainer_class: Any, random_model: Path, tmp_path: Path, pairs: Dataset
) -> None:
    reward = Variety()
    options = (
        {"normalize_advantages": False, "beta": 0.0} if trainer_class is RLOOTrainer else {"scale_rewards": "none"}
    )
    options |= {"gradient_accumulation_steps": 2, "num_generations_train": 2, "max_steps": 1}
    trainer = tiny_run(trainer_class, random_model, tmp_path, reward, pairs, **options)
    seen = scored(trainer)
    trainer.train()
    completions = reward.calls[0]["completions"]
    assert len(completions) == 16
    kept = [completions[g + i] for g in range(0, 16, 4) for i in range(2)]
    tokenizer = trainer.processing_class
    assert tokenizer.batch_decode(seen[0]["completion_ids"], skip_special_tokens=True) == kept
    values = torch.tensor([len(set(c)) / 10 for c in kept]).view(-1, 2)
    # baseline over the two trained completions only: their mean (GRPO) or the other one (RLOO)
    baseline = values.mean(1, keepdim=True) if trainer_class is GRPOTrainer else values.flip(1)
    torch.testing.assert_close(seen[0]["advantages"], (values - baseline).flatten())
    if trainer_class is GRPOTrainer:
        assert seen[0]["num_items_in_batch"] == seen[0]["completion_mask"].sum()


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("empty", {}, "train_dataset is empty"),
    ("no_prompt", {}, "no `prompt` column"),
    ("one_view", {}, "has only view 0"),
    ("pairs", {"per_device_train_batch_size": 4}, "cuts a pair of views"),
    ("pairs", {"per_device_train_batch_size": 128}, "holds 16 pairs but the data set only 12"),
    ("pairs", {"num_generations_train": 5}, "must lie between 2 and num_generations"),
    ("pairs", {"num_generations_train": 3, "gradient_accumulation_steps": 4}, None),
    (
        "pairs",
        {"num_generations_train": 3, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 8},
        "split",
    ),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_input_is_refused_before_a_model_loads(
    data: str, options: dict[str, Any], message: str | None, tmp_path: Path, pairs: Dataset
) -> None:
    datasets = {
        "pairs": pairs,
        "empty": pairs.select([]),
        "no_prompt": pairs.rename_column("prompt", "question"),
        "one_view": pairs.select(range(len(pairs) - 1)),
    }
    error, match = (ValueError, message) if message else (OSError, "no/such/model")
    with pytest.raises(error, match=match):
        tiny_run(GRPOTrainer, "no/such/model", tmp_path, Variety(), datasets[data], **options)


def test_a_column_that_a_reward_needs_is_asked_for(tmp_path: Path, pairs: Dataset) -> None:
    reward = Variety()
    reward.columns = ("solution",)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Variety needs the column 'solution'"):
        tiny_run(GRPOTrainer, "no/such/model", tmp_path, reward, pairs)
