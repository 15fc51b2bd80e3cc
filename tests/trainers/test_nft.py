"""Real trainings of a tiny model: NFT against TRL's GRPO, against a float64 reference, and its labels."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from peft import LoraConfig
from support.processes import on_two_processes
from support.runs import Gradients, Script, nft, scored, tiny_config, tiny_run

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.rewards import AccuracyReward, ContrastiveAgreementReward, MajorityVoteReward
from selfrl.signals import negative_aware_loss
from selfrl.trainers import NFTTrainer
from selfrl.trainers.nft_labels import labels_of


@pytest.mark.parametrize("loss_type", ["dr_grpo", "dapo"])
@pytest.mark.parametrize(("prompt_weight", "scale_rewards"), [("grpo", "group"), ("one_minus_rate", "none")])
@pytest.mark.filterwarnings("ignore:One update a batch")
def test_on_policy_gradients_are_trls_grpo_gradients(
    prompt_weight: str, scale_rewards: str, loss_type: str, tmp_path: Path
) -> None:
    """Beta 0, binary reward, the packaged tiny model in fp32, two accumulated micro-batches."""
    options: dict[str, Any] = {
        "per_device_train_batch_size": 16,
        "num_generations": 8,
        "gradient_accumulation_steps": 2,
        "max_completion_length": 40,
        "max_steps": 1,
        "max_grad_norm": 0.0,
        "loss_type": loss_type,
        "beta": 0.0,
    }
    rows = tiny_problems("train", 16)
    theirs, ours = Gradients(), Gradients()
    trls = {**options, "scale_rewards": scale_rewards, "callbacks": [theirs]}
    tiny_run(trl.GRPOTrainer, TINY_MODEL, tmp_path, AccuracyReward(), rows, **trls).train()
    trainer = nft(
        TINY_MODEL,
        tmp_path,
        AccuracyReward(),
        rows,
        callbacks=[ours],
        prompt_weight=prompt_weight,
        lean_rollouts=False,  # TRL's draws
        **options,
    )
    batches = scored(trainer)
    trainer.train()
    rates = batches[0]["rates"]
    assert len(set(rates[(rates > 0) & (rates < 1)].tolist())) > 1  # else any weight would do
    assert "old_per_token_logps" not in batches[0]
    (expected,), (found,) = theirs.steps, ours.steps
    assert expected.norm() > 1e-3
    assert (found - expected).norm() / expected.norm() <= 1e-5


def gradients_of_both(out: Path, loss_type: str) -> tuple[float, float]:
    """Norm of TRL's gradient, and how far ours is from it."""
    options = {"max_completion_length": 40, "max_steps": 1, "max_grad_norm": 0.0, "beta": 0.0, "ddp_backend": "gloo"}
    options |= {"steps_per_generation": 1, "loss_type": loss_type}
    theirs, ours = Gradients(), Gradients()
    trls = {**options, "scale_rewards": "none", "callbacks": [theirs]}
    tiny_run(trl.GRPOTrainer, TINY_MODEL, out, AccuracyReward(), **trls).train()
    nft(TINY_MODEL, out, AccuracyReward(), callbacks=[ours], lean_rollouts=False, **options).train()
    expected, found = theirs.steps[0], ours.steps[0]
    return float(expected.norm()), float((found - expected).norm() / expected.norm())


@pytest.mark.slow
@pytest.mark.parametrize("loss_type", ["dr_grpo", "dapo"])
def test_on_two_processes_gradients_are_trls_too(loss_type: str, tmp_path: Path) -> None:
    for norm, error in on_two_processes(gradients_of_both, tmp_path, loss_type):
        assert norm > 1e-3
        assert error <= 1e-5


