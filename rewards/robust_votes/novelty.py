"""The majority decides the sign, how unlike the others a completion is its size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfrl.answers.keys import KeyMode
from selfrl.answers.majority import Ties, in_doubt
from selfrl.rewards.contract import Batch, Metrics, Scores
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.prompt_groups import Group, PromptGroupReward
from selfrl.rewards.robust_votes.text_vectors import Embedder, TextVectors, cosines, said_text, told_vectors
from selfrl.rewards.vote_rule import VoteRule

EQUAL = 1e-6  # novelties closer than this differ by the rounding of float32 vectors, and min-max would blow it up
_DIGIT = re.compile(r"\d")


def novelties(similarities_NN: NDArray[np.float64], majority: Sequence[bool]) -> list[float]:
    """1 − (½ mean similarity to the others of the own side + ½ largest similarity to any other).

    Who is alone on its side takes the mean over all others; who has no others at all has 1.

    Args:
        similarities_NN: of N completions, in 0..1; the diagonal is not read.
        majority: on which side each stands.

    Raises:
        ValueError: for another shape.

    Example:
        >>> pairs = {(0, 1): .9, (0, 2): .6, (0, 3): .3, (1, 2): .5, (1, 3): .4, (2, 3): .2}
        >>> s = np.array([[pairs.get((min(i, j), max(i, j)), 1.0) for j in range(4)] for i in range(4)])
        >>> [round(n, 6) for n in novelties(s, [True, True, True, False])]
        [0.175, 0.2, 0.425, 0.65]
    """
    count = len(majority)
    if similarities_NN.shape != (count, count):
        raise ValueError(f"similarities {similarities_NN.shape} for {count} completions must be (N, N).")
    if count == 1:
        return [1.0]
    side = np.asarray(majority, bool)
    others_NN = ~np.eye(count, dtype=bool)
    found = []
    for i, row in enumerate(similarities_NN):
        others = others_NN[i]
        allies = others & (side == side[i])
        mean = row[allies if allies.any() else others].mean()
        found.append(float(1 - (mean + row[others].max()) / 2))
    return found


def spread_out(values: Sequence[float]) -> list[float]:
    """Values from 0, the least, to 1, the largest; a lone one is 1, equal ones are 0.5.

    >>> spread_out([1.0, 3.0, 2.0]), spread_out([0.2]), spread_out([0.2, 0.2])
    ([0.0, 1.0, 0.5], [1.0], [0.5, 0.5])
    """
    if len(values) == 1:
        return [1.0]
    least, spread = min(values, default=0.0), max(values, default=0.0) - min(values, default=0.0)
    return [(value - least) / spread if spread > EQUAL else 0.5 for value in values]


def novelty_rewards(similarities_NN: NDArray[np.float64], majority: Sequence[bool]) -> list[float]:
    """0.5 + 0.5 ñ for the majority and −1 + 0.5 ñ for the others, ñ being the novelty, spread out over each side.

    Args:
        similarities_NN: of the completions that answer.
        majority: which of them have the label.

    Example:
        >>> novelty_rewards(np.array([[1, .9, .2], [.9, 1, .1], [.2, .1, 1]]), [True, True, False])
        [0.75, 0.75, -0.5]
    """
    novelty = novelties(similarities_NN, majority)
    rewards = [0.0] * len(novelty)
    for side, base in ((True, 0.5), (False, -1.0)):
        rows = [i for i, on in enumerate(majority) if on == side]
        for i, value in zip(rows, spread_out([novelty[i] for i in rows]), strict=True):
            rewards[i] = base + value / 2
    return rewards


class NoveltyReward(PromptGroupReward):
    r"""The majority decides the sign, novelty the size: EVOL-RL (2509.15194).

    Among the completions of a prompt that answer, with cosine similarities s in 0..1 and two sides, those with the most
    common answer and all others:

        n_i = 1 − (½ mean of s_ij over the others on its side + ½ max of s_ij over all others),

    spread out over each side to ñ from 0 to 1 (0.5 if all are equal, 1 for one that is alone). r_i = 0.5 + 0.5 ñ_i with
    the most common answer, between 0.5 and 1, and −1 + 0.5 ñ_i with another, between −1 and −0.5. A completion without
    an answer gets −1 and is compared with nobody; where at most one answers, all get −1. A group of one has no novelty:
    it gets 1 for its answer. Equal are novelties that differ by 1e-6 at most, as vectors are rounded.

    What is compared is the text after the thought, if there is one; each process embeds its own, and vectors alone
    travel. The authors embed with Qwen3-Embedding-4B, and a failure gives them a random vector; here it is an error.
    They also reject what holds no digit, which rejects the letters of multiple choice: `needs_digit`.

    Abstains (None): a group without a label that answers (a tie under "abstain"); a completion whose answer is unsafe
    to read, or could not be compared with the label in time: its side is unknown, so it is compared with nobody.

    Logged: `similarity`, the mean cosine within the groups that are compared.

    Args:
        vectors: "ngrams", counts of characters; "model2vec:NAME", "sentence-transformers:NAME" or an object with
            `encode`, see [`selfrl.rewards.robust_votes.text_vectors.TextVectors`].
        needs_digit: whether a completion without a digit after its thought counts as one without an answer; it still
            votes.
        ties: "first" gives a tie to the answer seen first; "abstain" to nobody.
        mode: "canonical", or "raw": answers compared as strings.

    Raises:
        ValueError: for bad options; in a call, if a text gets no vector that is finite.
        ImportError: if a named model's package is not installed.

    Example:
        >>> reward = NoveltyReward()
        >>> said = [r"2 + 2 is \boxed{4}", r"2 + 2 is \boxed{4}.", r"two and two: \boxed{4}", r"\boxed{5}", "?"]
        >>> [round(r, 2) for r in reward(["2+2?"] * 5, said)]
        [0.5, 0.51, 1.0, -0.5, -1.0]
    """

    needs_texts = False

    def __init__(
        self,
        vectors: str | Embedder = "ngrams",
        *,
        needs_digit: bool = False,
        ties: Ties = "first",
        mode: KeyMode = "canonical",
    ) -> None:
        self.vectors, self.needs_digit = TextVectors(vectors), needs_digit
        self.rule = VoteRule(ties=ties, mode=mode)
        self._cosines: list[float] = []  # mean of each group that is being scored

    def brought(self, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """The vector of each completion that answers; None for the others."""
        vectors: list[NDArray[np.float32] | None] = [None] * len(batch.completions)
        said = {
            i: said_text(text)
            for i, (text, answer) in enumerate(zip(batch.texts, batch.answers(self.rule.mode), strict=True))
            if answer.key is not None
        }
        rows = [i for i, text in said.items() if not self.needs_digit or _DIGIT.search(text)]
        for i, vector in zip(rows, told_vectors(self.vectors, [said[i] for i in rows]), strict=True):
            vectors[i] = vector
        return {"vector": vectors}

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        self._cosines = []
        return super().score(batch)

    def group_rewards(self, group: Group) -> list[float | None]:
        """See the class."""
        rewards: list[float | None] = [-1.0] * len(group.keys)
        answering = sum(vector is not None for vector in group.columns["vector"])
        if len(rewards) == 1:
            return majority_rewards(group.keys, group.label) if answering else rewards
        if answering < 2:
            return rewards
        if group.label is None:
            return [None] * len(rewards)
        rows = _compared(group)
        similarities_NN = cosines(np.stack([group.columns["vector"][i] for i in rows]))
        if len(rows) > 1:
            self._cosines.append(float(similarities_NN[np.triu_indices(len(rows), 1)].mean()))
        majority = [group.keys[i] == group.label for i in rows]
        for i, reward in zip(rows, novelty_rewards(similarities_NN, majority), strict=True):
            rewards[i] = reward
        return rewards

    def group_metrics(self, groups: Sequence[Group]) -> Metrics:
        """The mean cosine between two completions of a group, kept from the rewards."""
        return {"similarity": fmean(self._cosines)} if self._cosines else {}


def _compared(group: Group) -> list[int]:
    """Rows of the completions that answer, and whose side is known."""
    rows = enumerate(zip(group.columns["vector"], group.keys, strict=True))
    return [i for i, (vector, key) in rows if vector is not None and not in_doubt(key, group.label, group.undecided)]
