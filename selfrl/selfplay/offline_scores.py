"""What a solver's answers earn outside of a trainer, by any reward of the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from selfrl.answers import merge_keys, read_answer
from selfrl.answers.gold import right_label
from selfrl.generation import Generation, Generator, Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.rewards.reward_sums import weighted_sums
from selfrl.selfplay.answered import Answers, Sample
from selfrl.selfplay.offline_signals import signal_columns
from selfrl.selfplay.row_form import Row

GOLD = "answer"


class OfflineScorer:
    r"""Has a solver answer, and scores the answers as a trainer's rewards would: groups whole, abstentions apart.

    Args:
        rewards: with TRL's signature.
        weights: of the rewards; 1 each if not given.

    Raises:
        ValueError: for another number of weights, or a reward that only a trainer can give what it needs.

    Example:
        >>> from selfrl.rewards import MajorityVoteReward
        >>> class Solver:
        ...     def generate(self, prompts, sampling):
        ...         texts = (r"\\\boxed{4}", r"\\\boxed{4}", r"\\\boxed{5}")
        ...         return [[Generation(text, "stop", 3, 4) for text in texts] for _ in prompts]
        >>> row = {"prompt": "2+2?", "answer": "4"}
        >>> (found,) = OfflineScorer([MajorityVoteReward()]).answer(["a"], [row], Solver(), Sampling(n=3))
        >>> found.rewards, round(found.vote_share, 3), found.label_right
        ([1.0, 1.0, 0.0], 0.667, True)
    """

    def __init__(self, rewards: Sequence[Any], weights: Sequence[float] | None = None) -> None:
        self.rewards = list(rewards)
        if weights is not None and len(weights) != len(self.rewards):
            raise ValueError(f"{len(self.rewards)} rewards have {len(weights)} weights: give one each.")
        self.weights = torch.tensor([1.0] * len(self.rewards) if weights is None else list(weights))
        for reward in self.rewards:
            if getattr(reward, "needs_teacher", False):
                raise ValueError(f"{reward.__name__} needs a teacher, which only a trainer has: take another reward.")
            if "pair_id" in getattr(reward, "columns", ()):
                raise ValueError(f"{reward.__name__} needs paraphrase pairs, which do not evolve: take another reward.")
        self._wanted = {name for reward in self.rewards for name in getattr(reward, "signals", ())}

    def check(self, generator: Generator) -> None:
        """Refuse a back end that cannot give what a reward needs.

        Raises:
            ValueError: for a reward from token signals, if the back end is not transformers.
        """
        if self._wanted and not isinstance(generator, TransformersGenerator):
            name = next(reward.__name__ for reward in self.rewards if getattr(reward, "signals", ()))
            raise ValueError(f"{name} needs token signals, which only the transformers back end gives: set backend.")

    def answer(
        self, ids: Sequence[str], rows: Sequence[Row], generator: Generator, sampling: Sampling
    ) -> list[Answers]:
        """`sampling.n` scored answers to each row; none where the generation failed for good.

        Args:
            ids: of the prompts.
            rows: with `prompt` and the columns that rewards read.
            generator: the solver.
            sampling: how it answers.
        """
        groups = generator.generate([row["prompt"] for row in rows], sampling)
        repeated = [row for row, group in zip(rows, groups, strict=True) for _ in group]
        rewards = iter(self._scores(repeated, [answer for group in groups for answer in group], generator, sampling))
        found = []
        for name, row, group in zip(ids, rows, groups, strict=True):
            keys = list(merge_keys([read_answer(answer.text).key for answer in group]))
            samples = tuple(Sample(a.text, key, next(rewards)) for a, key in zip(group, keys, strict=True))
            votes = [key for key in keys if key is not None]
            label, count = Counter(votes).most_common(1)[0] if votes else (None, 0)
            share = count / len(keys) if votes else None
            found.append(Answers(name, samples, share, right_label(label, row.get(GOLD))))
        return found

    def _scores(
        self, rows: Sequence[Row], answers: Sequence[Generation], generator: Generator, sampling: Sampling
    ) -> list[float | None]:
        """The weighted sum of the rewards of each answer."""
        if not rows:
            return []
        prompts = [row["prompt"] for row in rows]
        columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in rows[0] if name != "prompt"}
        if self._wanted:
            assert isinstance(generator, TransformersGenerator)
            columns |= signal_columns(generator, prompts, answers, self._wanted, sampling.temperature or 1.0)
        if any(getattr(reward, "needs_policy", False) for reward in self.rewards):
            columns["policy"] = [generator] * len(rows)
        texts = [
            a.text if isinstance(prompt, str) else [{"role": "assistant", "content": a.text}]
            for prompt, a in zip(prompts, answers, strict=True)
        ]
        scored = [
            [
                torch.nan if value is None else float(value)
                for value in reward(prompts=prompts, completions=texts, completion_ids=None, **columns)
            ]
            for reward in self.rewards
        ]
        sums_N = weighted_sums(torch.tensor(scored, dtype=torch.float64).T, self.weights.double())
        return [None if value != value else value for value in sums_N.tolist()]