def test_the_objective_is_the_formula_with_corrections(random_model: Path, tmp_path: Path) -> None:
    """vLLM's ratio, tool mask, KL to a reference, off-policy ratios, both normalisers: float64, row by row."""
    cases = (("dr_grpo", 0.0, "token"), ("dr_grpo", 0.3, "token"), ("dapo", 0.3, "token"), ("dr_grpo", 0.0, "sequence"))
    for loss_type, beta, level in cases:
        options: dict[str, Any] = {"loss_type": loss_type, "beta": beta, "importance_sampling_level": level}
        options["lean_rollouts"] = False  # draws with ratios below the clamp
        trainer = nft(random_model, tmp_path, Script([1, 0, 0, None, 0, 0, 0, 0]), **options)
        trainer.model.train()
        rows = [row for row in trainer.train_dataset.select(range(2)) for _ in range(4)]
        with torch.no_grad():
            inputs = trainer._generate_and_score_completions(rows)
            draw = torch.Generator().manual_seed(1)
            for p in trainer.model.parameters():
                p.add_(0.05 * torch.randn(p.shape, generator=draw))
        shape = inputs["completion_ids"].shape
        inputs["importance_sampling_ratio"] = torch.rand(shape, generator=draw) + 0.5
        inputs["tool_mask"] = (torch.rand(shape, generator=draw) < 0.8).int()
        trainer.current_gradient_accumulation_steps = 3
        loss = trainer.compute_loss(trainer.model, inputs)

        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        with torch.no_grad():
            logits = trainer.model(input_ids=ids, attention_mask=attention).logits[:, -shape[1] - 1 : -1].double()
        logps = logits.log_softmax(-1).gather(-1, inputs["completion_ids"].unsqueeze(-1)).squeeze(-1)
        mask = inputs["completion_mask"] * inputs["tool_mask"]
        total, clamped, negatives = 0.0, 0, 0
        for b in range(8):
            label, r = [1.0, 0.0, 0.0, math.nan, *[math.nan] * 4][b], 1 / 3  # the second prompt teaches nothing
            written = [t for t in range(shape[1]) if mask[b, t]]
            log_R = {t: logps[b, t].item() - inputs["old_per_token_logps"][b, t].item() for t in written}
            for t in written:
                R = math.exp(log_R[t] if level == "token" else sum(log_R.values()) / len(written))
                if not math.isnan(label):
                    x = (1 - r * R) / (1 - r)
                    value = -math.log(R) if label else -math.log(max(x, 1.0))
                    total += (1 - r) * value * inputs["importance_sampling_ratio"][b, t].item()
                    negatives += label == 0
                    clamped += label == 0 and x < 1
                if beta:
                    gap = inputs["ref_per_token_logps"][b, t].item() - logps[b, t].item()
                    total += beta * R * (math.exp(gap) - gap - 1)
        # two micro-batches a generation batch, of which three are accumulated
        normalizer = 8 * 8 * 3 if loss_type == "dr_grpo" else inputs["num_items_in_batch"].item() * 3 / 2
        assert abs(total) > 0.1
        assert loss.item() == pytest.approx(total / normalizer, rel=1e-4)
        metrics = trainer._metrics["train"]
        assert metrics["nft/clamped_negatives"][-1] == pytest.approx(clamped / negatives)
        assert 0 < clamped < negatives
        assert metrics["nft/ratio_max"][-1] > (1.05 if level == "token" else 1.001)


def test_rates_leave_out_abstentions_and_watchers(random_model: Path, tmp_path: Path) -> None:
    reward = [Script([1, None, 0, 0, None, None, None, None]), Script([5.0]), Script([None])]
    trainer = nft(random_model, tmp_path, reward, reward_weights=[1.0, 0.0, 0.0])
    batches = scored(trainer)
    trainer.train()
    (batch,) = batches
    labels = batch["labels"].view(2, 2, 4)
    torch.testing.assert_close(labels[0, 0], torch.tensor([1, torch.nan, 0, 0]), equal_nan=True)
    assert labels[0, 1].isnan().all()
    rates = batch["rates"].view(2, 2, 4)
    torch.testing.assert_close(rates[0, 0], torch.full((4,), 1 / 3))
    assert rates[0, 1].isnan().all()
    assert batch["group_sizes"].view(2, 2, 4)[0].tolist() == [[3] * 4, [0] * 4]
    logged = trainer.state.log_history[0]
    assert logged["nft/kept_groups"] == logged["nft/filled"] == logged["nft/rate/unlabelled"] == 0.5


