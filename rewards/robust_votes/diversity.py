"""Quality, shared out among the completions that say the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from selfrl.answers.keys import KeyMode
from selfrl.answers.majority import Ties
from selfrl.rewards.contract import Batch, Metrics, Reward, Scores
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.near_duplicates import clusters_of
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.robust_votes.text_vectors import Embedder, TextVectors, cosines, said_text, told_vectors
from selfrl.rewards.vote_rule import VoteRule

Linkage = Literal["average", "single"]
Same = Callable[[str, str], float]

FLOOR = 0.1
SHORT = 5  # words
_QUALITY = "quality of the completion"  # a column of ours beside those of the data


def same_words(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two short texts share at least half the words of the longer; a word said twice counts twice.

    >>> same_words(["it", "is", "4"], ["4", "it", "seems"]), same_words(["it", "is", "4"], ["4"])
    (True, False)
    """
    overlap = (Counter(first) & Counter(second)).total()
    return 2 * overlap >= max(len(first), len(second))


def meaning_clusters(sameness_NN: NDArray[np.float64], threshold: float, linkage: Linkage = "average") -> list[int]:
    """Cluster number of each of N texts.

    "single" joins all that a chain of pairs above the threshold connects; "average" joins two clusters while the mean
    over their pairs is above it.

    Args:
        sameness_NN: of each pair, in 0..1, symmetric.
        threshold: what a pair that says the same is above.
        linkage: "average" or "single".

    Raises:
        ValueError: for another shape.

    Example:
        >>> chain = np.array([[1, .8, .1], [.8, 1, .7], [.1, .7, 1]])
        >>> meaning_clusters(chain, 0.5, "single"), meaning_clusters(chain, 0.5, "average")
        ([0, 0, 0], [0, 0, 1])
    """
    if sameness_NN.ndim != 2 or sameness_NN.shape[0] != sameness_NN.shape[1]:
        raise ValueError(f"sameness {sameness_NN.shape} must be (N, N).")
    count = len(sameness_NN)
    same = sameness_NN[np.triu_indices(count, 1)] > threshold
    if same.all() or not same.any():  # nothing to agglomerate
        return [0] * count if same.all() else list(range(count))
    if linkage == "average":
        # agglomeration goes up to its bound and includes it
        return clusters_of(1 - sameness_NN, math.nextafter(1 - threshold, -math.inf))
    return connected_components(sameness_NN > threshold, directed=False)[1].tolist()


def diversities(clusters: Sequence[int]) -> list[float]:
    """d_i = (n − size of i's cluster) / (n − 1), at least 0.1; 1 for a lone completion.

    >>> diversities([0, 0, 1, 2, 2, 3]), diversities([0, 0]), diversities([0])
    ([0.8, 0.8, 1.0, 0.8, 0.8, 1.0], [0.1, 0.1], [1.0])
    """
    count, sizes = len(clusters), Counter(clusters)
    return [max((count - sizes[c]) / (count - 1), FLOOR) if count > 1 else 1.0 for c in clusters]


