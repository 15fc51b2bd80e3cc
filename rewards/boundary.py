"""Rewards for saying how sure one is of each reasoning step: MMBoundary (2505.23224)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch

from selfrl.distributed import over_all_processes
from selfrl.rewards.contract import BaseReward, Batch, Metrics, Scores, groups_of, share_abstaining
from selfrl.rewards.internal_confidence import (
    entropy_certainty,
    length_normalised_probability,
    level_of,
    token_sar_certainty,
    weighted_confidence,
    word_relevance,
)
from selfrl.rewards.reasoning_steps import LEVELS, PHRASES, agreed_steps, split_steps, step_key
from selfrl.rewards.spans import check_per_token, token_ends, touching
from selfrl.rewards.step_terms import (
    calibration_reward,
    expected_calibration_error,
    knowledge_reward,
    matches,
    reference_keys,
)


class Chain(NamedTuple):
    """A completion as its steps: what they say, the levels expressed, and the internal ones.

    Args:
        keys: see [`selfrl.rewards.reasoning_steps.step_key`].
        expressed: level 0..4 a step, or None.
        internal: level 0..4 a step; None if the completion could not be scored, or a signal is no number.
    """

    keys: tuple[str, ...]
    expressed: tuple[int | None, ...]
    internal: tuple[int, ...] | None


class BoundaryReward(BaseReward):
    r"""R = α·R_KA + β·R_EC + γ·R_CS for a chain of steps that each express a confidence: MMBoundary.

    - R_KA: share of steps that match the reference chain. Label-free, for a row without `reference_steps`: the
      agreed chain, which is what more than half of the group's completions say.
    - R_EC: 1 − mean |expressed − correct|, where correct is 1 for a step that matches.
    - R_CS: 1 − mean |expressed − internal|, the self-rewarding term.

    Steps of the chain that no step of the completion matches count in R_KA and R_EC as further steps, wrong and
    silent: with n steps, c in the chain and m that match, both are means over n + c − m. So it pays neither to stop
    before a hard step nor to say something else in its place. Where no step is agreed on, every step counts as wrong:
    to be unsure is then right.

    Steps and expressed levels: [`selfrl.rewards.reasoning_steps.split_steps`]. Internal confidence of a step is the
    weighted mean of four parts in 0..1, put into five equal bins: exp(LNLP), 1 − MTE / log V, exp(−TokenSAR), and, if
    there are images, an image score.

    |expressed − correct| is no proper scoring rule: over a step that is right with probability p > ½ it is least at
    full certainty. γ, which asks for p as the model feels it, holds against that.

    The optional column `reference_steps` holds a list of steps, or their text; None or NaN is none. A group is all
    completions of equal prompts, over all processes.

    Abstains (None): a completion that could not be scored. One without a step gets 0, and a step without an expressed
    confidence counts as wholly miscalibrated.

    Args:
        alpha: weight of R_KA.
        beta: weight of R_EC.
        gamma: weight of R_CS.
        weights: of the four parts of internal confidence; not published, equal by default.
        phrases: expressed confidence → level 0..4.
        relevance: texts of a step's tokens → weight of each in TokenSAR; by default 1 for tokens with a letter or
            digit.
        image_score: the image's support for a step, such as a CLIPScore, clipped to 0..1: a callable (image, text of a
            step) → score, used where the column `images` (then it gets the list) or `image` has something; or the
            name of a column of scores, used where it has one.

    Raises:
        ValueError: for bad options, a reference or score that cannot be read, a missing column of scores, or under
            TRL's own trainers, which compute no signals.

    Example:
        >>> reward = BoundaryReward(alpha=0.0, beta=1.0, gamma=0.0)
        >>> texts = [["1 + 1 = 2.", " I am sure."]] * 2 + [["1 + 1 = 3.", " I am sure."]]
        >>> sure = torch.zeros(2)
        >>> columns = {"log_prob": [sure] * 3, "entropy": [sure] * 3, "token_texts": texts, "vocab_size": [50] * 3}
        >>> reward(["1 + 1?"] * 3, ["".join(t) for t in texts], **columns)
        [1.0, 1.0, 0.0]
    """

    signals = ("log_prob", "entropy", "token_texts", "vocab_size")
    abstains = True

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.0,
        weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        phrases: Mapping[str, int] = PHRASES,
        relevance: Callable[[Sequence[str]], Sequence[float]] = word_relevance,
        image_score: Callable[[Any, str], float] | str | None = None,
    ) -> None:
        terms = (alpha, beta, gamma)
        if not all(0 <= term < math.inf for term in terms) or sum(terms) == 0:
            raise ValueError(f"alpha, beta, gamma are {terms}: give finite weights from 0, of which one is not 0.")
        if len(weights) != 4 or not all(0 <= w < math.inf for w in weights) or sum(weights[:3]) == 0:
            raise ValueError(f"`weights` is {weights!r}: give four, from 0, of which one of the first three is not 0.")
        if not phrases or not set(phrases.values()) <= set(range(LEVELS)) or not all(map(str.strip, phrases)):
            raise ValueError(f"`phrases` must map phrases to levels from 0 to {LEVELS - 1}, and none may be empty.")
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.weights, self.phrases = tuple(weights), dict(phrases)
        self.relevance, self.image_score = relevance, image_score
        self.columns = (image_score,) if isinstance(image_score, str) else ()

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        signals = [batch.column(name) for name in self.signals]
        chains = [self.chain(*row) for row in zip(*signals, self._images(batch), strict=True)]
        references = [reference_keys(value, row) for row, value in enumerate(batch.column("reference_steps"))]
        rows = list(zip(batch.prompt_ids, chains, references, strict=True))
        return Scores(*over_all_processes(self._score, rows))

    def chain(
        self,
        log_prob: torch.Tensor | None,
        entropy: torch.Tensor | None,
        texts: Sequence[str],
        vocab_size: int,
        image: Any = None,
    ) -> Chain:
        """Read one completion from its tokens' texts (T,) and signals (T,), and its image or the image's score.

        Raises:
            ValueError: for signals of another shape.
        """
        for name, values in (("log_prob", log_prob), ("entropy", entropy)):
            if values is not None:
                check_per_token(name, values, texts)
        text = "".join(texts)
        steps = split_steps(text, self.phrases)
        keys = tuple(step_key(text[step.start : step.end]) for step in steps)
        expressed = tuple(step.level for step in steps)
        if log_prob is None or entropy is None:
            return Chain(keys, expressed, None)
        internal = []
        ends = token_ends(texts)
        for step in steps:
            tokens = touching(ends, (step.start, step.end))
            assert tokens is not None  # a step has a word
            span = slice(*tokens)
            score = None
            if image is not None:
                score = self.image_score(image, text[step.start : step.end]) if callable(self.image_score) else image
                score = min(max(score, 0.0), 1.0)
            parts = (
                length_normalised_probability(log_prob[span]),
                entropy_certainty(entropy[span], vocab_size),
                token_sar_certainty(log_prob[span], self.relevance(texts[span])),
                score,
            )
            confidence = weighted_confidence(parts, self.weights)
            if confidence is None:
                return Chain(keys, expressed, None)
            internal.append(level_of(confidence))
        return Chain(keys, expressed, tuple(internal))

    def _images(self, batch: Batch) -> Sequence[Any]:
        """An image, a list of images or a score a row; None where there is none, or nothing that reads it."""
        if self.image_score is None:
            return [None] * len(batch.completions)
        if isinstance(self.image_score, str):
            scores = batch.column(self.image_score)
            for row, score in enumerate(scores):
                if score is not None and not isinstance(score, Real):
                    raise ValueError(f"Row {row} of the batch has the image score {score!r:.200}: it must be a number.")
            return [None if score != score else score for score in scores]
        return [many or one for many, one in zip(batch.column("images"), batch.column("image"), strict=True)]

    def _score(self, rows: list[tuple[str, Chain, tuple[str, ...] | None]]) -> tuple[list[float | None], Metrics]:
        rewards: list[float | None] = [None] * len(rows)
        terms: list[tuple[float, float, float]] = []
        said: list[int] = []
        right: list[bool] = []
        for members in groups_of(prompt for prompt, _, _ in rows):
            agreed = agreed_steps([rows[i][1].keys for i in members])
            for i in members:
                _, chain, reference = rows[i]
                truth = agreed if reference is None else reference
                matched = matches(chain.keys, truth)
                lacking = len(truth) - sum(matched)
                correct = [*matched, *[False] * lacking]
                expressed = (*chain.expressed, *[None] * lacking)
                pairs = [(e, c) for e, c in zip(expressed, correct, strict=True) if e is not None]
                said += [e for e, _ in pairs]
                right += [c for _, c in pairs]
                if chain.internal is None:
                    continue
                internal = [level / (LEVELS - 1) for level in chain.internal]
                parts = (
                    knowledge_reward(correct),
                    calibration_reward(expressed, [float(c) for c in correct]),
                    calibration_reward(chain.expressed, internal),
                )
                terms.append(parts)
                rewards[i] = sum(w * p for w, p in zip((self.alpha, self.beta, self.gamma), parts, strict=True))
        metrics = {
            name: sum(column) / len(column)
            for name, column in zip(("knowledge", "calibration", "consistency"), zip(*terms, strict=True), strict=False)
        }
        steps = sum(len(chain.keys) for _, chain, _ in rows)
        metrics["expressed"] = len(said) / steps if steps else 0.0
        metrics["abstained"] = share_abstaining(rewards)
        if said:
            metrics["ece"] = expected_calibration_error(said, right)
        return rewards, metrics
