"""The pool keeps what it was given, on disk too, and finds what it has seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import in_a_process

from selfrl.selfplay.near_index import NearIndex, normalised
from selfrl.selfplay.pool import Entry, PromptPool
from selfrl.text import rouge_l

WORDS = "add take away three four seven apples pears boys girls then and how many are left in all of the".split()


def prompt(rng: np.random.Generator, length: int = 14) -> str:
    return " ".join(rng.choice(WORDS, length)) + "?"


def family() -> PromptPool:
    root = Entry.of_seed("Add 3 and 4.", answer="7")
    child = root.child("Add 3 and 4, then 5.", "deepen", "policy", 1, answer="12")
    return PromptPool([root, child, child.child("Add 3 and 4, then 5 and 6.", "deepen", "policy", 2)])


def test_children_know_where_they_come_from() -> None:
    root, child, grandchild = family()
    assert (child.parent, grandchild.parent) == (root.id, child.id)
    assert {entry.root for entry in family()} == {root.id}
    assert [entry.depth for entry in family()] == [0, 1, 2]
    assert [entry.id for entry in family()] == [entry.id for entry in family()]  # ids follow from what they name
    assert root.child("x", "deepen", "policy", 1).id != root.child("x", "deepen", "policy", 2).id


def test_nothing_stands_twice_and_nobody_is_an_orphan() -> None:
    pool = family()
    with pytest.raises(ValueError, match="a prompt is added once"):
        pool.add([pool.entries[0]])
    with pytest.raises(ValueError, match="which is not in the pool"):
        PromptPool([pool.entries[1]])


def test_rewards_are_counted_by_prompt() -> None:
    pool = family()
    pool.scored([0, 2, 0, 0], [1, 0.5, 0, 1])
    assert pool.visits.tolist() == [3, 0, 1]
    assert pool.solve_rates == pytest.approx([2 / 3, np.nan, 0.5], nan_ok=True)
    pool.weigh([1, 2], [0.25, 0.75])
    assert pool.weights.tolist() == [0, 0.25, 0.75]
    with pytest.raises(ValueError, match="negative or not finite"):
        pool.weigh([0], [np.nan])


def test_a_pool_is_the_same_from_disk_and_grows_by_files(tmp_path: Path) -> None:
    pool = family()
    pool.scored([0, 1], [1, 0])
    pool.weigh([0, 1, 2], [0.5, 0.5, 0])
    pool.save(tmp_path)
    pool.add([pool.entries[0].child("Add 9.", "widen", "policy", 3)])
    pool.scored([3], [1])
    pool.save(tmp_path)
    pool.save(tmp_path)
    names = sorted(path.name for path in tmp_path.glob("prompts-*"))
    assert names == ["prompts-000000000.parquet", "prompts-000000003.parquet"]
    again = PromptPool.load(tmp_path)
    assert again.entries == pool.entries
    assert again.visits.tolist() == pool.visits.tolist()
    assert again.weights.tolist() == pool.weights.tolist()
    assert again.solve_rates == pytest.approx(pool.solve_rates, nan_ok=True)
    with pytest.raises(ValueError, match="holds no prompt pool"):
        PromptPool.load(tmp_path / "nowhere")


def saved_and_killed(folder: str) -> None:
    """Dies between the prompts and their scores; run by [`in_a_process`]."""
    from selfrl.selfplay import pool as module

    pool = PromptPool.load(Path(folder))
    pool.add([pool.entries[0].child("Add 9.", "widen", "policy", 3)])
    pool.scored([3], [1])
    write = module.pq.write_table

    def dying(table: object, where: object) -> None:
        if "scores" in str(where):
            os.kill(os.getpid(), signal.SIGKILL)
        write(table, where)

    module.pq.write_table = dying
    pool.save(Path(folder))


def test_a_kill_while_saving_loses_no_prompt(tmp_path: Path) -> None:
    pool = family()
    pool.scored([0], [1])
    pool.save(tmp_path)
    in_a_process(saved_and_killed, str(tmp_path), returncode=-signal.SIGKILL)
    again = PromptPool.load(tmp_path)
    assert len(again) == 4
    assert again.visits.tolist() == [1, 0, 0, 0]


def test_a_large_pool_grows() -> None:
    pool = PromptPool(Entry.of_seed(str(i)) for i in range(3000))
    pool.scored([2999], [1])
    assert (len(pool), pool.visits[2999]) == (3000, 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What is 2+2?", "what is 2 + 2", True),
        ("Ａdd 3.", "add 3", True),
        ("Add 3 and 4.", "Add 4 and 3.", False),
        ("", " . ", True),
    ],
)
def test_equal_texts(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) == same


def test_near_texts_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    texts = [prompt(rng) for _ in range(2000)]
    index = NearIndex(texts.__getitem__)
    index.add_many(range(len(texts)), texts)
    found = missed = false = 0
    for _ in range(200):
        number = int(rng.integers(len(texts)))
        words = texts[number].split()
        words[int(rng.integers(len(words)))] = "nine"
        near = index.near(" ".join(words))
        found += near is not None
        fresh = prompt(rng)
        seen = index.near(fresh)
        best = max(rouge_l(fresh, text) for text in texts)
        missed += seen is None and best > 0.7
        false += seen is not None and rouge_l(fresh, texts[seen]) <= 0.7
    assert found == 200
    assert false == 0
    assert missed <= 6  # of the fresh ones with a neighbour; those at the border may be missed


@given(st.text(max_size=60))
def test_any_text_can_be_added_and_is_found_again(text: str) -> None:
    index = NearIndex([text].__getitem__)
    index.add(0, text)
    assert index.equal(text) == index.near(text) == 0