def test_labels_follow_their_rows_into_shuffled_micro_batches(random_model: Path, tmp_path: Path) -> None:
    trainer = nft(random_model, tmp_path, Script([1, 0, 0, 0, 1, 1, 1, 0]))
    batches, seen = scored(trainer), []
    compute = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: seen.append(inputs) or compute(model, inputs)  # type: ignore
    trainer.train()
    generated = {tuple(ids): (y, r) for ids, y, r in zip(*columns(batches[0]), strict=True)}
    assert len(generated) == 16  # every completion differs, so the key tells the row
    trained = {tuple(ids): (y, r) for inputs in seen for ids, y, r in zip(*columns(inputs), strict=True)}
    assert trained == generated
    assert [list(columns(i)[0]) for i in seen] != [columns(batches[0])[0][:8], columns(batches[0])[0][8:]]


def columns(batch: dict[str, torch.Tensor]) -> tuple[list[Any], list[Any], list[Any]]:
    return batch["completion_ids"].tolist(), batch["labels"].tolist(), batch["rates"].tolist()


@pytest.mark.parametrize("values", [[1], [0], [None], [1, 1, 1, 1, 0, 0, 0, 0]])
def test_prompts_without_both_kinds_of_answers_move_nothing(
    values: list[float | None], random_model: Path, tmp_path: Path
) -> None:
    trainer = nft(random_model, tmp_path, Script(values))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    assert trainer.state.log_history[0]["nft/kept_groups"] == 0


def test_rejection_sampling_learns_from_right_answers_only(random_model: Path, tmp_path: Path) -> None:
    trainer = nft(random_model, tmp_path, Script([1, 0, 0, 0]), negative_weight=0.0)
    trainer.model.train()
    rows = [row for row in trainer.train_dataset.select(range(1)) for _ in range(4)]
    trainer.current_gradient_accumulation_steps = 1
    with torch.no_grad():
        whole = trainer._generate_and_score_completions(rows)
    right = {name: value[:1] if value.ndim else value for name, value in whole.items()}
    losses = [trainer.compute_loss(trainer.model, inputs) for inputs in (whole, right)]
    gradients = [torch.autograd.grad(loss, list(trainer.model.parameters())) for loss in losses]
    assert sum(gradient.norm() for gradient in gradients[0]) > 1e-3
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b / 4, rtol=1e-4, atol=1e-7)  # the constant grows with the rows


def test_a_threshold_makes_labels_and_its_absence_is_noticed(random_model: Path, tmp_path: Path) -> None:
    trainer = nft(random_model, tmp_path, Script([2.5, 1.5, -1, 0]), label_threshold=1.5)
    batches = scored(trainer)
    trainer.train()
    assert batches[0]["labels"].tolist() == [1, 1, 0, 0] * 4
    with pytest.raises(ValueError, match=r"a completion.s reward is 2\.5: set label_threshold"):
        nft(random_model, tmp_path, Script([0, 2.5, 0, 0])).train()
    soft = nft(random_model, tmp_path, Script([0.2, 0.6, 0, 0]))
    batches = scored(soft)
    soft.train()
    assert batches[0]["rates"][0].item() == pytest.approx(0.2)


@pytest.mark.parametrize("reward", [MajorityVoteReward, ContrastiveAgreementReward, AccuracyReward])
def test_label_free_and_ground_truth_rewards_are_labels(reward: Any, tmp_path: Path) -> None:
    data = expand_pairs(tiny_problems("train", 64))
    options = {"num_iterations": 2, "max_steps": 4, "max_completion_length": 40, "per_device_train_batch_size": 16}
    trainer = nft(TINY_MODEL, tmp_path, reward(), data, **options)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    batches = scored(trainer)
    trainer.train()
    assert len(batches) == 1  # two micro-batches, twice
    assert {0.0, 1.0} <= set(batches[0]["labels"].tolist())
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    ratios = [row["nft/ratio_max"] for row in trainer.state.log_history if "nft/ratio_max" in row]
    assert ratios[0] == pytest.approx(1, abs=1e-5)
    assert ratios[2] > 1 + 1e-3


def test_only_the_first_votes_are_trained_on(random_model: Path, tmp_path: Path) -> None:
    trainer = nft(random_model, tmp_path, Script([1, 0, 1, 1]), num_generations_train=2)
    batches = scored(trainer)
    trainer.train()
    assert batches[0]["labels"].tolist() == [1, 0] * 4
    assert batches[0]["rates"].tolist() == [0.5] * 8
    assert len(batches[0]["completion_ids"]) == 8


