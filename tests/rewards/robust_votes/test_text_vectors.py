"""Vectors of texts: against exact counts, a real model of model2vec, and sources that fail."""

import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import on_two_processes

from selfrl.rewards.robust_votes import text_vectors
from selfrl.rewards.robust_votes.diversity import DiversityReward
from selfrl.rewards.robust_votes.novelty import NoveltyReward
from selfrl.rewards.robust_votes.text_vectors import MAX_CHARACTERS, TextVectors, cosines, ngram_vectors, said_text

WORDS = "we add half of the clips sold in May to April so total is 48 24 72 plus divide box apples".split()


def counted_cosine(first: str, second: str) -> float:
    """From exact counts of runs of 3 to 5 characters."""
    a, b = (
        Counter(t[i : i + n] for n in (3, 4, 5) for i in range(len(t) - n + 1)) for t in (f" {first} ", f" {second} ")
    )
    norms = sum(v * v for v in a.values()) * sum(v * v for v in b.values())
    return sum(a[run] * b[run] for run in a) / norms**0.5


def test_cosines_of_ngrams_are_those_of_exact_counts() -> None:
    rng = random.Random(0)
    for size in (20, 60, 400):
        texts = [" ".join(rng.choices(WORDS[: 8 + i], k=size)) for i in range(8)]
        found = cosines(ngram_vectors(texts))
        exact = [[counted_cosine(a, b) for b in texts] for a in texts]
        assert np.abs(found - exact).max() < 0.08
    # unlike texts stay unlike, however many runs share a place
    assert cosines(ngram_vectors(["".join(rng.choices("abcdefghij", k=20_000)), "klmnopqrst" * 2000]))[0, 1] < 0.06


def test_vectors_of_ngrams_are_the_same_on_every_machine_and_in_every_batch() -> None:
    texts = ["2 + 2 = 4", "größer als 𝛑", "", "\ud800"]
    vectors = ngram_vectors(texts)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[1:2], ngram_vectors(texts[1:2]))
    # hashes of Python's own kind differ between processes: these must not
    assert [int(i) for i in np.flatnonzero(ngram_vectors(["4"])[0])] == [1788]
    assert not vectors[2].any()
    assert np.abs(vectors[3]).sum() == 1


def test_cosine_is_clipped_and_of_nothing_is_zero() -> None:
    assert cosines(np.array([[1, 0], [1, 1], [-1, 0], [0, 0]])) == pytest.approx(
        np.array([[1, 0.5**0.5, 0, 0], [0.5**0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    )
    for bad, message in (([1.0, 2.0], r"must be \(N, D\)"), ([[np.nan, 1.0]], "not finite")):
        with pytest.raises(ValueError, match=message):
            cosines(np.array(bad))


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_equal_texts_have_cosine_one(texts: list[str]) -> None:
    found = cosines(ngram_vectors([*texts, *texts]))
    for i, text in enumerate(texts):
        assert found[i, i + len(texts)] == pytest.approx(float(text != ""))


def test_what_is_said_stands_behind_the_last_thought() -> None:
    assert said_text("<think>a</think>b</think> It is 4. ") == "It is 4."
    assert said_text("It is 4.") == "It is 4."
    assert len(said_text("x" * 10**6 + "y")) == MAX_CHARACTERS
    assert said_text("x" * 10**6 + "y")[-1] == "y"


class Lengths:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: list[str]) -> list[list[int]]:
        self.asked.append(texts)
        return [[len(text), 1] for text in texts]


def test_any_object_that_encodes_is_a_source() -> None:
    lengths = Lengths()
    vectors = TextVectors(lengths)
    assert [v.tolist() for v in vectors(("a", "bb"))] == [[1, 1], [2, 1]]
    assert vectors([]) == []
    assert lengths.asked == [["a", "bb"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0]], r"Wrong gave vectors \(1, 1\) for 2 texts"),
        ([1.0, 2.0], r"Wrong gave vectors \(2,\) for 2 texts"),
        ([[1.0], [np.nan]], "Wrong gave a vector that is not finite for 'b'"),
        ([[1.0], [1e300]], "Wrong gave a vector that is not finite for 'b'"),
    ],
)
def test_what_a_source_gives_is_checked(given: Any, message: str) -> None:
    class Wrong:
        def encode(self, texts: list[str]) -> Any:
            return np.array(given)

    with pytest.raises(ValueError, match=message):
        TextVectors(Wrong())(["a", "b"])


