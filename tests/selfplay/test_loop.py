"""Self-play in rounds, killed at every file that it writes: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from support.ledger import Ledger

from selfrl.data.sum_chains import tiny_chains
from selfrl.selfplay import ProceduralCreator
from selfrl.selfplay.answered import Answers
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.loop import PATIENCE, EvolveLoop
from selfrl.selfplay.loop_settings import LoopSettings
from selfrl.selfplay.pool import PromptPool
from selfrl.selfplay.stage_files import read_lines

SETTINGS = LoopSettings(rounds=3, samples=4, subset=0.5, chunk=5)
GATE = GateSettings(low=0.2, high=0.8, near=1.0)


def loop(folder: Path, models: Any = None, **options: Any) -> EvolveLoop:
    folder.mkdir(exist_ok=True)
    settings = options.pop("settings", SETTINGS)
    creator = options.pop("creator", ProceduralCreator("chains", children=2))
    curriculum = options.pop("curriculum", CurriculumSettings(gate=GATE))
    data = options.pop("data", tiny_chains("train", 12))
    return EvolveLoop(folder, data, creator, curriculum, settings, models or Ledger(folder), **options)


def tree(folder: Path) -> dict[str, Any]:
    """Everything that a run left, but for times, the order of the ledger, and where it was."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".jsonl"):
            rows = [json.loads(line) for line in path.read_text().replace(str(folder), "").split("\n") if line]
            for row in rows:
                row.pop("seconds", None)
            found[str(path.relative_to(folder))] = rows
    pool = PromptPool.load(folder / "pool")
    return {**found, "pool": pool.entries, "scores": [column.tolist() for column in pool.scores]}


