"""Both views of a prompt in one batch: Co-rewarding I (2508.00410)."""

from __future__ import annotations

from typing import Any

import torch

from selfrl.data.pairs import pair_rows
from selfrl.trainers.checks import check_enough_pairs, check_whole_pairs
from selfrl.trainers.prompt_source import is_paired
from selfrl.trainers.trl_surface import GroupTrainer, Setup


class PairedViews(GroupTrainer):
    """Mixin over a TRL group trainer for rows with `pair_id` and `view`.

    Both views of a prompt meet in one generation batch ([`selfrl.trainers.prompt_source.PairedRepeatSampler`]), each
    with its own group of `num_generations` completions. Advantages are normalised within each group, hence separately
    per view, and the loss is the *sum* of both views' losses: TRL averages over all completions, which is half that
    sum, so it is doubled. (With a loss type that divides by the batch's token count, "dapo" or "bnpo", the views weigh
    by their tokens; the presets use "grpo".)

    Raises:
        ValueError: before a model loads, for a pair with one view, or a batch that would cut a pair.
    """

    def _check(self, setup: Setup) -> None:
        super()._check(setup)
        args = setup.args
        if is_paired(setup.train_dataset):
            prompts = args.generation_batch_size // args.num_generations
            check_whole_pairs(prompts, "A generation batch")
            check_enough_pairs(prompts // 2, len(pair_rows(setup.train_dataset)))
        if args.eval_strategy == "no":
            return
        sets = setup.eval_dataset.values() if isinstance(setup.eval_dataset, dict) else [setup.eval_dataset]
        for dataset in filter(is_paired, sets):
            rows = args.per_device_eval_batch_size * args.world_size
            check_whole_pairs(rows // (args.num_generations_eval or args.num_generations), "An evaluation batch")
            pair_rows(dataset)

    def compute_loss(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """TRL's loss, summed over views instead of averaged."""
        views = 2 if is_paired(self.train_dataset) else 1
        return views * super().compute_loss(*args, **kwargs)
