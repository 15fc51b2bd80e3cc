"""Signal columns of the trainers against the plain model in float64, one unpadded sequence at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from peft import LoraConfig
from support.runs import tiny_config, tiny_run
from transformers import AutoModelForCausalLM, AutoTokenizer, CohereConfig, Gemma2Config, GraniteConfig, LlamaConfig

from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer
from selfrl.models import TINY_MODEL
from selfrl.trainers import GRPOTrainer, RLOOTrainer

OPTIONS: dict[str, Any] = {
    "gradient_accumulation_steps": 2,
    "max_completion_length": 12,
    "max_steps": 1,
    "temperature": 0.7,
    "lean_rollouts": False,  # the same draws whether signals are heard or scored
}


def run_of(trainer_class: Any, out: Path, reward: Any, model: Path = TINY_MODEL, rows: int = 32, **options: Any) -> Any:
    return tiny_run(trainer_class, model, out, reward, tiny_problems("train", rows), **{**OPTIONS, **options})


class Listener:
    """Keeps what the trainer hands over; rewards the length."""

    __name__ = "Listener"
    signals = ("log_prob", "entropy", "self_certainty", "margin", "token_texts", "vocab_size")

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float]:
        self.calls.append({"prompts": prompts, "completions": completions, "ids": completion_ids, **columns})
        return [float(len(ids)) for ids in completion_ids]


class ScoringGRPOTrainer(GRPOTrainer):
    """Takes its signals from the scoring pass, as with vLLM."""

    _hears_generation = False


class ScoringRLOOTrainer(RLOOTrainer):
    _hears_generation = False


def expected(model: Any, prompt_ids: list[int], ids: list[int], shift: int = 0) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt_ids + ids])).logits[0].double()
    start = len(prompt_ids) - 1 + shift
    log_p = (logits[start : start + len(ids)] / 0.7).log_softmax(-1)
    top = log_p.exp().sort(-1, descending=True).values
    V = log_p.shape[-1]
    return {
        "log_prob": log_p[range(len(log_p)), ids[: len(log_p)]],
        "entropy": -(log_p.exp() * log_p).sum(-1),
        "self_certainty": (1 / V * (torch.tensor(1 / V).double().log() - log_p)).sum(-1),
        "margin": top[:, 0] - top[:, 1],
    }


def check(listener: Listener, model: Any, tokenizer: Any, ragged: bool = True) -> None:
    heard = listener.calls[0]
    model = model.double().eval()
    assert len({len(tokenizer(p).input_ids) for p in heard["prompts"]}) > 1  # else nothing is padded
    assert not ragged or len({len(ids) for ids in heard["ids"]}) > 1
    for i, (prompt, ids) in enumerate(zip(heard["prompts"], heard["ids"], strict=True)):
        values = expected(model, tokenizer(prompt).input_ids, ids)
        for name, value in values.items():
            assert heard[name][i].dtype == torch.float32
            torch.testing.assert_close(heard[name][i].double(), value, rtol=1e-4, atol=2e-5)
        if ragged and len(ids) > 3:  # a position off by one is no rounding error
            late = expected(model, tokenizer(prompt).input_ids, ids, shift=1)
            assert (late["entropy"] - values["entropy"][: len(late["entropy"])]).abs().max() > 1e-2
        assert "".join(heard["token_texts"][i]) == heard["completions"][i]
        assert len(heard["token_texts"][i]) == len(ids)


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, ScoringGRPOTrainer, RLOOTrainer, ScoringRLOOTrainer])
def test_signals_are_the_policys_own(trainer_class: Any, tmp_path: Path) -> None:
    listener = Listener()
    trainer = run_of(trainer_class, tmp_path, listener, beta=0.1)
    trainer.train()
    check(listener, AutoModelForCausalLM.from_pretrained(TINY_MODEL), AutoTokenizer.from_pretrained(TINY_MODEL))
    assert listener.calls[0]["vocab_size"] == [trainer.model.config.vocab_size] * 16


def test_the_scoring_pass_that_is_made_for_signals_changes_nothing_else(tmp_path: Path) -> None:
    weights = []
    for trainer_class in (GRPOTrainer, ScoringGRPOTrainer):
        trainer = run_of(trainer_class, tmp_path, Listener(), max_steps=2)
        trainer.train()
        assert "old_per_token_logps" not in trainer._buffered_inputs[0]
        weights.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    assert torch.equal(*weights)


def test_misaligned_accumulation_keeps_trls_own_old_log_probabilities(tmp_path: Path) -> None:
    listener = Listener()
    options = {"steps_per_generation": 4, "max_steps": 2, "max_completion_length": 30}
    trainer = run_of(ScoringGRPOTrainer, tmp_path, listener, **options)
    trainer.train()
    assert "old_per_token_logps" in trainer._buffered_inputs[0]
    check(listener, AutoModelForCausalLM.from_pretrained(TINY_MODEL), AutoTokenizer.from_pretrained(TINY_MODEL))


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, ScoringGRPOTrainer])
def test_signals_come_with_the_adapter_on(trainer_class: Any, tmp_path: Path) -> None:
    listener = Listener()
    torch.manual_seed(0)
    lora = LoraConfig(r=4, lora_alpha=32, init_lora_weights=False, target_modules="all-linear")
    trainer = run_of(trainer_class, tmp_path, listener, beta=0.1, peft_config=lora)
    adapted = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    with torch.no_grad():
        for name, p in trainer.model.named_parameters():
            p.copy_(adapted[name])
    merged = trainer.model.merge_and_unload()
    plain = AutoModelForCausalLM.from_pretrained(TINY_MODEL)
    plain.load_state_dict(merged.state_dict())
    check(listener, plain, AutoTokenizer.from_pretrained(TINY_MODEL))


SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}


@pytest.mark.parametrize("trainer_class", [GRPOTrainer, ScoringGRPOTrainer])
@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL, tie_word_embeddings=False),
        Gemma2Config(**SMALL, final_logit_softcapping=2.0),
        CohereConfig(**SMALL, logit_scale=0.25),
        GraniteConfig(**SMALL, logits_scaling=3.0),
    ],
    ids=lambda config: config.model_type,
)
def test_heads_of_other_kinds(config: Any, trainer_class: Any, tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    config.vocab_size = len(tokenizer)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # random heads are nearly uniform: make them sure of something
        model.get_output_embeddings().weight.mul_(40)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    listener = Listener()
    run_of(trainer_class, tmp_path, listener, tmp_path / "model").train()
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", attn_implementation="eager")
    check(listener, plain, AutoTokenizer.from_pretrained(tmp_path / "model"), ragged=False)


def test_masked_truncated_completions_are_not_scored(tmp_path: Path) -> None:
    listener = Listener()
    run_of(ScoringGRPOTrainer, tmp_path, listener, mask_truncated_completions=True).train()
    heard = listener.calls[0]
    ended = [ids[-1] == 1 for ids in heard["ids"]]
    assert any(ended)
    assert not all(ended)
    assert [signal is not None for signal in heard["entropy"]] == ended


def test_an_evaluation_gets_signals_too(tmp_path: Path) -> None:
    listener = Listener()
    options = {"max_completion_length": 30, "per_device_eval_batch_size": 8}
    trainer = run_of(GRPOTrainer, tmp_path, listener, eval_dataset=tiny_problems("heldout", 4), **options)
    trainer.evaluate()
    check(listener, AutoModelForCausalLM.from_pretrained(TINY_MODEL), AutoTokenizer.from_pretrained(TINY_MODEL))


def test_unknown_signals_and_tools_are_refused_before_a_model_loads(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"prompt": ["1 + 1"]})
    bad = Listener()
    bad.signals = ("certainty",)  # type: ignore[assignment]
    args = tiny_config(GRPOTrainer, tmp_path)
    with pytest.raises(ValueError, match="asks for the signal 'certainty'"):
        GRPOTrainer("no/model", bad, args, rows)
    with pytest.raises(ValueError, match="cannot be computed with tools"):
        GRPOTrainer("no/model", Listener(), args, rows, tools=[len])


def test_generation_that_is_no_plain_sampling_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_generations": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1}
    options["generation_kwargs"] = {"num_beams": 2}
    trainer = run_of(GRPOTrainer, tmp_path, Listener(), rows=4, **options)
    with pytest.raises(ValueError, match="signals need plain sampling"):
        trainer.train()


def test_trl_calls_what_the_signals_hang_on() -> None:
    """A new TRL that renames these methods must fail here, not silently."""
    for trainer in (trl.GRPOTrainer, trl.RLOOTrainer):
        for method in ("_generate_single_turn", "_get_per_token_logps_and_entropies", "_calculate_rewards"):
            assert callable(getattr(trainer, method))
