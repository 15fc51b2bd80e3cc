"""Real trainings of a tiny random model, and the objective against a float64 reference."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.trainers import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from selfrl.trainers.paired_views import VotingGroups

TRAINERS = [(GRPOConfig, GRPOTrainer), (RLOOConfig, RLOOTrainer)]
BASES = {GRPOTrainer: trl.GRPOTrainer, RLOOTrainer: trl.RLOOTrainer}


class LengthReward:
    """Rewards by length, and keeps what it saw."""

    __name__ = "LengthReward"

    def __init__(self) -> None:
        self.calls: list[dict[str, list[Any]]] = []

    def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        self.calls.append({"prompts": prompts, "completions": completions, **columns})
        return [len(set(c)) / 10 for c in completions]


def config(cls: Any, out: Path, **options: Any) -> Any:
    defaults = {
        "output_dir": str(out),
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 8,
        "max_steps": 2,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "gradient_checkpointing": False,
        "learning_rate": 1e-3,
        "disable_tqdm": True,
    }
    return cls(**{**defaults, **options})


@pytest.fixture
def pairs() -> Dataset:
    return expand_pairs(tiny_problems("train", 12))


@pytest.mark.parametrize(("config_class", "trainer_class"), TRAINERS)
def test_both_views_meet_and_weights_move(
    config_class: Any, trainer_class: Any, random_model: Path, tmp_path: Path, pairs: Dataset
) -> None:
    reward = LengthReward()
    trainer = trainer_class(str(random_model), reward, config(config_class, tmp_path), pairs)
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
    for config_class, trainer_class in ((GRPOConfig, GRPOTrainer), (trl.GRPOConfig, trl.GRPOTrainer)):
        trainer = trainer_class(str(random_model), LengthReward(), config(config_class, tmp_path), rows)
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
    args = config(GRPOConfig, tmp_path, loss_type="grpo", beta=beta)
    trainer = GRPOTrainer(str(random_model), LengthReward(), args, pairs)
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
    seen: list[dict[str, torch.Tensor]] = []
    generate = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda rows: seen.append(generate(rows)) or seen[-1]
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
    reward = LengthReward()
    options = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 1, "num_generations_eval": 2}
    args = config(GRPOConfig, tmp_path, per_device_eval_batch_size=8, **options)
    GRPOTrainer(str(random_model), reward, args, pairs, pairs.select(range(6))).train()
    evaluated = reward.calls[1:]
    assert sum(len(call["view"]) for call in evaluated) == 3 * 2 * 2  # the last batch is not full
    assert [call["view"] for call in evaluated] == [[0, 0, 1, 1] * 2, [0, 0, 1, 1]]
    odd = config(GRPOConfig, tmp_path, per_device_eval_batch_size=6, **options)
    with pytest.raises(ValueError, match="An evaluation batch holds 3 prompts"):
        GRPOTrainer("no/such/model", reward, odd, pairs, pairs)


def test_advantages_are_normalised_within_each_view(random_model: Path, tmp_path: Path, pairs: Dataset) -> None:
    reward = LengthReward()
    trainer = GRPOTrainer(str(random_model), reward, config(GRPOConfig, tmp_path, max_steps=1), pairs)
    seen: list[dict[str, torch.Tensor]] = []
    generate = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda rows: seen.append(generate(rows)) or seen[-1]
    trainer.train()
    values = torch.tensor([len(set(c)) / 10 for c in reward.calls[0]["completions"]])
    for view in (values[:4], values[4:]):
        assert view.std() > 0
    expected = torch.cat([(v - v.mean()) / (v.std() + 1e-4) for v in (values[:4], values[4:])])
    torch.testing.assert_close(seen[0]["advantages"], expected)


@pytest.mark.parametrize(("config_class", "trainer_class"), TRAINERS)
def test_all_vote_but_only_the_first_are_trained(
    config_class: Any, trainer_class: Any, random_model: Path, tmp_path: Path, pairs: Dataset
) -> None:
    reward = LengthReward()
    options = {"normalize_advantages": False, "beta": 0.0} if config_class is RLOOConfig else {"scale_rewards": "none"}
    args = config(
        config_class,
        tmp_path,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        num_generations_train=2,
        max_steps=1,
        **options,
    )
    trainer = trainer_class(str(random_model), reward, args, pairs)
    seen: list[dict[str, torch.Tensor]] = []
    generate = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda rows: seen.append(generate(rows)) or seen[-1]
    trainer.train()
    completions = reward.calls[0]["completions"]
    assert len(completions) == 16
    kept = [completions[g + i] for g in range(0, 16, 4) for i in range(2)]
    tokenizer = trainer.processing_class
    assert tokenizer.batch_decode(seen[0]["completion_ids"], skip_special_tokens=True) == kept
    values = torch.tensor([len(set(c)) / 10 for c in kept]).view(-1, 2)
    # baseline over the two trained completions only: their mean (GRPO) or the other one (RLOO)
    baseline = values.mean(1, keepdim=True) if config_class is GRPOConfig else values.flip(1)
    torch.testing.assert_close(seen[0]["advantages"], (values - baseline).flatten())
    if config_class is GRPOConfig:
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
        GRPOTrainer("no/such/model", LengthReward(), config(GRPOConfig, tmp_path, **options), datasets[data])


def test_a_column_that_a_reward_needs_is_asked_for(tmp_path: Path, pairs: Dataset) -> None:
    reward = LengthReward()
    reward.columns = ("solution",)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="LengthReward needs the column 'solution'"):
        GRPOTrainer("no/such/model", reward, config(GRPOConfig, tmp_path), pairs)


@pytest.mark.parametrize("trainer_class", BASES)
def test_trl_still_has_what_is_overridden(trainer_class: Any) -> None:
    base = BASES[trainer_class]
    overridden = [
        name for name, member in vars(VotingGroups).items() if inspect.isfunction(member) and name not in ("_trained",)
    ]
    assert set(overridden) == {
        "__init__",
        "_get_train_sampler",
        "_get_eval_sampler",
        "compute_loss",
        "_calculate_rewards",
        "_generate_and_score_completions",
    }
    parameters = {name: list(inspect.signature(getattr(base, name)).parameters) for name in overridden}
    assert parameters["__init__"][1:6] == ["model", "reward_funcs", "args", "train_dataset", "eval_dataset"]
    assert parameters["_get_train_sampler"] == ["self", "dataset"]
    assert parameters["_get_eval_sampler"] == ["self", "eval_dataset"]
    assert parameters["_generate_and_score_completions"] == ["self", "inputs"]
