"""The pages are true: their Python runs, their files are read, their commands parse, their links lead somewhere."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import selfrl.rewards
from selfrl.cli import USAGE, main
from selfrl.compare.comparison import Comparison
from selfrl.eval.task import task_names
from selfrl.presets import PRESETS
from selfrl.recipe import find_recipe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "bash", "yaml"}
OTHERS = [["trl", "vllm-serve"]]  # commands of other packages


class Block(NamedTuple):
    """A fenced block, with the line that its code begins at."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text.count("\n", 0, m.start(2)) + 1) for m in found]


def commands(code: str) -> list[list[str]]:
    """Commands of a shell block, without comments.

    >>> commands("make test   # all\\nselfrl eval a \\\\\\n    --n 2")
    [['make', 'test'], ['selfrl', 'eval', 'a', '--n', '2']]
    """
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


class ParsedError(Exception):
    """Thrown in the place of what a command would do with its flags."""


def parse(argv: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a `selfrl` command as far as its flags are parsed; a training recipe as far as its plan is printed."""
    read = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        read(parser, *args, **kwargs)
        raise ParsedError

    assert argv[0] in re.findall(r"^  (\w+)", USAGE, re.MULTILINE)
    if argv[0] == "train" or (argv[0] == "evolve" and argv[1] != "show"):
        assert main([*argv, "--dry_run"]) == 0
    elif argv[0] == "doctor":
        assert len(argv) == 1
    else:
        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", stop)
            with pytest.raises(ParsedError):
                main(argv)
        if argv[0] == "compare":
            Comparison.read(find_recipe(argv[1]))


def check_command(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check one command of a page without doing what it does."""
    words = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    if words[:4] == ["accelerate", "launch", "-m", "selfrl.cli"]:
        words = ["selfrl", *words[4:]]
    if words[0] == "selfrl":
        parse(words[1:], monkeypatch)
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file()
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert words[2] == "-e"
        assert set(re.findall(r"[\w-]+", words[3].partition("[")[2])) <= set(extras)
    else:
        assert words[:2] in OTHERS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_true(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(page)
    assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(found)
    assert {block.language for block in found} <= LANGUAGES
    for block in found:
        if block.language == "yaml":
            name = re.match(r"# (\w+\.yaml)\n", block.code)
            assert name is not None, f"{page.name}:{block.line}: begin with the file's name, as in # mine.yaml"
            file = folder / name[1]
            file.write_text(block.code, encoding="utf-8")
            if "\narms:" in block.code:  # other files are read by the page's Python and commands
                comparison = Comparison.read(file)
                comparison.prepare(comparison.runs(folder / "arms", list(comparison.arms), [0]))
    space: dict[str, Any] = {"__name__": f"docs_{page.stem}"}
    for block in found:
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), space)
    for block in found:
        if block.language == "bash":
            for words in commands(block.code):
                check_command(words, monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        "selfrl evaluate tiny",
        "selfrl eval tiny",
        "selfrl train none.yaml",
        "selfrl train recipes/nft/tiny.yaml --lerning_rate 1",
        "selfrl compare none.yaml",
        "selfrl evolve none.yaml",
        "selfrl evolve recipes/nft/tiny.yaml",
        "selfrl compare recipes/nft/tiny.yaml",
        "python -m selfrl.none",
        "make tests",
        "pip install -e '.[evil]'",
        "ls",
    ],
)
def test_a_wrong_command_is_seen(words: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, SystemExit, ValueError)):
        check_command(shlex.split(words), monkeypatch)


def anchors(page: Path) -> set[str]:
    """What links may lead to, as GitHub names headings."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_somewhere() -> None:
    linked = set()
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.is_file(), f"{page.name} links to {link}"
            assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"
            if page.name == "README.md":
                linked.add(target)
    assert {page for page in PAGES if page.name != "README.md"} <= linked


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 130


def named(names: Sequence[str], page: str, form: Callable[[str], str] = "`{}`".format) -> list[str]:
    """Those of `names` that a page does not name."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [name for name in names if form(name) not in text]


def test_what_is_packaged_is_named() -> None:
    rewards = set(selfrl.rewards.__all__) - {"BaseReward", "PromptGroupReward"}
    recipes = [str(path.relative_to(ROOT / "recipes")) for path in (ROOT / "recipes").glob("*/*.yaml")]
    scripts = {"shopping/tiny.yaml", "boundary/tiny.yaml", "ssl4rl/tiny.yaml"}  # settings of the scripts beside them
    benchmarks = [path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")]
    assert not named(sorted(rewards), "README.md")
    assert not named(sorted(set(recipes) - scripts), "docs/recipes.md")
    assert not named(list(PRESETS), "docs/recipes.md")
    assert not named(task_names(), "docs/evaluation.md", "`{}".format)  # or `bbh:…`
    assert not named(benchmarks, "docs/performance.md", "python -m benchmarks.{}".format)
    inline = [c for page in PAGES for c in re.findall(r"`selfrl (\w+)", page.read_text(encoding="utf-8"))]
    assert set(inline) <= set(re.findall(r"^  (\w+)", USAGE, re.MULTILINE))
