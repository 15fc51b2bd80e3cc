"""Train three paired steps with vLLM rollouts, then compare vLLM's log-probabilities with the trainer's.

A teacher speaks through the same vLLM with weights of its own, all zero: it says noise while the policy says answers.
Further voters of both are drawn at the end. Run by test_vllm_rollouts.py.
"""

from pathlib import Path
from typing import Any

import torch
from support.runs import tiny_run

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.trainers import GRPOTrainer, TeacherConfig


def difference(trainer: Any, prompts: list[list[int]]) -> float:
    """Largest difference of vLLM's and the trainer's log-probabilities of what vLLM samples now."""
    from vllm import SamplingParams  # not before the trainer has set vLLM up

    params = SamplingParams(temperature=1.0, max_tokens=8, logprobs=0, seed=0, detokenize=False)
    requests = [{"prompt_token_ids": ids} for ids in prompts]
    worst = 0.0
    for ids, output in zip(prompts, trainer.vllm_generation.llm.generate(requests, params), strict=True):
        sampled = output.outputs[0]
        tokens = list(sampled.token_ids)
        sequence = torch.tensor([[*ids, *tokens]])
        with torch.no_grad():
            logits = trainer.model(input_ids=sequence).logits[0, len(ids) - 1 : -1]
        logps = logits.log_softmax(-1)[range(len(tokens)), tokens]
        theirs = torch.tensor([step[token].logprob for step, token in zip(sampled.logprobs, tokens, strict=True)])
        worst = max(worst, (logps - theirs).abs().max().item())
    return worst


class Listener:
    """Rewards distinct characters, and keeps what it is handed."""

    __name__ = "Listener"
    needs_teacher = True
    signals = ("log_prob", "self_certainty")

    def __init__(self) -> None:
        self.views: list[list[int]] = []
        self.policy: list[str] = []
        self.teacher: list[str] = []
        self.log_prob: list[list[float]] = []

    def __call__(self, prompts: list[str], completions: list[str], completion_ids: Any, **columns: Any) -> list[float]:
        self.views.append(columns["view"])
        self.policy += completions
        self.teacher += [text for texts in columns["teacher_completions"] for text in texts]
        self.log_prob += [signal.tolist() for signal in columns["log_prob"]]
        assert [len(s) for s in columns["self_certainty"]] == [len(ids) for ids in completion_ids]
        return [len(set(c)) / 10 for c in completions]


def train(model: Path, out: Path) -> dict[str, Any]:
    listener = Listener()
    pairs = expand_pairs(tiny_problems("train", 12))
    trainer = tiny_run(
        GRPOTrainer,
        model,
        out,
        listener,
        pairs,
        use_vllm=True,
        vllm_mode="colocate",
        vllm_enable_sleep_mode=False,
        vllm_max_model_length=128,
        max_completion_length=30,
        max_steps=3,
        learning_rate=0.02,
        lr_scheduler_type="constant",
        teacher=TeacherConfig(teacher_weight_start=0, teacher_weight_end=0),
    )
    for tensor in trainer.shadow.values():
        tensor.zero_()
    sampled: list[list[list[float]]] = []  # vLLM's log-probabilities, in the listener's order
    generate = trainer.vllm_generation.generate

    def keep(**kwargs: Any) -> Any:
        output = generate(**kwargs)
        sampled.append([[step[0] for step in row] for row in output[2]])
        return output

    trainer.vllm_generation.generate = keep
    prompts = [trainer.processing_class(p).input_ids for p in pairs["prompt"][:8]]
    start = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train()
    before_sync = difference(trainer, prompts)
    trainer.vllm_generation.sync_weights()
    logged = [row["sampling/sampling_logp_difference/max"] for row in trainer.state.log_history if "reward" in row]
    trainer.vllm_generation.generate = generate
    after_sync = difference(trainer, prompts)
    trainer.model.load_state_dict(start)  # what was trained says nothing of note
    trainer._forget_loaded_weights()
    further = {who: trainer._further_texts(prompts, by_teacher=who == "teacher") for who in ("policy", "teacher")}
    return {
        "before_sync": before_sync,
        "after_sync": after_sync,
        "views": listener.views,
        "further_boxes": {who: sum("boxed{" in text for text in texts) / 8 for who, texts in further.items()},
        "policy_boxes": sum("boxed" in text for text in listener.policy[:8]) / 8,
        "teacher_boxes": sum("boxed{" in text for text in listener.teacher) / len(listener.teacher),
        "signal_difference": max(
            abs(ours - theirs)
            for mine, vllms in zip(listener.log_prob, [row for call in sampled[1::2] for row in call], strict=True)
            for ours, theirs in zip(mine, vllms, strict=True)
        ),
        "sampling_difference": logged,
    }
