"""What `selfrl evolve show` makes of a run, also of one that is under way."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from support.ledger import Ledger

from selfrl.cli import main
from selfrl.data.sum_chains import tiny_chains
from selfrl.evolve.curriculum_tables import cut
from selfrl.evolve.curriculum_views import read_run
from selfrl.evolve.show import show
from selfrl.selfplay import ProceduralCreator
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.loop import EvolveLoop
from selfrl.selfplay.loop_settings import LoopSettings
from selfrl.selfplay.stage_files import read_lines


def made(folder: Path, **gate: object) -> Path:
    folder.mkdir(exist_ok=True)
    settings = LoopSettings(rounds=2, samples=4, subset=0.5, chunk=100)
    curriculum = CurriculumSettings(gate=GateSettings(near=1.0, **gate))  # type: ignore[arg-type]
    creator = ProceduralCreator("chains", children=2)
    EvolveLoop(folder, tiny_chains("train", 12), creator, curriculum, settings, Ledger(folder)).run()
    return folder


def printed(folder: Path) -> str:
    file = io.StringIO()
    show(folder, Console(file=file, width=160))
    return file.getvalue()


def test_the_figures_are_those_of_the_files(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    _, (first, second) = read_run(folder)
    at = folder / "rounds/001"
    scored = read_lines(at / "scored/part-00000.jsonl")
    rates = [sum(sample["reward"] for sample in row["samples"]) / 4 for row in scored]
    assert first.bins == [rates.count(0), 0, rates.count(0.25), rates.count(0.5), rates.count(0.75), 0, rates.count(1)]
    verdicts = read_lines(at / "gate-texts.jsonl") + read_lines(at / "gate-answers.jsonl")
    refused = [v["check"] for v in verdicts if not v["accepted"]]
    assert first.children == 12
    assert first.refused.get("difficulty", 0) == refused.count(9)
    assert first.accepted == 12 - len(refused) == len(json.loads((at / "accepted.json").read_text())["accepted"])
    assert first.acceptance == first.accepted / 12
    assert (first.descent.max_depth, first.gap) == (1, pytest.approx(0.5 - 1.0))  # the ledger's votes: half, all right
    assert second.descent.max_depth <= 2
    said = printed(folder)
    assert "Refused by the gate" in said
    assert f"{100 * first.accepted / 12:.1f}" in said
    page = (folder / "curriculum.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.replace("http-equiv", "")


def test_a_run_under_way_shows_what_is_there(tmp_path: Path) -> None:
    folder = made(tmp_path / "run")
    for name in ("round.json", "mix.json", "accepted.json", "gate-answers.jsonl"):
        (folder / "rounds/002" / name).unlink()
    shutil.rmtree(folder / "rounds/002/answered")
    _, rounds = read_run(folder)
    assert rounds[1].acceptance is None
    assert "under way" in printed(folder)
    shutil.rmtree(folder / "rounds")
    assert "Rounds" in printed(folder)


def test_texts_are_data_on_the_page_and_on_the_screen(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", mode="off", i_know_this_collapses=True)
    file = folder / "rounds/001/children/part-00000.jsonl"
    rows = read_lines(file)
    rows[0]["text"] = "<script>alert(1)</script>\x1b[2J" + "x" * 1_000_000
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = printed(folder)
    page = (folder / "curriculum.html").read_text()
    assert "UNGATED" in said
    assert "Without a gate" in page
    assert "\x1b" not in said
    assert "<script" not in page
    assert len(page) < 1_000_000
    assert len(cut("x" * 1000)) < 320


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evolve", "show", str(tmp_path)]) == 2
    assert "holds no prompt pool" in capsys.readouterr().err
