"""Vectors of texts, whose cosine says how alike two texts are."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from selfrl.answers.extract import after_thought
from selfrl.distributed import shared_out
from selfrl.installation import mend

DIMENSION = 4096
MAX_CHARACTERS = 64_000
_LENGTHS = (3, 4, 5)
_AT_ONCE = 32  # texts whose runs are hashed together
_MULTIPLIERS = tuple(np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_MODELS = {"model2vec": "model2vec", "sentence-transformers": "sentence_transformers"}  # kind → package

Encode = Callable[[list[str]], Any]


@runtime_checkable
class Embedder(Protocol):
    """Anything that gives each of N texts a vector, as models of sentence-transformers and model2vec do."""

    def encode(self, texts: list[str], /) -> Any:
        """Vectors (N, D), as an array or a tensor on the CPU."""


def said_text(completion: str) -> str:
    """What is compared of a completion: what follows its thought, or all if it has none or does not end it.

    Special tokens and blanks at the ends go, and all before the last 64,000 characters: the text is the model's, and
    its length must not decide how long a vector takes.

    >>> said_text("<think>3?</think> It is 4.<|im_end|>"), said_text("<think>3?")
    ('It is 4.', '<think>3?')
    """
    after = after_thought(completion)
    return (completion[slice(*after)] if after else completion).strip()[-MAX_CHARACTERS:]


def ngram_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Counts (N, 4096) of each text's runs of 3, 4 and 5 characters, a blank before and behind it.

    A run's place is a hash of it, and so is its sign: what two texts share by chance cancels, and the cosine is that of
    the true counts with an error of some 1 / √4096 = 0.016. A vector of 16 KiB travels between processes, however long
    the text. An empty text has the vector 0.

    Example:
        >>> vectors = ngram_vectors(["2 + 2 = 4", "2 + 2 = 4, I think", ""])
        >>> cosines(vectors).round(1).tolist()
        [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    vectors = np.zeros((len(texts), DIMENSION), np.float32)
    for start in range(0, len(texts), _AT_ONCE):
        some = [f" {text} ".encode("utf-32-le", "surrogatepass") for text in texts[start : start + _AT_ONCE]]
        points = np.frombuffer(b"".join(some), "<u4").astype(np.uint64)
        owners = np.repeat(np.arange(len(some)), [len(text) // 4 for text in some])
        counts = np.zeros(len(some) * DIMENSION)
        for length in [length for length in _LENGTHS if length <= len(points)]:
            hashes = _hashes(points, length)
            inside = owners[: len(hashes)] == owners[length - 1 :]  # no run goes from one text into the next
            hashes, first = hashes[inside], owners[: len(hashes)][inside]
            places = first * DIMENSION + (hashes >> np.uint64(52)).astype(np.intp)  # the top 12 bits: 4096 places
            signs = 1.0 - 2.0 * ((hashes >> np.uint64(51)) & np.uint64(1)).astype(np.float64)
            counts += np.bincount(places, weights=signs, minlength=len(counts))
        vectors[start : start + _AT_ONCE] = counts.reshape(len(some), DIMENSION)
    return vectors


def cosines(vectors_ND: Any) -> NDArray[np.float64]:
    """Cosines (N, N) between vectors, clipped to 0..1; 0 for a vector of zeros, to itself too.

    Raises:
        ValueError: for another shape, or a vector that is not finite.

    Example:
        >>> cosines([[3.0, 4.0], [6.0, 8.0], [-3.0, -4.0], [0.0, 0.0]]).round(6).tolist()
        [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    vectors = np.asarray(vectors_ND)
    if vectors.ndim != 2:
        raise ValueError(f"vectors {vectors.shape} must be (N, D).")
    if not np.isfinite(vectors).all():
        raise ValueError("A vector is not finite: it has no cosine, so mend what embeds the texts.")
    vectors = vectors[:, vectors.any(axis=0)].astype(np.float64)  # short texts leave most places empty
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return np.clip(unit @ unit.T, 0.0, 1.0)


class TextVectors:
    """Vectors of texts by one source; a named model is loaded at first use, and not pickled.

    Args:
        source: "ngrams", see [`ngram_vectors`]; "model2vec:NAME" or "sentence-transformers:NAME", where NAME is a
            folder or hub name; or an object with `encode`. What is longer than a model reads, a sentence-transformers
            model cuts by itself.

    Raises:
        ValueError: for another source.
        ImportError: if a named model's package is not installed.

    Example:
        >>> [vector.shape for vector in TextVectors("ngrams")(["four", "five"])]
        [(4096,), (4096,)]
    """

    def __init__(self, source: str | Embedder = "ngrams") -> None:
        if isinstance(source, str) and source != "ngrams":
            kind, _, name = source.partition(":")
            if kind not in _MODELS or not name:
                raise ValueError(
                    f"Vectors of texts are to come from {source!r}: it must be ngrams, model2vec:NAME, "
                    "sentence-transformers:NAME or an object with `encode`."
                )
            if importlib.util.find_spec(_MODELS[kind]) is None:
                install = mend("embeddings") if kind == "model2vec" else "pip install sentence-transformers"
                raise ImportError(f"{source!r} needs {kind}, which is not installed: {install}.")
        elif not isinstance(source, str | Embedder):
            raise ValueError(f"Vectors of texts are to come from {source!r}, which has no `encode`: give it one.")
        self.source = source
        self.name = source if isinstance(source, str) else type(source).__name__
        self._encode: Encode | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encode": None}

    def __call__(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """A vector (D,) of each text, in order.

        Raises:
            ValueError: if the source gives another number of vectors, or one that is not finite.
        """
        if not texts:
            return []
        if self._encode is None:
            self._encode = self._open()
        with np.errstate(over="ignore"):  # what float32 cannot hold is told below
            vectors = np.asarray(self._encode(list(texts))).astype(np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ValueError(
                f"{self.name} gave vectors {vectors.shape} for {len(texts)} texts: it must give (N, D), one a text."
            )
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ValueError(
                f"{self.name} gave a vector that is not finite for {texts[row]!r:.100}: take another source."
            )
        return list(vectors)

    def _open(self) -> Encode:
        if not isinstance(self.source, str):
            return self.source.encode
        if self.source == "ngrams":
            return ngram_vectors
        kind, _, name = self.source.partition(":")
        package = importlib.import_module(_MODELS[kind])
        if kind == "model2vec":
            model = package.StaticModel.from_pretrained(name, force_download=False)
            # by default it reads 512 tokens: completions that begin alike would be the same
            return lambda texts: model.encode(texts, max_length=None)
        encode: Encode = package.SentenceTransformer(name).encode
        return encode


def told_vectors(vectors: TextVectors, texts: Sequence[str]) -> list[NDArray[np.float32]]:
    """Vectors of this process's texts; an error on one process is raised on all, or the others would wait for ever.

    Every process must call it equally often.

    >>> [vector.shape for vector in told_vectors(TextVectors(), ["four"])]
    [(4096,)]
    """
    found: list[NDArray[np.float32]] = []

    def embed(_: list[Any]) -> list[Any]:
        found.extend(vectors(texts))
        return []

    shared_out([], embed)  # no items: it runs once on each process, which hears how it went on the others
    return found


def _hashes(points: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """A hash of each run of so many characters, the same on every machine."""
    count = len(points) - length + 1
    hashes = np.full(count, length, np.uint64)
    for offset in range(length):
        hashes = (hashes ^ points[offset : offset + count]) * _MULTIPLIERS[0]
        hashes ^= hashes >> np.uint64(29)
    hashes *= _MULTIPLIERS[1]
    hashes ^= hashes >> np.uint64(32)
    return hashes * _MULTIPLIERS[2]
