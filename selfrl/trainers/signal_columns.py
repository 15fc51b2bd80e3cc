"""Token signals for rewards, from the hidden states of passes that TRL runs anyway."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from trl.trainer.utils import maybe_gather_lm_head_ctx

from selfrl.generation.tokens import token_texts
from selfrl.signals.output_head import OutputHead, causal_model
from selfrl.signals.token_confidence import NAMES, token_signals
from selfrl.trainers.trimming import Pass
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup, completion_ids_of

COLUMNS = (*NAMES, "token_texts", "vocab_size")


class SignalColumns(GroupTrainer):
    """Mixin over a TRL group trainer that computes what rewards name in `signals`.

    Each reward gets the columns described in [`selfrl.rewards.contract`]. Their hidden states are kept in a
    pass that runs anyway, and the output head is applied to them in tiles ([`selfrl.signals.token_signals`]):

    - rollouts by transformers: the generation itself;
    - rollouts by vLLM or continuous batching: the policy's scoring pass. Where TRL would run none (GRPO without
      vLLM's importance correction) it is made to.

    The signals are those of softmax(z / temperature) with the trainer's temperature: the policy's own distribution,
    before any top-k or top-p.

    Raises:
        ValueError: before a model loads, for an unknown signal, or together with tools or environments, whose tokens
            are not the policy's.
    """

    _passes: list[Pass]
    scores_always = False  # whether TRL scores every rollout with the policy before the reward

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        wanted = wanted_signals([*setup.reward_funcs, *setup.shapers])
        if wanted and (foreign := setup.given("tools", "environment_factory", "rollout_func")):
            raise ValueError(
                f"Token signals cannot be computed with {foreign}: drop it, or the rewards that need them."
            )
        blended = getattr(setup.args, "multi_objective_aggregation", None) == "normalize_then_sum"
        weights = setup.args.reward_weights or [1.0] * len(setup.reward_funcs)
        heard = wanted_signals(setup.reward_funcs)
        if heard and sum(weight != 0 for weight in weights) > 1 and not blended:
            warnings.warn(
                "Confidence rewards have no common scale with the others, so the largest swamps them: set "
                "multi_objective_aggregation to normalize_then_sum (GRPO), or train on one reward.",
                stacklevel=2,
            )

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self._wanted = wanted_signals([*setup.reward_funcs, *setup.shapers])
        self._wanted_tensors = tuple(name for name in NAMES if name in self._wanted)
        self._hidden: list[torch.Tensor] | None = None
        self._signals: dict[str, list[torch.Tensor | None]] = {}
        self._awaits_scoring = False

    @property
    def _hears_generation(self) -> bool:
        return bool(self._wanted_tensors) and not (self.use_vllm or self.use_transformers_continuous_batching)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        if not self._hears_generation:
            return super()._generate_single_turn(*args, **kwargs)
        with HiddenStates(self._causal_model, lambda h_BLH: h_BLH[:, -1].clone()) as heard:
            output = super()._generate_single_turn(*args, **kwargs)
        completion_ids = completion_ids_of(output)
        steps = max(map(len, completion_ids))
        # Sharded processes generate in step: one that is done runs on with the others.
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        states = heard.states[:steps] if sharded else heard.states
        if len(states) != steps or len(states[0]) != len(completion_ids):
            raise ValueError(
                f"Generation ran {len(states)} passes of {len(states[0])} rows for {steps} tokens of "
                f"{len(completion_ids)} completions: signals need plain sampling, so take assisted decoding, beams or "
                "a prefill chunk size out of generation_kwargs."
            )
        rows = torch.stack(states, 1)
        self._hidden = [row[: len(ids)] for row, ids in zip(rows, completion_ids, strict=True)]
        return output

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        self._awaits_scoring = bool(self._wanted_tensors) and not self._hears_generation
        if not self._awaits_scoring or self._scores_anyway:
            return super()._generate_and_score_completions(inputs)
        iterations = self.num_iterations
        # TRL scores rollouts if their generation and the optimizer steps do not align: let it believe so.
        self.num_iterations = sys.maxsize
        try:
            output = super()._generate_and_score_completions(inputs)
        finally:
            self.num_iterations = iterations
        del output["old_per_token_logps"]
        return output

    @property
    def _scores_anyway(self) -> bool:
        generate_every = self.args.steps_per_generation * self.num_iterations
        return (
            self.scores_always
            or self.args.gradient_accumulation_steps % generate_every != 0
            or (self.use_vllm and self.args.vllm_importance_sampling_correction)
        )

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        score = super()._get_per_token_logps_and_entropies
        if not self._awaits_scoring:
            return score(model, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
        self._awaits_scoring = False  # the reference is scored after the policy
        # The hidden state at position t scores the token at t + 1.
        with HiddenStates(self._causal_model, lambda h_BLH: h_BLH[:, -self._passes[-1].kept - 1 : -1].clone()) as heard:
            scores = score(model, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
        said_BT = attention_mask[:, -logits_to_keep:].bool()
        states = {
            row: state[said_BT[row, : one.kept]]
            for one, part in zip(self._passes, heard.states, strict=True)
            for row, state in zip(one.rows.tolist(), part, strict=True)
        }
        self._hidden = [states[row] for row in range(len(said_BT))]
        return scores

    def _calculate_rewards(
        self, inputs: Rows, prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        columns = self._signal_columns(completion_ids_list)
        rows = [{**row, **{name: values[i] for name, values in columns.items()}} for i, row in enumerate(inputs)]
        return super()._calculate_rewards(rows, prompts, completions, completion_ids_list)

    def _signal_columns(self, completion_ids: list[list[int]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        if self._wanted_tensors:
            self._signals = self._token_signals(completion_ids)
            columns |= self._signals
        if "token_texts" in self._wanted:
            columns["token_texts"] = [token_texts(self._tokenizer, ids) for ids in completion_ids]
        if "vocab_size" in self._wanted:
            size = OutputHead.of(self._causal_model).vocab_size
            columns["vocab_size"] = [size] * len(completion_ids)
        return columns

    def _signal_means(self) -> dict[str, list[float | None]]:
        """See [`selfrl.trainers.records.Records`]."""
        return {
            name: [None if part is None else part.mean().item() for part in parts]
            for name, parts in self._signals.items()
        }

    @torch.no_grad()
    def _token_signals(self, completion_ids: list[list[int]]) -> dict[str, list[torch.Tensor | None]]:
        assert self._hidden is not None
        hidden, self._hidden = self._hidden, None
        # A completion masked out of the batch is not scored, neither here nor by TRL.
        scored = [not (self.mask_truncated_completions and self._is_cut_off(ids)) for ids in completion_ids]
        sizes = [len(ids) if whole else 0 for ids, whole in zip(completion_ids, scored, strict=True)]
        hidden_NH = torch.cat([states[:size] for states, size in zip(hidden, sizes, strict=True)])
        tokens = [token for ids, whole in zip(completion_ids, scored, strict=True) if whole for token in ids]
        head = OutputHead.of(self._causal_model)
        with maybe_gather_lm_head_ctx(head.weight, head.bias):
            signals = token_signals(
                hidden_NH.to(head.weight.device),
                head.weight,
                torch.tensor(tokens, dtype=torch.long, device=head.weight.device),
                self._wanted_tensors,
                bias=head.bias,
                temperature=self.temperature,
                softcap=head.softcap,
                logit_scale=head.logit_scale,
            )
        return {
            name: [part if whole else None for part, whole in zip(values.cpu().split(sizes), scored, strict=True)]
            for name, values in signals.items()
        }

    @property
    def _causal_model(self) -> Any:
        return causal_model(self.accelerator.unwrap_model(self.model))


def wanted_signals(rewards: Sequence[Any]) -> tuple[str, ...]:
    """The signals that rewards ask for, each once.

    Raises:
        ValueError: for an unknown one.
    """
    wanted: dict[str, None] = {}
    for reward in rewards:
        for name in getattr(reward, "signals", ()):
            if name not in COLUMNS:
                raise ValueError(
                    f"{type(reward).__name__} asks for the signal {name!r}: choose among {', '.join(COLUMNS)}."
                )
            wanted[name] = None
    return tuple(wanted)


class HiddenStates:
    """Keeps a part of the backbone's last hidden states (B, L, H), call by call, while it is open.

    Args:
        model: a causal language model of transformers.
        part: what to keep of each call's states.
    """

    def __init__(self, model: Any, part: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.model, self.part = model, part
        self.states: list[torch.Tensor] = []

    def __enter__(self) -> HiddenStates:
        self.hook = self.model.base_model.register_forward_hook(self._keep)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hook.remove()

    def _keep(self, module: Any, args: Any, output: Any) -> None:
        self.states.append(self.part(output.last_hidden_state.detach()))
