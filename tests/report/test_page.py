"""The page in a real browser: curves, table, hostile text, both colour schemes; and that it asks no network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from support.browsing import hovered, until
from support.written_runs import completion, written_run

from selfrl.cli import main
from selfrl.monitor.detector import Alarm
from selfrl.pictures import png
from selfrl.report.completion_rows import MOST_ROWS
from selfrl.report.page import embedded, render
from selfrl.report.report_data import report_data

EVIL = (
    "</script><script>window.hacked=1</script><!--<script>",
    "<img src=x onerror='window.hacked=1'>",
    "<a href='http://evil.example/'>link</a> <b>bold</b> %{x} \u202e\u2028\u2029 &lt;i&gt;",
)


class Watched:
    """A tab, and everything that it asked for or complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def open(self, file: Path) -> Any:
        self.page.goto(file.as_uri())
        until(self.page, "document.getElementById('about').querySelector('details') !== null")
        return self.page

    def is_quiet(self) -> bool:
        outside = [url for url in self.asked if not url.startswith(("file://", "data:"))]
        assert (outside, self.faults) == ([], [])
        return len([url for url in self.asked if url.startswith("file://")]) == 1


@pytest.fixture
def tab(browser: Any) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    yield Watched(page)
    page.close()


@pytest.fixture(scope="module")
def real_page(real_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", str(real_run), "--out", str(out)]) == 0
    return out


def many(folder: Path, runs: int = 3, steps: int = 12) -> list[str]:
    """Runs with every figure, alarms, histories and completions."""
    names = [
        "reward",
        "labels/label_accuracy",
        "groups/majority_ratio",
        "groups/length",
        "entropy",
        "groups/repetition",
    ]
    for i in range(runs):
        rows: list[dict[str, Any]] = [{"step": 0, "probe/t/avg@2": 0.5, "probe/t/maj@2": 0.6}]
        for step in range(1, steps):
            row = dict.fromkeys(names, (step + i) / 20) | {"probe/t/avg@2": 0.5 + step / 30}
            row |= {"groups/majority_ratio/p10": 0.1, "groups/majority_ratio/p90": 0.9, "rewards/R/mean": 0.5}
            rows.append({"step": step, **row})
        written_run(
            folder / f"run{i}",
            metrics=rows,
            alarms=[{**Alarm(4 + i, "one", ("length up",), 2, f"Run {i} fell.")._asdict(), "action": "stop"}],
            batches=[
                (step, [["a", str(step // 2), step % 2 == 0, 0.5, 0.5], ["b", None, None, 0.2, None]])
                for step in range(6)
            ],
            rewards={"RandomReward" if i == 1 else "MajorityVoteReward": {}},
            completions=[completion(2, f"answer {i} {k}", R=k / 10, key=str(k)) for k in range(10)],
        )
    return [str(folder / f"run{i}") for i in range(runs)]


def traces(page: Any, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        "key => [...document.querySelectorAll('.chart')].find(c => c.dataset.key === key).querySelector('.plot').data"
        ".map(t => ({ y: t.y, x: t.x, name: t.name, dash: t.line.dash, color: t.line.color, fill: t.fill ?? null }))",
        key,
    )
    return found


def column(page: Any, place: int) -> list[str]:
    """A column of the rows in sight, from the top."""
    found: list[str] = page.evaluate(
        "place => [...document.querySelectorAll('#rows .row')].map(row => row.children[place].textContent)", place
    )
    return found


def across(page: Any, plot: str, step: int) -> float:
    """Where a step lies, as a share of a chart's width."""
    share: float = page.evaluate(
        "([plot, step]) => (axis => axis.l2p(step) / axis._length)(document.querySelector(plot)._fullLayout.xaxis)",
        [plot, step],
    )
    return share


def drawn(page: Any) -> int:
    """Lines that stand in the document as SVG."""
    return int(page.evaluate("document.querySelectorAll('#charts .scatterlayer .trace path.js-line').length"))


def test_the_page_of_a_real_run_opens_from_disk_and_asks_nobody(real_page: Path, tab: Watched) -> None:
    page = tab.open(real_page)
    keys = page.evaluate("[...document.querySelectorAll('.chart')].map(c => c.dataset.key)")
    assert {"accuracy tiny_problems", "labels", "agreement", "answers", "length", "entropy", "repetition"} <= set(keys)
    assert drawn(page) >= len(keys)
    assert page.locator("#grid .heatmaplayer image, #grid .heatmaplayer .hm").count() >= 1
    assert page.locator("#rows .row").count() > 5
    assert {"key", "label"} <= set(page.locator("#head button").all_inner_texts())
    assert any(column(page, 4)), "the trainer wrote the keys"
    assert "MajorityVoteReward" in page.locator("#about").inner_text()
    assert "trl 1.16" in page.locator("#about").inner_text()
    assert "Nothing to pair" in page.locator("#unpaired").inner_text()
    assert tab.is_quiet()
    assert real_page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_runs_are_overlaid_with_a_colour_each_alarms_and_the_start(tmp_path: Path, tab: Watched) -> None:
    out = tmp_path / "page.html"
    assert main(["report", *many(tmp_path), "--out", str(out)]) == 0
    page = tab.open(out)
    accuracy = [t for t in traces(page, "accuracy t") if t["name"] != "alarm"]
    lines = [t for t in accuracy if len(t["x"]) == 12]
    assert len({t["color"] for t in lines}) == 3
    assert [t["dash"] for t in lines] == ["solid", "dash", "solid"]  # the control beside
    assert [t["y"] for t in accuracy if len(t["x"]) == 2] == [[0.6, 0.6]]
    noted = page.locator(".chart .annotation-text").all_text_contents()
    assert noted == ["maj@2 of the start: what sharpening alone gives"]
    assert len([t for t in traces(page, "agreement") if t["fill"] == "toself"]) == 3
    assert [t["x"][0] for t in traces(page, "labels") if t["name"] == "alarm"] == [4, 5, 6]
    told = page.locator("#alarms tr").last.locator("td").all_inner_texts()
    assert told == ["run2", "6", "Run 2 fell.", "2", "one", "length up", "stop"]
    assert "run1 (control)" in page.locator("#legend").inner_text()
    assert hovered(page, ".chart .plot", across(page, ".chart .plot", 5), 0.05) == "run1, step 5: Run 1 fell."
    page.locator("#legend input").first.uncheck()
    assert len([t for t in traces(page, "labels") if t["name"] != "alarm"]) == 2
    assert [t["x"][0] for t in traces(page, "labels") if t["name"] == "alarm"] == [5, 6]
    assert page.locator("#gridrun option").count() == 3
    z = page.evaluate("document.getElementById('grid').data[0].z")
    assert z == [[0, 1, 2, 1, 2, 1], [3] * 6]
    assert "wrong" in page.evaluate("document.getElementById('grid').data[0].text[0][1]")
    assert tab.is_quiet()


def test_the_table_is_searched_and_sorted(tmp_path: Path, tab: Watched) -> None:
    out = tmp_path / "page.html"
    assert main(["report", *many(tmp_path), "--out", str(out)]) == 0
    page = tab.open(out)
    page.locator("#words").fill("ANSWER 1")
    until(page, "document.getElementById('count').textContent === '10 of 30 rows'")
    assert column(page, 3) == [f"answer 1 {k}" for k in range(10)]
    page.locator("#head button", has_text="reward").click()
    assert column(page, 6) == ["0", *(f"0.{k}" for k in range(1, 10))]
    page.locator("#head button", has_text="reward").click()
    assert column(page, 3)[0] == "answer 1 9"
    page.locator("#rows .row").first.click()
    assert page.locator("#chosen pre").all_inner_texts() == ["2+2?", "answer 1 9"]
    page.locator("#words").fill("no such words")
    until(page, "document.getElementById('count').textContent === '0 of 30 rows'")
    assert column(page, 0) == []
    assert tab.is_quiet()


def test_a_row_shows_its_pictures(tmp_path: Path, tab: Watched) -> None:
    picture = {"bytes": png(Image.new("RGB", (8, 5), "red")), "path": None}
    rows = [completion(1, "seen", images=[picture, picture]), completion(1, "blind", images=[])]
    run = written_run(tmp_path / "run", metrics=[{"step": 1, "rewards/R/mean": 1.0}], completions=rows)
    assert main(["report", str(run)]) == 0
    page = tab.open(run / "REPORT.html")
    page.locator("#rows .row").first.click()
    until(page, "[...document.querySelectorAll('#chosen img')].map(i => i.naturalWidth).join() === '8,8'")
    page.locator("#rows .row").nth(1).click()
    assert page.locator("#chosen img").count() == 0
    assert tab.is_quiet()


@pytest.mark.slow
def test_fifty_thousand_completions_stay_usable(tmp_path: Path, tab: Watched) -> None:
    run = written_run(tmp_path / "run", metrics=[{"step": 1, "rewards/R/mean": 0.5}])
    (run / "completions").mkdir()
    texts = [f"{i} is {'even' if i % 2 == 0 else 'odd'}. " + "word " * 30 for i in range(MOST_ROWS + 7)]
    rows = [completion(1, text, R=i % 100 / 100, prompt=f"question {i // 8}") for i, text in enumerate(texts)]
    pd.DataFrame(rows).to_parquet(run / "completions" / "completions_00001.parquet")
    assert main(["report", str(run)]) == 0
    page = tab.open(run / "REPORT.html")
    assert "The last 50,000 of 50,007 completions." in page.locator("#tablenote").inner_text()
    page.locator("#words").fill("49999 is odd")
    until(page, "document.getElementById('count').textContent === '1 of 50,000 rows'")
    assert column(page, 3)[0].startswith("49999 is odd.")
    page.locator("#words").fill("")
    until(page, "document.getElementById('count').textContent === '50,000 of 50,000 rows'")
    page.locator("#head button", has_text="completion").click()
    until(page, "document.querySelector('#rows .row').children[3].textContent.startsWith('10 is')")
    page.locator("#head button", has_text="step").click()
    page.evaluate("document.getElementById('scroller').scrollTop = 28 * 30000")
    until(page, "document.querySelector('#rows .row').children[3].textContent.startsWith('299')")
    assert 15 < page.locator("#rows .row").count() < 200
    assert tab.is_quiet()


def test_what_models_and_folders_say_does_nothing(tmp_path: Path, tab: Watched) -> None:
    folder = tmp_path / "<img src=x onerror=window.hacked=1>"
    words = " ".join(EVIL)
    written_run(
        folder,
        metrics=[
            {"step": s, "reward": 0.5, f"probe/{EVIL[1]}/avg@2": 0.5, f"probe/{EVIL[1]}/maj@2": 0.5} for s in (0, 1)
        ],
        alarms=[{**Alarm(1, words, EVIL, 0, words)._asdict(), "action": words}],
        batches=[(step, [["a", words[:75], None, 0.5, 0.5]]) for step in range(2)],
        rewards={"MajorityVoteReward": {"note": words}},
        completions=[completion(1, words, prompt=words, key=words, label=words), completion(1, EVIL[2])],
    )
    out = tmp_path / "page.html"
    assert main(["report", str(folder), "--out", str(out)]) == 0
    page = tab.open(out)
    for row in range(2):
        page.locator("#rows .row").nth(row).click()
        shown = page.locator("#chosen pre").last.inner_text()
        assert "<a href='http://evil.example/'>link</a>" in shown
        assert "\u202e" not in shown  # turns the order of letters
    assert "<script>window.hacked=1</script>" in hovered(page, "#grid", 0.5, 0.5)
    assert "<b>bold</b>" in hovered(page, ".chart .plot", across(page, ".chart .plot", 1), 0.05)
    assert page.evaluate("window.hacked") is None
    assert page.locator("a, #charts img, table img, #rows img, #rows b").count() == 0
    assert page.evaluate("document.querySelectorAll('svg a, svg image[href^=http]').length") == 0
    assert tab.is_quiet()


def test_data_cannot_leave_their_script_element() -> None:
    text = embedded({"a": list(EVIL)})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": list(EVIL)}
    page = render(report_data([]), "</title><script>")
    assert "<title>&lt;/title&gt;&lt;script&gt;" in page
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "connect-src 'none'" in policy
    assert "connect-src 'self'" in render(report_data([]), "x", live=True)
    assert len(re.findall(r"<script nonce=", page)) == len(re.findall(r"<script\b[^>]*>\s*[\"{/(]", page)) == 5


CONTRASTS = r"""() => {
  const parse = colour => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
    if (!own || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(node.tagName) || !node.getClientRects().length) continue;
    const svg = node instanceof SVGElement, style = getComputedStyle(node);
    const one = light(parse(svg ? style.fill : style.color)), two = light(behind(node));
    found.push([node.textContent.slice(0, 40), svg, (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("first", ["light", "dark"])
def test_both_colour_schemes_can_be_read(first: str, tmp_path: Path, tab: Watched) -> None:
    out = tmp_path / "page.html"
    assert main(["report", *many(tmp_path), "--out", str(out)]) == 0
    tab.page.emulate_media(color_scheme=first)
    page = tab.open(out)
    page.locator("#rows .row").first.click()
    papers = []
    for scheme in (first, "light" if first == "dark" else "dark"):  # the second while the page is open
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)
        contrasts = page.evaluate(CONTRASTS)
        assert sum(svg for _, svg, _ in contrasts) > 30, "text of charts"
        assert [entry for entry in contrasts if entry[2] < 4.5] == []
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] != papers[1]
    assert tab.is_quiet()
