"""The index finds what a comparison with every text finds, and nothing else."""

from __future__ import annotations

import random

import pytest

from selfrl.selfplay.near_index import NEAR, NearIndex
from selfrl.text import rouge_l

WORDS = [f"w{i}" for i in range(60)]


def edited(text: str, rng: random.Random) -> str:
    words = text.split()
    for _ in range(rng.randint(0, len(words) // 3 + 1)):
        place, kind = rng.randrange(len(words)), rng.random()
        if kind < 0.4:
            words[place] = rng.choice(WORDS)
        elif kind < 0.7:
            words.insert(place, rng.choice(WORDS))
        elif len(words) > 2:
            del words[place]
    return " ".join(words)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_near_is_missed_and_nothing_else_found(seed: int) -> None:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(3, 25))) for _ in range(200)]
    index = NearIndex(texts.__getitem__)
    index.add_many(range(len(texts)), texts)
    asked = [edited(rng.choice(texts), rng) for _ in range(150)]
    asked += [" ".join(rng.choices(WORDS, k=12)) for _ in range(20)]
    near = [any(rouge_l(query, text) > NEAR for text in texts) for query in asked]
    found = [index.near(query) for query in asked]
    assert 0 < sum(near) < len(near)
    assert [place is not None for place in found] == near
    assert all(
        rouge_l(query, texts[place]) > NEAR for query, place in zip(asked, found, strict=True) if place is not None
    )


def test_templates_are_near_unless_only_equal_texts_count() -> None:
    texts = [f"Add {i} and {i + 7}, then subtract {i % 5}, then add 3." for i in range(2000)]
    for most, expected in ((NEAR, True), (1.0, False)):
        index = NearIndex(texts.__getitem__, most=most)
        index.add_many(range(len(texts)), texts)
        assert (index.near("Add 9999 and 7, then subtract 4, then add 3.") is not None) == expected
        assert index.near(texts[700].upper() + "  ") == 700


def test_a_bound_outside_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match="most is 2"):
        NearIndex(str, most=2)
