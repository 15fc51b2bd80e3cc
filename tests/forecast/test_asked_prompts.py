"""Which prompts are asked."""

import pytest
from datasets import Dataset

from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.forecast.asked_prompts import draw_prompts


def test_the_draw_is_the_seeds() -> None:
    rows = tiny_problems("train", 50)
    first = draw_prompts(rows, 10, seed=0)
    assert first == draw_prompts(rows, 10, seed=0) != draw_prompts(rows, 10, seed=1)
    assert len({asked.prompt for asked in first}) == 10
    assert len(draw_prompts(rows, 1000, seed=0)) == 50


def test_expanded_pairs_are_the_same_prompts() -> None:
    rows = tiny_problems("train", 20)
    assert draw_prompts(expand_pairs(rows), 20, seed=0) == draw_prompts(rows, 20, seed=0)


def test_rows_without_a_label_or_a_paraphrase() -> None:
    held = {
        "prompt": ["a", "b", "c", "d"],
        "paraphrase": ["A", None, " ", "D"],
        "answer": ["1", None, "2", "9^{9^9}"],
    }
    asked = draw_prompts(Dataset.from_dict(held), 4, seed=0)
    assert [one.gold for one in asked] == ["1", None, "2", None]  # the last has no key to grade against
    assert [one.paraphrase for one in asked] == ["A", None, None, "D"]
    numbers = draw_prompts(Dataset.from_dict({"prompt": ["a", "b"], "answer": [4.0, float("nan")]}), 2, seed=0)
    assert [one.gold for one in numbers] == ["4.0", None]


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="'image'"):
        draw_prompts(Dataset.from_dict({"prompt": ["a"], "image": ["x"]}), 1, seed=0)
    with pytest.raises(ValueError, match="Row 0 has"):
        draw_prompts(Dataset.from_dict({"prompt": ["a"], "answer": [["4"]]}), 1, seed=0)
    with pytest.raises(ValueError, match="only view 0"):
        draw_prompts(Dataset.from_dict({"prompt": ["a"], "pair_id": [1], "view": [0]}), 1, seed=0)