def test_a_failing_source_is_an_error() -> None:
    class Failing:
        def encode(self, texts: list[str]) -> Any:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        TextVectors(Failing())(["a"])


@pytest.mark.parametrize("source", ["ngram", "model2vec", "model2vec:", "bert:x", 3])
def test_unknown_sources_are_refused(source: Any) -> None:
    with pytest.raises(ValueError, match="Vectors of texts are to come from"):
        TextVectors(source)


def test_a_package_that_is_missing_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_vectors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs model2vec, which is not installed: pip install .*\[embeddings\]"):
        TextVectors("model2vec:x")
    with pytest.raises(ImportError, match="not installed: pip install sentence-transformers"):
        TextVectors("sentence-transformers:x")


def static_model(folder: Path) -> Path:
    """A model of model2vec in which each word is a direction of its own."""
    model2vec = pytest.importorskip("model2vec")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "four", "five", "is", "it"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.vstack([np.zeros(4), np.eye(4)]).astype(np.float32)
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(folder / "model")
    return folder / "model"


def test_a_static_model_is_loaded_at_first_use_and_reads_to_the_end(tmp_path: Path) -> None:
    vectors = TextVectors(f"model2vec:{static_model(tmp_path)}")
    found = cosines(np.stack(vectors(["it is four", "four it is", "it is five", ""])))
    assert found == pytest.approx(np.array([[1, 1, 2 / 3, 0], [1, 1, 2 / 3, 0], [2 / 3, 2 / 3, 1, 0], [0] * 4]))
    copy = pickle.loads(pickle.dumps(vectors))
    assert copy._encode is None
    assert np.array_equal(copy(["it is four"])[0], vectors(["it is four"])[0])
    long = vectors(["it " * 600 + "four " * 600, "it " * 600])
    assert cosines(np.stack(long))[0, 1] == pytest.approx(0.5**0.5)


class Fragile:
    """Cannot embed one text, which stands on one process alone."""

    def encode(self, texts: list[str]) -> Any:
        if any("tea" in text for text in texts):
            raise OSError("no tea")
        return np.ones((len(texts), 2))


SHORT, LONG = "red", "it took six steps to see that all of it is red"
SAID = [rf"{(SHORT, LONG)[i % 2]} {i} \boxed{{{(7, 7, 4)[i % 3]}}}" for i in range(10)] + ["?", "?"]
PROMPTS = [f"p{i % 2}" for i in range(12)]


def alike(first: str, second: str) -> float:
    return 0.6 if first[0] == second[0] else 0.2


def on_this_process() -> tuple[list[Any], list[str]]:
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    mine = slice(0, 5) if torch.distributed.get_rank() == 0 else slice(5, None)
    rewards = [NoveltyReward(), DiversityReward(), DiversityReward(same=alike)]
    found = [reward(PROMPTS[mine], SAID[mine]) for reward in rewards]
    errors = []
    for reward in (NoveltyReward(Fragile()), DiversityReward(same=Fragile())):
        try:
            reward(["p", "p"], [r"\boxed{4}", r"tea \boxed{4}" if mine.start else r"\boxed{5}"])
        except OSError as error:
            errors.append(str(error))
    return found, errors


@pytest.mark.slow
def test_two_processes_agree_with_one_and_fail_together() -> None:
    (first, errors), (second, same_errors) = on_two_processes(on_this_process)
    assert errors == same_errors == ["no tea", "no tea"]
    for reward, one, two in zip(
        [NoveltyReward(), DiversityReward(), DiversityReward(same=alike)], first, second, strict=True
    ):
        assert [*one, *two] == reward(PROMPTS, SAID)
        assert len(set(one)) > 1