class DiversityReward(PromptGroupReward):
    r"""Quality times diversity, so that completions that say the same share their reward: DARLING (2509.02534).

    The n completions of a prompt are clustered by what they say, and r_i = quality_i · d_i with
    d_i = (n − size of its cluster) / (n − 1), at least 0.1. A lone completion gets its quality.

    What is compared is the text after the thought, if there is one. A pair says the same if its cosine, or the
    probability that a classifier gives it, is above `threshold`; of two texts with at most five words each, if they
    share at least half the words of the longer. With "average" linkage the mean over the pairs of two clusters decides;
    with "single", the authors', a chain of pairs makes A and C the same that are not.

    Train with `scale_rewards="none"`: divided by its standard deviation, a group with little quality or diversity is as
    loud as any other. Quality must come from a verifier, a reward model or the majority's label (then this is like
    [`selfrl.rewards.robust_votes.novelty.NoveltyReward`]): whatever else a model can raise, diversity spreads. It
    should not be below 0, or repetition pays.

    Abstains (None): where the quality does; under "majority" a group without a label; a completion whose answer is
    unsafe to read, or could not be compared with the label in time.

    Logged: `diversity`, the mean d.

    Args:
        quality: "majority", 1 for the group's most common answer and 0 for others; or a reward, called on each
            process's own completions as TRL would. What it needs, this reward needs.
        same: "ngrams", "model2vec:NAME", "sentence-transformers:NAME" or an object with `encode`, see
            [`selfrl.rewards.robust_votes.text_vectors.TextVectors`]: each process embeds its own, and vectors alone
            travel. Or a function of two texts that gives the probability that they say the same; the main process
            calls it, once for each pair of different texts, the smaller one first.
        threshold: what a pair that says the same is above. 0.5 is a classifier's, and fits "ngrams": of six solutions
            written by us, the same steps in other words have cosines of 0.46 to 0.62 and other ways to the same answer
            0.18 to 0.39; solutions of two problems of GSM8K have 0.09, 95 % below 0.2. Cosines of models lie higher, as
            do those of long texts: look at your completions.
        linkage: "average" or "single".
        ties: "first" gives a tie to the answer seen first; "abstain" to nobody.
        mode: "canonical", or "raw": answers compared as strings.

    Raises:
        ValueError: for bad options; in a call, for a quality, a vector or a probability that is not finite.
        ImportError: if a named model's package is not installed.

    Example:
        >>> reward = DiversityReward()
        >>> said = [r"2 + 2 is \boxed{4}", r"2 + 2 is \boxed{4}.", r"two and two make \boxed{4}", r"\boxed{5}"]
        >>> [round(r, 3) for r in reward(["2+2?"] * 4, said)]
        [0.667, 0.667, 1.0, 0.0]
    """

    needs_texts = False

    def __init__(
        self,
        quality: Literal["majority"] | Reward | Callable[..., Any] = "majority",
        same: str | Embedder | Same = "ngrams",
        threshold: float = 0.5,
        linkage: Linkage = "average",
        *,
        ties: Ties = "first",
        mode: KeyMode = "canonical",
    ) -> None:
        if quality != "majority" and not callable(quality):
            raise ValueError(f"`quality` is {quality!r}: it must be majority or a reward.")
        if not 0 <= threshold < 1:
            raise ValueError(f"`threshold` is {threshold}: it must be 0 or more, and below 1.")
        if linkage not in get_args(Linkage):
            raise ValueError(f"`linkage` is {linkage!r}: it must be one of {get_args(Linkage)}.")
        embeds = isinstance(same, str | Embedder)  # a model may be callable, too
        if not embeds and not callable(same):
            raise ValueError(f"`same` is {same!r}: name vectors, or give an object with `encode` or a function.")
        self.quality, self.threshold, self.linkage = quality, threshold, linkage
        self.vectors = TextVectors(same) if embeds else None  # type: ignore[arg-type]
        self.same = same
        self._diversity: list[float] = []  # of the batch that is being scored
        self.rule = VoteRule(ties=ties, mode=mode)
        self.elects = quality == "majority"
        for needed in ("columns", "signals", "needs_teacher", "needs_policy"):
            setattr(self, needed, getattr(quality, needed, getattr(type(self), needed)))

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion, in order."""
        if callable(self.quality):
            given = self.quality(prompts=prompts, completions=completions, completion_ids=completion_ids, **columns)
            columns = {**columns, _QUALITY: _checked(given, self.quality, len(completions))}
        return super().__call__(prompts, completions, completion_ids, **columns)

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        self._diversity = []
        return super().score(batch)

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """Of each completion its quality, and its vector, or its text where texts are compared."""
        said = [said_text(text) for text in batch.texts]
        return {
            "quality": batch.column(_QUALITY),
            "vector": [None] * len(said) if self.vectors is None else told_vectors(self.vectors, said),
            "said": [text if self.vectors is None or _is_short(text) else None for text in said],
        }

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        given = group.columns["quality"] if callable(self.quality) else majority_rewards(group.keys, group.label)
        spread = diversities(self._clusters(group))
        self._diversity += spread
        return [None if value is None else value * d for value, d in zip(given, spread, strict=True)]

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """The mean diversity, kept from the rewards: a classifier is not asked twice."""
        return {"diversity": fmean(self._diversity)}

    def _clusters(self, group: Group) -> list[int]:
        said, vectors = group.columns["said"], group.columns["vector"]
        # equal means are joined in the order of the rows, which must decide nothing
        order = sorted(
            range(len(said)), key=lambda i: (said[i] or "", b"" if vectors[i] is None else bytes(vectors[i]))
        )
        texts = [said[i] for i in order]
        sameness_NN = np.eye(len(texts)) if self.vectors is None else cosines(np.stack([vectors[i] for i in order]))
        words = [text.split() if _is_short(text) else None for text in texts]
        asked: dict[tuple[str, str], float] = {}
        for i, j in combinations(range(len(texts)), 2):
            first, second, pair = words[i], words[j], (texts[i], texts[j])
            if first is not None and second is not None:
                sameness_NN[i, j] = sameness_NN[j, i] = same_words(first, second)
            elif self.vectors is None:
                if pair not in asked:
                    asked[pair] = 1.0 if pair[0] == pair[1] else _probability(self.same, *pair)
                sameness_NN[i, j] = sameness_NN[j, i] = asked[pair]
        numbers = dict(zip(order, meaning_clusters(sameness_NN, self.threshold, self.linkage), strict=True))
        return [numbers[i] for i in range(len(order))]


def _is_short(text: str | None) -> bool:
    return text is not None and len(text.split(maxsplit=SHORT)) <= SHORT


def _probability(same: Any, first: str, second: str) -> float:
    value = float(same(first, second))
    if not 0 <= value <= 1:
        raise ValueError(
            f"`same` gave {value} for {first!r:.100} and {second!r:.100}: a probability is between 0 and 1."
        )
    return value


def _checked(given: Sequence[Any], quality: Callable[..., Any], count: int) -> list[float | None]:
    """The qualities that a reward gave.

    Raises:
        ValueError: for another number of them, or one that is not finite.
    """
    name = getattr(quality, "__name__", type(quality).__name__)
    values = [None if value is None else float(value) for value in given]
    if len(values) != count:
        raise ValueError(f"The quality {name} gave {len(values)} rewards for {count} completions: give each one.")
    if any(value is not None and not math.isfinite(value) for value in values):
        raise ValueError(f"The quality {name} gave a reward that is not finite: abstain with None.")
    return values
