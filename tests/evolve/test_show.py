"""What `selfrl evolve show` makes of a run, also of one that is under way."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from support.ledger import Ledger

from selfrl.cli import main
from selfrl.data.sum_chains import tiny_chains
from selfrl.evolve.curriculum_tables import cut, tables
from selfrl.evolve.curriculum_views import read_run
from selfrl.evolve.show import diff, show
from selfrl.selfplay import ProceduralCreator
from selfrl.selfplay.curriculum_settings import CurriculumSettings, GateSettings
from selfrl.selfplay.gate import Gate, Proposal
from selfrl.selfplay.gate_checks import Contamination
from selfrl.selfplay.loop import EvolveLoop
from selfrl.selfplay.loop_settings import LoopSettings
from selfrl.selfplay.near_index import NearIndex
from selfrl.selfplay.pool import Entry, PromptPool
from selfrl.selfplay.stage_files import read_lines

SEEDS = [
    "Tom has 3 apples and buys 4 more, how many has he now?",
    "How old is the sun in years?",
    "How many cards are in a deck without its jokers?",
]


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


def sampled(name: str, rewards: list[float | None], share: float | None, right: bool | None) -> dict[str, object]:
    samples = [{"text": "It is 4.", "key": "4", "reward": reward} for reward in rewards]
    return {"id": name, "samples": samples, "vote_share": share, "label_right": right}


def lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def by_hand(folder: Path, hostile: str = "") -> Path:
    """Two rounds whose figures can be counted; the second is under way, and its rewards are a reward model's."""
    apples, sun, cards = (Entry.of_seed(text + hostile) for text in SEEDS)

    def write(parent: Entry, text: str, topic: str) -> Entry:
        return parent.child(text, "deepen", "policy", 0, topic=topic)

    first = write(apples, "Tom picks 7 plums in each of 6 gardens and eats two of them.", "a")
    second = write(first, "Ann saves 3 coins a day for a year, and spends half of them.", "a")
    third = write(second, "Which is more, a dozen eggs or eleven pairs of shoes?", "a")
    stars = write(sun, "How many stars does a flag with five rows of ten have?", "b")
    good = [first, second, third, write(apples, "What are nine weeks in hours and minutes?", "a"), stars]
    good += [write(stars, "A ladder has twelve steps, and Ben jumps over every third.", "b")]
    good += [write(cards, "Deal the deck to four players, how many hands are full?", "c")]
    good += [write(cards, "Turn over seven coins until all of them show heads.", "d")]
    easy = write(cards, "How many legs have two spiders and a bird together?", "d")
    bad = [write(sun, text, "b") for text in ("Too short.", SEEDS[1].upper(), SEEDS[0].replace("4", "9"))]
    children = [*good, easy, *bad]
    pool = PromptPool([apples, sun, cards, *good])
    pool.save(folder / "pool")
    (folder / "recipe.yaml").write_text("evolve: {}\n")
    index = NearIndex(SEEDS.__getitem__)
    index.add_many(range(3), SEEDS)

    at = folder / "rounds/001"
    groups = [[0] * 4, [1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 0], [1] * 4, [1] * 4, [1, None, 0], []]
    votes = [(0.5, False), (0.75, True), (0.6, False), (0.25, None), (1.0, True), (1.0, True), (None, None)]
    told = zip(map(str, range(8)), groups, [*votes, (None, None)], strict=True)
    lines(at / "scored/part-00000.jsonl", (sampled(name, rewards, *vote) for name, rewards, vote in told))  # type: ignore[arg-type]
    lines(at / "children/part-00000.jsonl", map(asdict, children[:5]))
    lines(at / "children/part-00001.jsonl", map(asdict, children[5:]))
    gate = Gate(index, Contamination([]), log=at / "gate-texts.jsonl")
    passed = [v.id for v in gate.judge([Proposal.of(child) for child in children]) if v.accepted]
    gate.log = at / "gate-answers.jsonl"
    rewards = {child.id: (1.0, 0.0) for child in good} | {easy.id: (1.0, 1.0)}
    verdicts = gate.judge_answers([Proposal.of(by_id(children)[n], None, ["4", "4"], rewards[n]) for n in passed])
    accepted = {"accepted": [v.id for v in verdicts if v.accepted], "rejudged": 2, "overturned": 1}
    (at / "accepted.json").write_text(json.dumps(accepted))
    mix = {"prompts": 10, "evolved": 8, "seeds": 2, "evolved_share": 0.8}
    (at / "mix.json").write_text(json.dumps(mix))
    record = {"round": 1, "mode": "strict", "ungated": False, "stopped_proposing": True, "seconds": {"score": 3.0}}
    (at / "round.json").write_text(json.dumps(record))

    at = folder / "rounds/002"
    lines(at / "scored/part-00000.jsonl", [sampled(first.id, [3.2, -0.4], 1.0, None)])
    children = [
        write(first, "Tom picks 9 plums in each of 6 gardens." + hostile, "a"),
        write(first, "No." + hostile, "a"),
    ]
    lines(at / "children/part-00000.jsonl", map(asdict, children))
    Gate(index, Contamination([]), log=at / "gate-texts.jsonl").judge([Proposal("x", "Unknown.")])
    Gate(index, Contamination([]), log=at / "gate-texts.jsonl").judge([Proposal.of(child) for child in children[1:]])
    return folder


