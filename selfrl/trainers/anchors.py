"""What the policy still thinks of completions that it wrote at the start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from selfrl.checkpoint import Part
from selfrl.distributed import gathered, shared_out
from selfrl.group_record import GroupRecord
from selfrl.monitor.watch import RecordCallback
from selfrl.signals.effective_rank import effective_rank
from selfrl.signals.output_head import causal_model
from selfrl.trainers.records import Listener
from selfrl.trainers.signal_columns import HiddenStates
from selfrl.trainers.trimming import Pass
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup

COUNT = 32
EVERY = 2  # optimizer steps between two measurements
FIRST_BATCHES = 8  # that anchors may come from
AGREED = 0.5
LEAST_SURPRISE = 0.01  # nats a token


class Anchor(NamedTuple):
    """A completion of the start.

    Args:
        prompt: its token ids.
        completion: its token ids.
        log_prob: mean over its tokens, by the policy that wrote it.
    """

    prompt: list[int]
    completion: list[int]
    log_prob: float


class Scored(NamedTuple):
    """What the policy makes of an anchor.

    Args:
        log_prob: mean over the completion's tokens.
        entropy: mean over these, in nats.
        state: last hidden state at the completion's last token.
    """

    log_prob: float
    entropy: float
    state: torch.Tensor


def winners(records: Sequence[GroupRecord], count: int) -> list[int]:
    """Rows of whole completions with their group's most common answer, one a group, where at least half agree.

    >>> record = GroupRecord("a", 0, ("5", "4", "4"), "4", None, (1.0,) * 3, (3,) * 3, (False,) * 3, rows=(4, 5, 6))
    >>> winners([record], count=8)
    [5]
    """
    found = []
    for record in records:
        if record.keys and (record.majority_ratio or 0.0) < AGREED:
            continue
        best = max(record.votes, key=record.votes.__getitem__, default=None)
        keys = record.keys or (None,) * len(record.rows)
        whole = zip(record.rows, keys, record.cut_off, strict=True)
        found += [row for row, key, cut in whole if key == best and not cut][:1]
    return found[:count]


class Anchors(GroupTrainer):
    """Mixin over a TRL group trainer: the first batches' agreed completions are scored again as training goes on.

    Collapse need not show in what a policy writes: it may stay as sure, as long and as varied as it was, and be wrong.
    But then it has left what it agreed with itself on before. Up to 32 such completions of the first 8 batches, one a
    group, are kept with the log-probability that they had when they were written, and scored anew with the batch
    that comes after every 2 optimizer steps: one pass without gradient, no second model. Logged:

    - `anchors/log_prob`: mean over anchors of log π(y) a token;
    - `anchors/log_ratio`: the same less log π_start(y), an estimate of −KL(start ‖ policy) a token;
    - `anchors/lost`: how far log_prob has fallen from its highest so far, in units of −log π_start(y). Learning by
      agreement makes agreed answers likelier, so it stays near 0; a policy that unlearns them raises it, early;
    - `anchors/entropy`: mean entropy of the policy on their tokens;
    - `anchors/effective_rank`: of the hidden states at their ends, see [`selfrl.signals.effective_rank`].

    Only for a [`selfrl.monitor.watch.RecordCallback`] with `wants_anchors`; not with pictures, tools or environments.
    The anchors are in every checkpoint.
    """

    add_listener: Callable[[Listener], None]
    _passes: list[Pass]

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        foreign = setup.given("tools", "environment_factory", "rollout_func")
        callbacks = setup.options.get("callbacks") or ()
        self._anchored = [] if foreign else [c for c in callbacks if isinstance(c, RecordCallback) and c.wants_anchors]
        self._anchors: list[Anchor] = []
        self._anchor_batches = 0
        self._anchors_due = EVERY
        self._likeliest = -math.inf
        self._anchor_records: Sequence[GroupRecord] = ()
        if self._anchored:
            self.add_listener(self._keep_for_anchors)
            self.checkpoint.register(Part("anchors", self._anchor_state, self._load_anchors, required=False))

    def _keep_for_anchors(self, records: Sequence[GroupRecord]) -> None:
        self._anchor_records = records

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        output = super()._generate_and_score_completions(inputs)
        if not self._anchored or not self.model.training or "pixel_values" in output:
            return output
        if self._anchor_batches < FIRST_BATCHES and len(self._anchors) < COUNT:
            self._cast_anchors(output)
            self._anchor_batches += 1
        elif self._anchors and self.state.global_step >= self._anchors_due:
            self._anchors_due = self.state.global_step + EVERY
            figures = self._anchor_figures()
            for name, value in figures.items():
                self._metrics["train"][f"anchors/{name}"].append(value)
            for callback in self._anchored:
                callback.hear_anchors(self.state.global_step, figures)
        return output

    def _cast_anchors(self, output: Batch) -> None:
        """Keep completions of this batch, and what the policy gives them now."""
        rows, _ = gathered(
            [
                (prompt[before.bool()].tolist(), completion[said.bool()].tolist())
                for prompt, before, completion, said in zip(
                    output["prompt_ids"],
                    output["prompt_mask"],
                    output["completion_ids"],
                    output["completion_mask"],
                    strict=True,
                )
            ]
        )
        chosen = [rows[row] for row in winners(self._anchor_records, COUNT - len(self._anchors))]
        fresh = [Anchor(prompt, completion, 0.0) for prompt, completion in chosen if completion]
        scores = self._scored_by_all(fresh)
        self._anchors += [Anchor(*anchor[:2], s.log_prob) for anchor, s in zip(fresh, scores, strict=True)]

    def _anchor_figures(self) -> dict[str, float]:
        scores = self._scored_by_all(self._anchors)
        now = fmean(score.log_prob for score in scores)
        start = fmean(anchor.log_prob for anchor in self._anchors)
        self._likeliest = max(self._likeliest, start, now)
        figures = {
            "log_prob": now,
            "log_ratio": now - start,
            "lost": (self._likeliest - now) / max(-start, LEAST_SURPRISE),
            "entropy": fmean(score.entropy for score in scores),
        }
        rank = effective_rank(torch.stack([score.state for score in scores]))
        return figures | ({"effective_rank": rank} if rank is not None else {})

    def _scored_by_all(self, anchors: list[Anchor]) -> list[Scored]:
        """What the policy makes of some anchors, each process scoring its share.

        Shares are filled up to one size: sharded processes must make the same passes.
        """
        size = -(-len(anchors) // self.accelerator.num_processes)

        def share(part: list[Anchor]) -> list[Scored]:
            return self._score_anchors([*part, *anchors[:1] * (size - len(part))])[: len(part)]

        return shared_out(anchors, share) if anchors else []

    @torch.no_grad()
    def _score_anchors(self, anchors: list[Anchor]) -> list[Scored]:
        device = self.accelerator.device
        asked = [torch.tensor(anchor.prompt) for anchor in anchors]
        said = [torch.tensor(anchor.completion) for anchor in anchors]
        marks = [[torch.ones_like(ids) for ids in part] for part in (asked, said)]
        ids_BL = torch.cat([_padded(asked, "left"), _padded(said, "right")], 1).to(device)
        mask_BL = torch.cat([_padded(marks[0], "left"), _padded(marks[1], "right")], 1).to(device)
        sizes_B = torch.tensor([len(ids) for ids in said])

        def last_tokens(states_BLH: torch.Tensor) -> torch.Tensor:
            one = self._passes[len(heard.states)]
            places = states_BLH.shape[1] - one.kept + sizes_B[one.rows.cpu()] - 1
            return states_BLH[torch.arange(len(places)), places].float().cpu()

        model = causal_model(self.accelerator.unwrap_model(self.model))
        with HiddenStates(model, last_tokens) as heard:
            logps_BT, entropies_BT, _ = self._get_per_token_logps_and_entropies(
                self.model,
                ids_BL,
                mask_BL,
                int(sizes_B.max()),
                batch_size=self.args.per_device_train_batch_size,
                compute_entropy=True,
            )
        assert entropies_BT is not None
        states = dict(zip(torch.cat([one.rows for one in self._passes]).tolist(), torch.cat(heard.states), strict=True))
        return [
            Scored(logps_BT[row, :size].mean().item(), entropies_BT[row, :size].mean().item(), states[row])
            for row, size in enumerate(sizes_B.tolist())
        ]

    def _anchor_state(self) -> dict[str, Any]:
        places = {"batches": self._anchor_batches, "due": self._anchors_due, "likeliest": self._likeliest}
        return {"anchors": [list(anchor) for anchor in self._anchors], **places}

    def _load_anchors(self, state: dict[str, Any]) -> None:
        self._anchors = [Anchor(*values) for values in state["anchors"]]
        self._anchor_batches = state["batches"]
        self._anchors_due = state["due"]
        self._likeliest = state["likeliest"]


def _padded(rows: Sequence[torch.Tensor], side: str) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_side=side)
