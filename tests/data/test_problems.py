import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.data.problems import (
    HELD_OUT_WORDING,
    NAMES,
    THINGS,
    WORDINGS,
    Problem,
    draw_problems,
    solution,
    wordings_of,
)
from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer


def test_splits_share_no_numbers_in_any_order() -> None:
    numbers = {
        split: {
            tuple(sorted(p.numbers)) for p, _ in zip(draw_problems(split, random.Random(0)), range(3000), strict=False)
        }
        for split in ("train", "heldout")
    }
    assert not numbers["train"] & numbers["heldout"]


def test_train_split_never_shows_the_held_out_wording() -> None:
    assert HELD_OUT_WORDING not in wordings_of("train")
    assert HELD_OUT_WORDING in wordings_of("heldout")
    openings = {ws[HELD_OUT_WORDING].split("{")[0] for ws in WORDINGS.values()}
    rows = tiny_problems("train", 500)
    texts = [*rows["prompt"], *rows["paraphrase"]]
    assert not [t for t in texts if any(t.startswith(o) for o in openings)]


def test_a_paraphrase_keeps_numbers_and_changes_words() -> None:
    for row in tiny_problems("heldout", 300, seed=4):
        numbers = [sorted(w for w in _words(row[c]) if w.isdigit()) for c in ("prompt", "paraphrase")]
        assert numbers[0] == numbers[1]
        assert row["prompt"] != row["paraphrase"]


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (Problem("add", (48, 77)), 125),
        (Problem("sub", (48, 17)), 31),
        (Problem("add_sub", (48, 17, 60)), 5),
        (Problem("sub_add", (48, 17, 60)), 91),
    ],
)
def test_answers(problem: Problem, answer: int) -> None:
    assert problem.answer == answer
    assert solution(problem).endswith(rf"\boxed{{{answer}}}")


@given(st.integers(0, 2**32))
def test_noise_is_wrong_and_carried_on(seed: int) -> None:
    rng = random.Random(seed)
    problem = next(draw_problems("train", rng))
    text = solution(problem, rng, noise=1.0)
    first = text.split(". ")[0]
    left, sign, right, _, result = first.split()
    right_result = int(left) + int(right) if sign == "+" else int(left) - int(right)
    assert int(result.rstrip(".")) != right_result
    assert int(result.rstrip(".")) >= 0
    if len(problem.steps()) == 2:
        assert text.split(". ")[1].startswith(result)


def test_noise_rate_is_the_one_asked_for() -> None:
    rng = random.Random(0)
    problems = [p for p, _ in zip(draw_problems("train", rng), range(4000), strict=False) if len(p.steps()) == 1]
    wrong = sum(solution(p, rng, noise=0.3) != solution(p) for p in problems)
    assert abs(wrong / len(problems) - 0.3) < 0.04


def test_every_word_is_in_the_vocabulary_and_decoding_restores_the_text() -> None:
    tokenizer = build_tokenizer()
    rng = random.Random(0)
    for problem, _ in zip(draw_problems("heldout", rng), range(300), strict=False):
        for wording in range(5):
            text = problem.tell(wording, rng.choice(NAMES), rng.choice(THINGS)) + "\n" + solution(problem)
            ids = tokenizer(text).input_ids
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids) == text


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="no split 'held_out'"):
        tiny_problems("held_out", 1)  # type: ignore[arg-type]
