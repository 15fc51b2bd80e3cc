"""Rewards for saying how sure one is of each reasoning step: MMBoundary (2505.23224)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch

from selfrl.conversation import prompt_id
from selfrl.distributed import over_all_processes
from selfrl.rewards.groups import Metrics, consecutive_groups
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
from selfrl.rewards.spans import token_ends, touching


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


def reference_keys(value: Any, row: int) -> tuple[str, ...] | None:
    """Keys of a reference chain, given as a list of steps or as their text; None for None, NaN or no step.

    Raises:
        ValueError: for anything else.

    >>> reference_keys("3 + 4 = 7. 7 - 2 = 5.", row=0), reference_keys(["7", "so 5"], row=0)
    (('7', '5'), ('7', '5'))
    """
    if value is None or value != value:
        return None
    if isinstance(value, str):
        value = [value[step.start : step.end] for step in split_steps(value)]
    if not isinstance(value, list | tuple) or not all(isinstance(step, str) for step in value):
        raise ValueError(
            f"Row {row} of the batch has {value!r:.200} in the column 'reference_steps': give a text or a list of them."
        )
    return tuple(map(step_key, value)) or None


class BoundaryReward:
    r"""R = α·R_KA + β·R_EC + γ·R_CS for a chain of steps that each express a confidence: MMBoundary.

    - R_KA: share of steps that match the reference chain. Label-free, for a row without `reference_steps`: the
      agreed chain, which is what more than half of the group's completions say.
    - R_EC: 1 − mean |expressed − correct|, where correct is 1 for a step that matches.
    - R_CS: 1 − mean |expressed − internal|, the self-rewarding term.

    Steps that the chain has and the completion lacks count in R_KA and R_EC as steps that are wrong and silent, or
    it would pay to stop before a hard one. Where no step is agreed on, every step counts as wrong: to be unsure is
    then right.

    Steps and expressed levels: [`selfrl.rewards.reasoning_steps.split_steps`]. Internal confidence of a step is the
    weighted mean of four parts in 0..1, put into five equal bins: exp(LNLP), 1 − MTE / log V, exp(−TokenSAR), and, if
    there are images, an image score.

    |expressed − correct| is no proper scoring rule: over a step that is right with probability p > ½ it is least at
    full certainty. γ, which asks for p as the model feels it, holds against that.

    The optional column `reference_steps` holds a list of steps, or their text; None or NaN is none. Groups are runs of
    equal prompts, over all processes.

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
        self.__name__ = type(self).__name__
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.weights, self.phrases = tuple(weights), dict(phrases)
        self.relevance, self.image_score = relevance, image_score
        self.columns = (image_score,) if isinstance(image_score, str) else ()

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        *,
        reference_steps: Sequence[Any] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        given = handed(self, columns)
        images = self._images(columns, len(completions))
        rows = zip(*(given[name] for name in self.signals), images, strict=True)
        chains = [self.chain(*row) for row in rows]
        references = [
            reference_keys(value, row) for row, value in enumerate(reference_steps or [None] * len(completions))
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
        """Read one completion from its tokens' texts (T,) and signals (T,), and its image or the image's score."""
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

    def _images(self, columns: Mapping[str, Any], rows: int) -> Sequence[Any]:
        """An image, a list of images or a score a row; None where there is none, or nothing that reads it."""
        if self.image_score is None:
            return [None] * rows
        if isinstance(self.image_score, str):
            scores = columns.get(self.image_score)
            if scores is None:
                raise ValueError(f"{self.__name__} needs the column {self.image_score!r}: add it or set `image_score`.")
            for row, score in enumerate(scores):
                if score is not None and not isinstance(score, Real):
                    raise ValueError(f"Row {row} of the batch has the image score {score!r:.200}: it must be a number.")
            return [None if score != score else score for score in scores]
        lists = columns.get("images") or [None] * rows
        single = columns.get("image") or [None] * rows
        return [many or one for many, one in zip(lists, single, strict=True)]

    def _score(self, rows: list[tuple[str, Chain, tuple[str, ...] | None]]) -> tuple[list[float | None], Metrics]:
        rewards: list[float | None] = []
        terms: list[tuple[float, float, float]] = []
        said: list[int] = []
        right: list[bool] = []
        for members in consecutive_groups(prompt for prompt, _, _ in rows):
            agreed = agreed_steps([rows[i][1].keys for i in members])
            for i in members:
                _, chain, reference = rows[i]
                truth = agreed if reference is None else reference
                lacking = max(len(truth) - len(chain.keys), 0)
                correct = [*matches(chain.keys, truth), *[False] * lacking]
                expressed = (*chain.expressed, *[None] * lacking)
                pairs = [(e, c) for e, c in zip(expressed, correct, strict=True) if e is not None]
                said += [e for e, _ in pairs]
                right += [c for _, c in pairs]
                if chain.internal is None:
                    rewards.append(None)
                    continue
                internal = [level / (LEVELS - 1) for level in chain.internal]
                parts = (
                    knowledge_reward(correct),
                    calibration_reward(expressed, [float(c) for c in correct]),
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
        metrics["abstained"] = sum(r is None for r in rewards) / max(len(rewards), 1)
        if said:
            metrics["ece"] = expected_calibration_error(said, right)
        return rewards, metrics
