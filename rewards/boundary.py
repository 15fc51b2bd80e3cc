"""Rewards for saying how sure one is of each reasoning step: MMBoundary (2505.23224)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from selfrl.rewards.groups import Metrics, consecutive_groups, over_all_processes, prompt_id
from selfrl.rewards.internal_confidence import (
    entropy_certainty,
    length_normalised_probability,
    level_of,
    token_sar_certainty,
    weighted_confidence,
    word_relevance,
)
from selfrl.rewards.reasoning_steps import LEVELS, PHRASES, agreed_steps, split_steps, step_key
from selfrl.rewards.signals import handed
from selfrl.rewards.spans import overlapping


class Chain(NamedTuple):
    """A completion as its steps: what they say, the levels expressed, and the internal ones.

    Args:
        keys: see [`selfrl.rewards.reasoning_steps.step_key`].
        expressed: level 0..4 a step, or None.
        internal: level 0..4 a step; None if the completion could not be scored.
    """

    keys: tuple[str, ...]
    expressed: tuple[int | None, ...]
    internal: tuple[int, ...] | None


def matches(keys: Sequence[str], reference: Collection[str]) -> list[bool]:
    """Which steps are in the reference chain; a step said twice counts as often as it stands there.

    >>> matches(["30", "41", "41"], ["41", "52"])
    [False, True, False]
    """
    left = Counter(reference)
    found = []
    for key in keys:
        found.append(left[key] > 0)
        left[key] -= 1
    return found


def knowledge_reward(correct: Sequence[bool]) -> float:
    """R_KA: share of steps that match the chain; 0 without a step.

    >>> knowledge_reward([True, False])
    0.5
    """
    return sum(correct) / len(correct) if correct else 0.0


def calibration_reward(expressed: Sequence[int | None], target: Sequence[float]) -> float:
    """1 − mean |expressed − target|: R_EC with correctness as target, R_CS with internal confidence.

    A step without an expressed level differs by 1, so silence never pays; 0 without a step.

    >>> calibration_reward([4, 2, None], [1.0, 1.0, 0.0])
    0.5
    """
    if not expressed:
        return 0.0
    gaps = [1.0 if e is None else abs(e / (LEVELS - 1) - t) for e, t in zip(expressed, target, strict=True)]
    return 1 - sum(gaps) / len(gaps)


def expected_calibration_error(expressed: Sequence[int], correct: Sequence[bool]) -> float:
    """ECE over the five levels: Σ_l n_l/n · |mean correctness at level l − l/4|.

    >>> expected_calibration_error([4, 4, 0], [True, False, False])
    0.3333333333333333
    """
    total = 0.0
    for level in set(expressed):
        right = [c for e, c in zip(expressed, correct, strict=True) if e == level]
        total += abs(sum(right) - len(right) * level / (LEVELS - 1))
    return total / len(expressed)


class BoundaryReward:
    r"""R = α·R_KA + β·R_EC + γ·R_CS for a chain of steps that each express a confidence: MMBoundary.

    - R_KA: share of steps that match the reference chain. Label-free, without the column `reference_steps`: the
      agreed chain, which is what more than half of the group's completions say.
    - R_EC: 1 − mean |expressed − correct|.
    - R_CS: 1 − mean |expressed − internal|, the self-rewarding term.

    Steps and expressed levels: [`selfrl.rewards.reasoning_steps.split_steps`]. Internal confidence of a step is the
    weighted mean of four parts in 0..1, put into five equal bins: exp(LNLP), 1 − MTE / log V, exp(−TokenSAR), and, if
    there are images, an image score.

    Groups are runs of equal prompts, over all processes. Abstains (None): a completion that could not be scored.
    One without a step gets 0, and a step without an expressed confidence counts as wholly miscalibrated.

    Args:
        alpha: weight of R_KA.
        beta: weight of R_EC.
        gamma: weight of R_CS.
        weights: of the four parts of internal confidence; not published, equal by default.
        phrases: expressed confidence → level 0..4.
        relevance: texts of a step's tokens → weight of each in TokenSAR; by default 1 for tokens with a letter or
            digit.
        image_score: (image, text of a step) → score in 0..1, such as a CLIPScore; used if the data have `image`.

    Raises:
        ValueError: for bad options, or under TRL's own trainers, which compute no signals.

    Example:
        >>> reward = BoundaryReward(alpha=0.0, beta=1.0, gamma=0.0)
        >>> texts = [["1 + 1 = 2.", " I am sure."]] * 2 + [["1 + 1 = 3.", " I am sure."]]
        >>> sure = torch.zeros(2)
        >>> columns = {"log_prob": [sure] * 3, "entropy": [sure] * 3, "token_texts": texts, "vocab_size": [50] * 3}
        >>> reward(["1 + 1?"] * 3, ["".join(t) for t in texts], **columns)
        [1.0, 1.0, 0.0]
    """

    signals = ("log_prob", "entropy", "token_texts", "vocab_size")

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.0,
        weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        phrases: Mapping[str, int] = PHRASES,
        relevance: Callable[[Sequence[str]], Sequence[float]] = word_relevance,
        image_score: Callable[[Any, str], float] | None = None,
    ) -> None:
        if len(weights) != 4 or min(weights) < 0 or sum(weights[:3]) == 0:
            raise ValueError(f"`weights` is {weights!r}: give four, from 0, of which one of the first three is not 0.")
        if not phrases or not set(phrases.values()) <= set(range(LEVELS)):
            raise ValueError(f"`phrases` must map phrases to levels from 0 to {LEVELS - 1}.")
        self.__name__ = type(self).__name__
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.weights, self.phrases = tuple(weights), dict(phrases)
        self.relevance, self.image_score = relevance, image_score

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        reference_steps: Sequence[Sequence[str] | None] | None = None,
        image: Sequence[Any] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        given = handed(self, columns)
        chains = [
            self.chain(*signals, None if image is None else image[i])
            for i, signals in enumerate(zip(*(given[name] for name in self.signals), strict=True))
        ]
        references = [
            None if steps is None else tuple(map(step_key, steps))
            for steps in reference_steps or [None] * len(completions)
        ]
        ids = [prompt_id(prompt) for prompt in prompts]
        rewards, metrics = over_all_processes(self._score, list(zip(ids, chains, references, strict=True)))
        if log_metric is not None:
            for name, value in metrics.items():
                log_metric(f"{self.__name__}/{name}", value)
        return rewards

    def chain(
        self,
        log_prob: torch.Tensor | None,
        entropy: torch.Tensor | None,
        texts: Sequence[str],
        vocab_size: int,
        image: Any = None,
    ) -> Chain:
        """Read one completion from its tokens' texts (T,) and signals (T,)."""
        text = "".join(texts)
        steps = split_steps(text, self.phrases)
        keys = tuple(step_key(text[step.start : step.end]) for step in steps)
        expressed = tuple(step.level for step in steps)
        if log_prob is None or entropy is None:
            return Chain(keys, expressed, None)
        internal = []
        for step in steps:
            tokens = overlapping(texts, (step.start, step.end))
            assert tokens is not None  # a step has a word
            span = slice(*tokens)
            score = None
            if self.image_score is not None and image is not None:
                score = min(max(self.image_score(image, text[step.start : step.end]), 0.0), 1.0)
            parts = (
                length_normalised_probability(log_prob[span]),
                entropy_certainty(entropy[span], vocab_size),
                token_sar_certainty(log_prob[span], self.relevance(texts[span])),
                score,
            )
            internal.append(level_of(weighted_confidence(parts, self.weights)))
        return Chain(keys, expressed, tuple(internal))

    def _score(self, rows: list[tuple[str, Chain, tuple[str, ...] | None]]) -> tuple[list[float | None], Metrics]:
        rewards: list[float | None] = []
        terms: list[tuple[float, float, float]] = []
        said: list[int] = []
        right: list[bool] = []
        for members in consecutive_groups(prompt for prompt, _, _ in rows):
            agreed = agreed_steps([rows[i][1].keys for i in members])
            for i in members:
                _, chain, reference = rows[i]
                correct = matches(chain.keys, agreed if reference is None else reference)
                pairs = [(e, c) for e, c in zip(chain.expressed, correct, strict=True) if e is not None]
                said += [e for e, _ in pairs]
                right += [c for _, c in pairs]
                if chain.internal is None:
                    rewards.append(None)
                    continue
                internal = [level / (LEVELS - 1) for level in chain.internal]
                parts = (
                    knowledge_reward(correct),
                    calibration_reward(chain.expressed, [float(c) for c in correct]),
                    calibration_reward(chain.expressed, internal),
                )
                terms.append(parts)
                rewards.append(sum(w * p for w, p in zip((self.alpha, self.beta, self.gamma), parts, strict=True)))
        metrics = {
            name: sum(column) / len(column)
            for name, column in zip(("knowledge", "calibration", "consistency"), zip(*terms, strict=True), strict=False)
        }
        steps = sum(len(chain.keys) for _, chain, _ in rows)
        metrics["expressed"] = len(said) / steps if steps else 0.0
        if said:
            metrics["ece"] = expected_calibration_error(said, right)
        return rewards, metrics
