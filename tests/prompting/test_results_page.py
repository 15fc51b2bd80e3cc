"""What a run leaves: its file, read again; its page, with hostile text as text."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, task

from selfrl.prompting import PromptOptimizer, Role, Settings, read_prompt, read_run
from selfrl.prompting.run_page import write_page
from selfrl.prompting.run_record import FILE, read_prompts
from selfrl.text import word_diff

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)> & \ud800"


class Hostile(Scripted):
    """Better outputs, with an attack in every text that a model writes."""

    def reply(self, role: str, prompt: Any) -> str:
        said = super().reply(role, prompt)
        if role == "optimizer":
            return said.replace("quality 2", f"{ATTACK} quality 2")
        return f"{ATTACK} {said}"


def finished(out: Path, world: Scripted) -> None:
    role = Role(world)
    settings = Settings(rounds=3, heldout=3)
    PromptOptimizer(task(questions=6), out, optimizer=role, executor=role, evaluator=role, settings=settings).run()


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    role = Role(Scripted(["quality 2", "nothing"]))
    job = PromptOptimizer(task(questions=6), tmp_path, optimizer=role, executor=role, evaluator=role)
    run = job.run()
    assert read_run(tmp_path) == run
    assert read_prompts(str(tmp_path)) == ("quality 1", "quality 2")
    assert read_prompt(str(tmp_path)) == "quality 2"
    plain = json.loads((tmp_path / FILE).read_text())
    assert plain["best_prompt"] == "quality 2"
    assert plain["usage"]["executor"]["calls"] == run.usage["executor"].calls


def test_a_prompt_is_read_from_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("  Think {hard}.\n")
    assert read_prompt(str(tmp_path / "p.txt")) == "Think {hard}."


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    for name, message in (("blank.txt", "is blank"), ("bytes.txt", "is no text file"), ("none", "does not exist")):
        with pytest.raises(ValueError, match=message):
            read_prompt(str(tmp_path / name))
    with pytest.raises(ValueError, match=r"holds no results\.json"):
        read_prompt(str(tmp_path))
    for text in ("{}", "[]", "{", '{"version": 0}', '{"version": 1, "rounds": [{"nummer": 1}]}'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(ValueError, match="was not written by this version"):
            read_run(tmp_path)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_everything_and_runs_nothing(tmp_path: Path) -> None:
    finished(tmp_path, Hostile())
    write_page(tmp_path / "p.html", read_run(tmp_path))
    page = (tmp_path / "p.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not {"script", "img", "iframe", "link"} & set(tags.seen)
    assert "default-src 'none'" in page
    for shown in (
        "round 2 is the best",
        "alert(1)",
        "to <script>",
        "output 1",
        "output 2",
        "round 2 (round 1 shown first)",
        "reference: reference 1",
        "On questions that no round has seen",
        "preferred on 3, the initial one on 0 of 3",
    ):
        assert shown in tags.text, shown
    assert "<del>1</del><ins>2</ins>" in page or "<ins>" in page


@given(st.text(alphabet="ab \n", max_size=30), st.text(alphabet="ab \n", max_size=30))
def test_a_diff_holds_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(p.text for p in pieces if p.kind != "new") == before
    assert "".join(p.text for p in pieces if p.kind != "gone") == after
