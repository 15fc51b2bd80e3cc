"""The online pool: what it draws, what it lets in, and that a resumed one goes on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from selfrl.conversation import row_id
from selfrl.data.sum_chains import tiny_chains
from selfrl.group_record import GroupRecord
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.live_pool import LivePool
from selfrl.selfplay.procedural_creator import ProceduralCreator
from selfrl.selfplay.recipe_parts import live_pool_of

GATE = GateSettings(low=0.2, high=0.8, near=1.0)


def pool_of(log: Path | None = None, **options: Any) -> LivePool:
    pool = LivePool(ProceduralCreator("chains"), CurriculumSettings(gate=GATE), parents=4, **options)
    pool.start(tiny_chains("train", 12), seed=3, log=log)
    return pool


def record(row: dict[str, Any], rate: float) -> GroupRecord:
    right = round(4 * rate)
    keys = tuple(["7"] * right + [str(i) for i in range(4 - right)])
    rewards = tuple([1.0] * right + [0.0] * (4 - right))
    return GroupRecord(row_id(row), 0, keys, "7", None, rewards, (3,) * 4, (False,) * 4)


def step(pool: LivePool, number: int, rate: float = 0.5) -> tuple[list[int], set[str]]:
    places = pool.draw(number, 4)
    refused, _ = pool.learn([record(pool[place], rate) for place in dict.fromkeys(places)])
    pool.admit(pool.propose())
    return places, refused


def test_children_come_in_with_their_descent_and_are_drawn() -> None:
    pool = pool_of()
    for number in range(4):
        step(pool, number)
    assert len(pool) > 12
    children = pool.pool.entries[12:]
    assert all(child.parent in pool.pool and child.depth >= 1 for child in children)
    drawn = pool.draw(4, 10)
    assert sum(place >= 12 for place in drawn) == 8  # four fifths of a batch


def test_a_child_is_judged_by_its_first_group_and_never_drawn_again() -> None:
    pool = pool_of()
    step(pool, 0)
    child = pool[12]
    refused, figures = pool.learn([record(child, 1.0)])
    assert refused == {row_id(child)}
    assert figures["gate/reject/9"] == 1
    assert figures["pool/depth"] == (len(pool) - 13) / (len(pool) - 1)  # twelve seeds, and children but the one
    assert all(12 not in pool.draw(number, 12) for number in range(1, 30))
    assert pool.learn([record(child, 0.5)])[0] == set()  # refused once for all


def test_seeds_are_not_judged() -> None:
    pool = pool_of()
    assert pool.learn([record(pool[0], 1.0)])[0] == set()


def test_a_prompt_that_teaches_more_is_drawn_more_often() -> None:
    pool = pool_of(memory=0.0)
    pool.learn([record(pool[place], 0.5 if place == 5 else 1.0) for place in range(12)])
    assert all(5 in pool.draw(number, 2) for number in range(20))


def test_a_resumed_pool_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    def run(stop: int | None) -> tuple[Any, ...]:
        log = tmp_path / f"{stop}.jsonl"
        pool, places = pool_of(log), []
        for number in range(6):
            if number == stop:
                ahead = pool.draw(number, 4)  # the data loader draws ahead
                state = json.loads(json.dumps(pool.state()))
                step(pool, number, rate=1.0)  # what a kill makes undone
                pool = pool_of(log)
                pool.load(state)
                assert pool.draw(number, 4) == ahead
            places.append(step(pool, number)[0])
        _, figures = pool.learn([record(pool[12], 1.0)])
        return places, pool.pool.entries, pool.pool.weights.tolist(), figures, log.read_text()

    assert run(3) == run(None)


def test_replacements_are_new_and_each_comes_once() -> None:
    pool = pool_of()
    seen = {row_id(pool[place]) for place in range(3)}
    drawn = [row_id(rows[0]) for rows in pool.replacements(seen, [0, 1])]
    assert len(drawn) == len(set(drawn)) == 9
    assert not seen & set(drawn)


def test_what_cannot_evolve_is_refused() -> None:
    pool = LivePool(ProceduralCreator("chains"))
    with pytest.raises(ValueError, match="'pair_id'"):
        pool.start(Dataset.from_dict({"prompt": ["a"], "pair_id": ["1"]}), seed=0)
    with pytest.raises(ValueError, match="inverse_mean ranks prompts"):
        LivePool(ProceduralCreator("chains"), CurriculumSettings(measure="inverse_mean"))
    with pytest.raises(ValueError, match="must name its creator"):
        live_pool_of({})
    with pytest.raises(ValueError, match="did you mean `parents`"):
        live_pool_of({"creator": "ProceduralCreator", "parent": 2})
    with pytest.raises(ValueError, match="Unknown key `lows`"):
        live_pool_of({"creator": "ProceduralCreator", "gate": {"lows": 0.1}})
    with pytest.raises(ValueError, match="say i_know_this_collapses"):
        live_pool_of({"creator": "ProceduralCreator", "gate": {"mode": "off"}})