def test_an_adapter_evaluation_and_accumulation(random_model: Path, tmp_path: Path) -> None:
    rows = tiny_problems("train", 16)
    trainer = nft(
        random_model,
        tmp_path,
        Script([1, 0]),
        rows,
        steps_per_generation=4,
        gradient_accumulation_steps=2,
        beta=0.1,
        eval_strategy="steps",
        eval_steps=2,
        per_device_eval_batch_size=8,
        num_generations_eval=2,
        eval_dataset=rows.select(range(4)),
        peft_config=LoraConfig(r=4, target_modules="all-linear"),
    )
    lora = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}
    trainer.train()
    moved = [not torch.equal(lora[name], p) for name, p in trainer.model.named_parameters() if name in lora]
    assert moved
    assert all(moved)
    evaluated = next(row for row in trainer.state.log_history if "eval_loss" in row)
    assert math.isfinite(evaluated["eval_loss"])
    assert evaluated["eval_nft/kept_groups"] == 1


def test_evaluation_has_groups_and_normaliser_of_its_own(random_model: Path, tmp_path: Path) -> None:
    """Groups of two where training has groups of four; no accumulation divides the loss."""
    trainer = nft(random_model, tmp_path, Script([1, 0, 1, 1]), num_generations_eval=2, loss_type="dapo")
    trainer.model.eval()
    rows = [row for row in trainer.train_dataset.select(range(4)) for _ in range(2)]
    with torch.no_grad():
        inputs = trainer._generate_and_score_completions(rows)
        assert inputs["rates"].tolist() == [0.5, 0.5, 1, 1] * 2
        for p in trainer.model.parameters():
            p.mul_(1.05)
        inputs["old_per_token_logps"] = torch.full_like(inputs["completion_ids"], -3.0, dtype=torch.float)
        trainer.current_gradient_accumulation_steps = 7
        loss = trainer.compute_loss(trainer.model, inputs)
        logps, _, _ = trainer._forward(trainer.model, inputs)
    mask = inputs["completion_mask"]
    arguments = logps, inputs["old_per_token_logps"], mask, inputs["labels"], inputs["rates"]
    expected = negative_aware_loss(*arguments, normalizer=float(mask.sum()))
    assert abs(expected) > 0.01
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("weights", [[0.3, 0.4, 0.1, 0.2], [0.1] * 10, [0.15, 0.65, 0.2]])
def test_weights_that_sum_to_one_make_labels_of_one(weights: list[float]) -> None:
    assert labels_of(torch.ones(2, len(weights)), torch.tensor(weights)).tolist() == [1, 1]


def test_one_update_a_batch_is_warned_about(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="makes NFT the same as GRPO"), pytest.raises(OSError, match="no/such/model"):
        nft("no/such/model", tmp_path, Script([1, 0]), steps_per_generation=1)


def test_liger_kernels_are_taken_for_they_patch_the_model_alone(tmp_path: Path) -> None:
    assert tiny_config(NFTTrainer, tmp_path, use_liger_kernel=True).use_liger_kernel


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_type": "bnpo"}, "NFT takes dr_grpo"),
        ({"prompt_weight": "rate"}, "choose among one_minus_rate, grpo, none"),
        ({"negative_weight": -1.0}, "must be 0 or more"),
        ({"clamp_positive": -1.0}, "must be 0"),
        ({"clamp_negative": 0.0}, "must be above 0"),
        ({"delta": 2.0}, "delta belongs to GRPO's loss"),
        ({"off_policy_mask_threshold": 0.5}, "off_policy_mask_threshold belongs"),
        ({"top_entropy_quantile": 0.2}, "top_entropy_quantile belongs"),
        ({"entropy_coef": 0.1}, "entropy_coef belongs"),
        ({"use_adaptive_entropy": True}, "use_adaptive_entropy belongs"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "multi_objective_aggregation belongs"),
    ],
)
def test_settings_without_meaning_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(NFTTrainer, tmp_path, **options)
