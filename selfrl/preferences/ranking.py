"""From pairwise results to scores, and the pairings of a Swiss tournament."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import choix
import networkx
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

PRIOR = 0.1


def bradley_terry(wins_GG: Matrix, prior: float = PRIOR) -> Matrix:
    """Bradley–Terry log-strengths: P(i beats j) = σ(θ_i − θ_j), fitted by maximum likelihood with choix.

    Every pair starts with `prior` wins on either side. This keeps the strengths finite where one side has won all,
    and joins those that were never compared.

    Args:
        wins_GG: (G, G), how often i won against j; a tie is half a win for both.
        prior: above 0.

    Returns:
        (G,) log-strengths θ with mean 0.

    Raises:
        ValueError: for wins that are no square matrix of non-negative numbers, or no prior.

    Example:
        >>> bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]), prior=1e-9).round(3).tolist()  # log 3 apart
        [0.549, -0.549]
    """
    if wins_GG.ndim != 2 or wins_GG.shape[0] != wins_GG.shape[1]:
        raise ValueError(f"wins_GG has the shape {wins_GG.shape}: it must be square, (G, G).")
    if not (wins_GG >= 0).all():
        raise ValueError("wins_GG holds a negative number or NaN: wins are counts of 0 or more.")
    if not prior > 0:
        raise ValueError(f"prior is {prior}: it must be above 0.")
    size = len(wins_GG)
    if size < 2:
        return np.zeros(size)
    counted = wins_GG + prior
    np.fill_diagonal(counted, 0.0)
    theta = choix.ilsr_pairwise_dense(counted, max_iter=10_000)
    return np.asarray(theta - theta.mean())


def expected_wins(theta_G: Matrix) -> Matrix:
    """Share of wins to be expected against the others: r_i = mean over j ≠ i of σ(θ_i − θ_j), in (0, 1).

    Args:
        theta_G: (G,) log-strengths, as from [`bradley_terry`].

    Returns:
        (G,) shares; 0.5 for one who stands alone.

    Raises:
        ValueError: for another shape.

    Example:
        >>> expected_wins(np.array([0.5493, -0.5493])).round(2).tolist()
        [0.75, 0.25]
    """
    if theta_G.ndim != 1:
        raise ValueError(f"theta_G has the shape {theta_G.shape}: it must be (G,).")
    size = len(theta_G)
    if size < 2:
        return np.full(size, 0.5)
    chances = 1 / (1 + np.exp(theta_G[None, :] - theta_G[:, None]))
    return np.asarray((chances.sum(axis=1) - 0.5) / (size - 1))


def swiss_pairs(scores: Sequence[float], played: Collection[frozenset[int]]) -> list[tuple[int, int]]:
    """The next round of a Swiss tournament: as many as possible meet somebody of a like score for the first time.

    Of those who cannot all be paired, the ones who have played most sit out.

    Args:
        scores: (G,) points so far.
        played: the pairs that have met, of places in `scores`.

    Returns:
        pairs (i, j) with i < j, each i and j at most once.

    Raises:
        ValueError: for scores that are no row of numbers, or a pair of others than its places.

    Example:
        >>> swiss_pairs([1, 0, 1, 0], {frozenset((0, 1)), frozenset((2, 3))})
        [(0, 2), (1, 3)]
    """
    if np.ndim(scores) != 1:
        raise ValueError(f"scores has the shape {np.shape(scores)}: it must be (G,).")
    size = len(scores)
    wrong = [sorted(pair) for pair in played if len(pair) != 2 or not pair <= set(range(size))]
    if wrong:
        raise ValueError(f"played holds {wrong[0]}: it must be a pair of the {size} places in scores.")
    games = [sum(i in pair for pair in played) for i in range(size)]
    spread = max(scores) - min(scores) if size else 0.0
    graph = networkx.Graph()
    for i in range(size):
        for j in range(i + 1, size):
            if frozenset((i, j)) not in played:
                # whole numbers make the matching exact; the squares pair neighbours, and a game outweighs all of them
                apart = round(1000 * (scores[i] - scores[j]) / spread) if spread else 0
                graph.add_edge(i, j, weight=-(apart**2) - 1000**2 * size * (games[i] + games[j]))
    return sorted((min(pair), max(pair)) for pair in networkx.max_weight_matching(graph, maxcardinality=True))