def by_id(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.id: entry for entry in entries}


def rows(folder: Path, place: int) -> list[list[str]]:
    """What stands in a table below its head."""
    table = tables(read_run(folder)[1])[place]
    return [list(row) for row in zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)]


def test_figures_that_were_counted_by_hand(tmp_path: Path) -> None:
    folder = by_hand(tmp_path / "run")
    words = (14 + 14 + 11 + 8 + 12 + 11 + 11 + 10) / 8
    first, second = rows(folder, 0)
    # 8 of 12; the two duplicates among 12 texts; not among the 9 verdicts on answers
    assert first == ["1", "12", "66.7", "16.7", "80.0", f"{words:.1f}", "strict, seeds only"]
    assert second == ["2", "2", "", "0.0", "", "", "under way"]
    # depths 1 2 3 1, 1 2, 1, 1 under three seeds; topics 4 2 1 1, which are not the seeds' 4 2 2
    assert rows(folder, 1) == [["1", "1.5", "3", "3", "50.0", "1.21", "0.88", "3.4"], ["2", *[""] * 7]]
    # rates 0 .25 .2 .75 1 1 .5, and a prompt that has none
    assert rows(folder, 2) == [["1", "1", "1", "1", "1", "1", "0", "2"], ["2", "no rates", *[""] * 6]]
    # three dead of seven; (.75 + .64 + .75 + 1) / 7; .77 of the five that have a label, of which three are right
    answers = rows(folder, 3)
    assert [answers[0][i] for i in (1, 2, 4, 5, 6, 7)] == ["42.9", "0.45", "60.0", "+17.0", "2", "1"]
    assert [answers[1][i] for i in (1, 2, 4, 5)] == [""] * 4
    refused = tables(read_run(folder)[1])[4]
    assert [str(c.header) for c in refused.columns][1:] == [
        "shape",
        "exact\nduplicate",
        "near\nduplicate",
        "difficulty",
    ]
    assert rows(folder, 4) == [["1", "1", "1", "1", "1"], ["2", "2", "0", "0", "0"]]


def test_a_round_that_has_nothing_shows_no_zeros(tmp_path: Path) -> None:
    folder = by_hand(tmp_path / "run")
    (folder / "rounds/003").mkdir()
    assert rows(folder, 0)[2] == ["3", "0", "", "", "", "", "under way"]
    assert rows(folder, 2)[2] == ["3", *[""] * 7]
    assert rows(folder, 3)[2][:6] == ["3", *[""] * 5]


def test_tables_are_readable_on_eighty_columns(tmp_path: Path) -> None:
    file = io.StringIO()
    show(by_hand(tmp_path / "run"), Console(file=file, width=80))
    said = file.getvalue()
    assert max(map(len, said.split("Page:")[0].splitlines())) <= 80
    for whole in ("under way", "strict,", "duplicates", "evenness", "+17.0", "1.21"):
        assert whole in said


class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_the_page_is_one_file_in_which_texts_are_data(tmp_path: Path) -> None:
    hostile = "</pre><script>alert(1)</script><img src=http://x.y/z onerror=alert(1)>\x00\x1b[2J\u202e"
    folder = by_hand(tmp_path / "run", hostile)
    said = printed(folder)
    page = (folder / "curriculum.html").read_text()
    browser = Tags()
    browser.feed(page)
    assert not browser.tags & {"script", "link", "iframe", "object", "form", "base"}
    assert browser.addresses
    assert all(address.startswith("data:image/png;base64,") for address in browser.addresses)
    assert "&lt;script&gt;" in page
    assert "<ins>" in page
    assert "no histogram" in page
    assert not {"\x00", "\x1b", "\u202e"} & {*page, *said}


def test_a_diff_that_would_take_minutes_is_not_made() -> None:
    # 1500 words that are all the same: 160 seconds before there was a limit
    assert [piece.kind for piece in diff("a " * 1500, "b " * 1500)] == ["same"]
    assert [piece.kind for piece in diff("Add 3 now.", "Add 4 now.")] == ["same", "gone", "new", "same"]


def test_a_log_that_is_being_written_to_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    folder = by_hand(tmp_path / "run")
    before = rows(folder, 0)
    with (folder / "rounds/002/gate-texts.jsonl").open("a") as file:
        file.write('{"id": "b", "acc')
    assert rows(folder, 0) == before
    assert rows(folder, 3)[0][3:6] == ["77.0", "60.0", "+17.0"]  # both over the prompts that have a gold answer
