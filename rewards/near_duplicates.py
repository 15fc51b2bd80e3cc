"""Prompts of a batch that are nearly the same: R-Zero's penalty (2508.05004)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

THRESHOLD = 0.5


def bleu_distance(first: str, second: str) -> float:
    """1 − sentence BLEU of blank-separated words (NLTK's smoothing 1), the mean of both directions.

    The authors take one direction, so that it depends on the order in which two prompts stand.

    >>> bleu_distance("what is two plus two ?", "what is two plus two ?")
    0.0
    >>> bleu_distance("what is two plus two ?", "name a river")
    1.0
    """
    words = first.split(), second.split()
    if not all(words):
        return float(words[0] != words[1])
    smooth = SmoothingFunction().method1
    both = [sentence_bleu([a], b, smoothing_function=smooth) for a, b in (words, words[::-1])]
    return 1.0 - sum(both) / 2


def clusters_of(distances: np.ndarray, threshold: float = THRESHOLD) -> list[int]:
    """Cluster number of each item, by agglomeration with average linkage up to a distance.

    Args:
        distances: (N, N), symmetric.
        threshold: of the mean distance at which two clusters stay apart.

    Raises:
        ValueError: for another shape.

    Example:
        >>> d = np.array([[0, .2, .45, .95], [.2, 0, .6, .95], [.45, .6, 0, .9], [.95, .95, .9, 0]])
        >>> clusters_of(d)
        [0, 0, 1, 2]
    """
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"distances {distances.shape} must be (N, N).")
    if len(distances) < 2:
        return [0] * len(distances)
    merged = linkage(squareform(distances, checks=False), method="average")
    labels = fcluster(merged, threshold, criterion="distance").tolist()
    numbers = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return [numbers[label] for label in labels]


def cluster_shares(texts: Sequence[str], threshold: float = THRESHOLD) -> list[float]:
    """Share of the batch that stands in each prompt's cluster; what is in no cluster with another has 1 / N.

    >>> cluster_shares(["what is two plus two ?", "what is two plus two ?", "name a river", "how old is the sun"])
    [0.5, 0.5, 0.25, 0.25]
    """
    count = len(texts)
    distances = np.zeros((count, count))
    for i in range(count):
        for j in range(i):
            distances[i, j] = distances[j, i] = bleu_distance(texts[i], texts[j])
    labels = clusters_of(distances, threshold)
    sizes = Counter(labels)
    return [sizes[label] / count for label in labels]