def writes(folder: Path, kill_at: int | None = None, after: bool = False) -> int:
    """Run in a child, which is killed at its k-th file, before or after the file is there; gives the files written."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count, replace = 0, Path.replace

        def counted(self: Path, target: Any) -> Any:
            nonlocal count
            count += 1
            if count == kill_at and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = replace(self, target)
            if count == kill_at and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        Path.replace = counted  # type: ignore[method-assign]
        try:
            loop(folder).run()
            os.write(write, str(count).encode())
        finally:
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == (kill_at is not None)
    with os.fdopen(read) as pipe:
        return int(pipe.read() or 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, writes(folder)


def test_a_run_killed_at_any_file_goes_on_with_nothing_lost_and_nothing_done_twice(
    whole: tuple[Path, int], tmp_path: Path
) -> None:
    unkilled, files = whole
    once_each = Ledger(unkilled).calls()
    assert files > 40
    assert max(once_each.values()) == 1
    expected = tree(unkilled)
    assert len(expected["pool"]) > 20
    points = [(k, after) for k in range(1, files + 1) for after in (False, True)]
    for k, after in random.Random(0).sample(points, 40):
        folder = tmp_path / f"{k}-{after}"
        writes(folder, kill_at=k, after=after)
        loop(folder).run()
        assert tree(folder) == expected, (k, after)
        calls = Ledger(folder).calls()
        assert set(calls) == set(once_each)
        twice = [call for call, count in calls.items() if count > 1]
        assert len(twice) <= (0 if after else 1), (k, after)  # what was under way when the kill came


def test_more_rounds_go_on_with_a_run(whole: tuple[Path, int], tmp_path: Path) -> None:
    loop(tmp_path, settings=replace(SETTINGS, rounds=1)).run()
    assert not (tmp_path / "rounds/002").exists()
    loop(tmp_path).run()
    assert tree(tmp_path) == tree(whole[0])


def test_a_round_scores_selects_evolves_gates_mixes_and_trains(whole: tuple[Path, int]) -> None:
    folder, _ = whole
    found = tree(folder)
    seeds = {entry.id for entry in found["pool"] if entry.depth == 0}
    first = "rounds/001/"
    assert {row["id"] for part in (0, 1, 2) for row in found[f"{first}scored/part-{part:05d}.jsonl"]} == seeds
    (selected,) = found[first + "selected.json"]
    assert len(selected["chosen"]) == 6
    assert set(selected["chosen"]) <= seeds
    children = [row for part in (0, 1) for row in found[f"{first}children/part-{part:05d}.jsonl"]]
    assert len(children) == 12
    assert {child["parent"] for child in children} == set(selected["chosen"])
    (accepted,) = found[first + "accepted.json"]
    rates = {row["id"]: sum(s["reward"] for s in row["samples"]) / 4 for row in _answered(found, first)}
    assert {name for name, rate in rates.items() if 0.2 <= rate <= 0.8} >= set(accepted["accepted"])
    (mix,) = found[first + "mix.json"]
    assert mix["prompts"] == 12
    assert mix["evolved"] == min(round(0.8 * 12), len(accepted["accepted"]))
    assert mix["evolved_share"] == mix["evolved"] / 12
    texts = {entry.text for entry in found["pool"]}
    assert {row["prompt"] for row in found[first + "training.jsonl"]} <= texts
    # the next round scores all that is in the pool by then, with the solver that was trained
    in_second = sum(len(found[name]) for name in found if name.startswith("rounds/002/scored"))
    assert in_second == 12 + len(accepted["accepted"])
    assert any(call.startswith("answer /rounds/001/train") for call in Ledger(folder).calls())


def _answered(found: dict[str, Any], first: str) -> list[dict[str, Any]]:
    return [row for name in found if name.startswith(first + "answered") for row in found[name]]


def test_fresh_and_evolved_phases_alternate_and_pairs_are_best_against_worst(tmp_path: Path) -> None:
    settings = LoopSettings(rounds=2, samples=4, subset=0.5, fresh=8, chunk=100)
    models = Ledger(tmp_path, pairs=True)
    loop(tmp_path, models, settings=settings).run()
    seeds = [row["prompt"] for row in tiny_chains("train", 12)]
    asked = {}
    for number, places in ((1, range(8)), (2, [8, 9, 10, 11, 0, 1, 2, 3])):
        folder = tmp_path / "rounds" / f"{number:03d}"
        pairs = read_lines(folder / "fresh" / "training.jsonl")
        assert {pair["prompt"] for pair in pairs} <= {seeds[i] for i in places}
        assert all(pair["rejected"] == "It is 0." and pair["chosen"] != "It is 0." for pair in pairs)
        asked[number] = {row["id"] for row in read_lines(folder / "scored" / "part-00000.jsonl")}
        assert len(asked[number]) == 8
    trained = [call.split(" ")[1] for call in Ledger(tmp_path).calls() if call.startswith("train")]
    assert trained == ["start", "/rounds/001/fresh/train", "/rounds/001/train", "/rounds/002/fresh/train"]


def test_a_creator_that_is_refused_for_three_rounds_proposes_no_more(tmp_path: Path) -> None:
    settings = LoopSettings(rounds=PATIENCE + 1, samples=4, subset=0.5, chunk=100)
    loop(tmp_path, Ledger(tmp_path, rate=1.0), settings=settings).run()  # everything is solved: all too easy
    rounds = [json.loads((tmp_path / f"rounds/{n:03d}/round.json").read_text()) for n in range(1, PATIENCE + 2)]
    assert [r["stopped_proposing"] for r in rounds] == [False] * PATIENCE + [True]
    assert not (tmp_path / f"rounds/{PATIENCE + 1:03d}/children").exists()
    assert len(read_lines(tmp_path / f"rounds/{PATIENCE + 1:03d}/training.jsonl")) == 12


def test_where_no_prompt_could_be_scored_nothing_evolves(tmp_path: Path) -> None:
    class Mute(Ledger):
        def answer(self, *args: Any) -> list[Answers]:
            found = super().answer(*args)
            return [replace(a, samples=tuple(replace(s, reward=None) for s in a.samples)) for a in found]

    loop(tmp_path, Mute(tmp_path)).run()
    held = json.loads((tmp_path / "rounds/001/selected.json").read_text())
    assert (held["chosen"], held["dropped"]) == ([], 12)
    assert len(read_lines(tmp_path / "rounds/001/training.jsonl")) == 12


def test_an_ungated_run_is_marked(tmp_path: Path) -> None:
    gate = GateSettings(mode="off", i_know_this_collapses=True)
    settings = LoopSettings(samples=4, subset=0.5)
    loop(tmp_path, curriculum=CurriculumSettings(gate=gate), settings=settings).run()
    held = json.loads((tmp_path / "rounds/001/round.json").read_text())
    assert held["ungated"]
    assert held["accepted"] == 12


def test_topics_balance_what_is_selected(tmp_path: Path) -> None:
    rows = [{**row, "topic": "rare" if i == 0 else "common"} for i, row in enumerate(tiny_chains("train", 12))]
    settings = LoopSettings(samples=4, subset=0.1, selection="greedy", topic="topic")
    loop(tmp_path, data=Dataset.from_list(rows), settings=settings).run()
    (chosen,) = json.loads((tmp_path / "rounds/001/selected.json").read_text())["chosen"]
    pool = PromptPool.load(tmp_path / "pool")
    assert pool[chosen].columns["topic"] == "rare"  # a gap of 1 or 0 weighs 1/n, its topic alone .25 * 11/12


def test_other_seeds_are_refused(tmp_path: Path) -> None:
    loop(tmp_path)
    with pytest.raises(ValueError, match="began with"):
        loop(tmp_path, data=tiny_chains("train", 12, seed=1))
    loop(tmp_path)


def test_settings_that_cannot_be_are_refused() -> None:
    for keys in ({"samples": 1}, {"rounds": 0}, {"subset": 0.0}, {"selection": "best"}, {"fresh": -1}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            LoopSettings(**keys)
