"""System prompts: where they stand, what they change, and two of them compared on the packaged model."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

import selfrl.eval.evaluation
import selfrl.eval.running
from selfrl.cli import main
from selfrl.eval import Settings, load_tasks
from selfrl.eval.evaluation import NoCompletionsError, run_job
from selfrl.eval.flags import control_job
from selfrl.eval.jobs import Job, job, plan
from selfrl.eval.task import Style
from selfrl.eval.two_prompts import prompts_page
from selfrl.models import model_path
from selfrl.prompting.run_record import Round, Run, write_run

BRACES = "Give {{ question }} in \\boxed{}.\n\n{% if %} {0} $x_{1}$ {#"
BEFORE, AFTER = "Give the answer in \\boxed{}.", "Add."  # the tiny model is right on few and on some, both by chance
WRITTEN = ["report.md", "results.json", "samples", "samples.html"]
FLAGS = ["--tasks", "tiny_problems", "--limit", "20", "--n", "2", "--temperature", "1.0", "--max-tokens", "40"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("prompts")
    for name, prompt in (("before.txt", BEFORE), ("after.txt", AFTER)):
        (folder / name).write_text(prompt)
    return str(folder / "before.txt"), str(folder / "after.txt")


@pytest.mark.parametrize("style", ["chat", "base"])
def test_the_setting_replaces_the_tasks_own_system_prompt(style: Style) -> None:
    (task,) = load_tasks("tiny_problems")
    own = replace(task, chat=replace(task.chat, system="Own."), base=replace(task.base, system="Own."))
    asked = job(own, style, Settings(limit=3, system_prompt=BRACES))
    assert asked.facts()["system"] == BRACES
    for question in asked.questions.questions:
        texts = [BRACES, question.text] if style == "chat" else f"{BRACES}\n\n{question.text}"
        prompt = question.prompt
        assert texts == (prompt if isinstance(prompt, str) else [message["content"] for message in prompt])
    assert job(own, style, Settings(limit=3)).facts()["system"] == "Own."


@pytest.mark.parametrize("style", ["chat", "base"])
def test_only_the_hash_of_the_prompts_changes(style: Style) -> None:
    (task,) = load_tasks("tiny_problems")
    plain, one, two = (job(task, style, Settings(limit=3, system_prompt=p)).facts() for p in (None, "One.", "Two."))
    assert plain["data_hash"] == one["data_hash"] == two["data_hash"]
    assert len({facts["prompts_hash"] for facts in (plain, one, two)}) == 3
    assert (plain["system"], one["system"]) == (None, "One.")


def test_the_control_is_asked_with_it_too() -> None:
    pytest.importorskip("reasoning_gym")
    settings = Settings(limit=3, shots=0, system_prompt=BRACES)
    like = plan("tiny", ["tiny_problems"], settings)[0]
    control = control_job(2, like, settings)
    assert all(str(question.prompt).startswith(f"{BRACES}\n\n") for question in control.questions.questions)


def test_a_blank_system_prompt_is_refused() -> None:
    for blank in ("", " \n"):
        with pytest.raises(ValueError, match="The system prompt is blank"):
            Settings(system_prompt=blank)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}",
        "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
    ],
)
def test_a_chat_template_that_hides_it_is_refused(template: str, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_path("tiny"))
    for name, text in (("hides", template), ("shows", "{% for m in messages %}{{ m.content | trim }}{% endfor %}")):
        tokenizer.chat_template = text
        tokenizer.save_pretrained(tmp_path / name)
    hides, shows = str(tmp_path / "hides"), str(tmp_path / "shows")
    asked = Settings(limit=1, system_prompt=f"{BRACES}\n")
    with pytest.raises(ValueError, match=r"chat template of .*hides takes no system prompt"):
        plan(hides, ["tiny_problems"], asked)
    assert plan(shows, ["tiny_problems"], asked)[0].style == "chat"
    assert plan(hides, ["tiny_problems"], replace(asked, style="base"))[0].style == "base"
    assert plan(hides, ["tiny_problems"], replace(asked, system_prompt=None))[0].style == "chat"


@pytest.mark.slow
def test_two_prompts_are_compared_by_question(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    load = selfrl.eval.evaluation.load_generator

    def counted(backend: Any, model: str, **options: Any) -> Any:
        opened.append(model)
        return load(backend, model, **options)

    monkeypatch.setattr(selfrl.eval.evaluation, "load_generator", counted)
    monkeypatch.setenv("COLUMNS", "200")
    before, after = files
    out, cache = tmp_path / "out", ["--cache", str(tmp_path / "cache.sqlite")]
    command = ["eval", "prompts", "tiny", after, "--against", before, *FLAGS, "--control", "0", "--out", str(out)]
    assert main([*command, *cache]) == 0
    assert opened == [model_path("tiny")]
    printed = capsys.readouterr().out

    entries, shares = [], []
    for side, prompt in (("before", BEFORE), ("after", AFTER)):
        assert sorted(path.name for path in (out / side).iterdir()) == WRITTEN
        entries.append(json.loads((out / side / "results.json").read_text())["tasks"]["tiny_problems"])
        assert entries[-1]["system"] == prompt
        rows = pq.read_table(out / side / "samples" / "tiny_problems.parquet").to_pylist()
        assert len(rows) == 40
        assert all(row["prompt"] == f"{prompt}\n\n{row['text']}" for row in rows)
        shares.append([fmean(bool(row["correct"]) for row in rows if row["question"] == i) for i in range(20)])
    assert entries[0]["data_hash"] == entries[1]["data_hash"]
    first, second = (entry["scores"]["avg"] for entry in entries)
    assert (first, second) == (pytest.approx(fmean(shares[0])), pytest.approx(fmean(shares[1])))
    assert first != second

    found = re.search(r"^ *tiny_problems +20 +(\S+) +(\S+) +(\S+) +(\S+) to (\S+) +(\S+) +(\d+) +(\d+)", printed, re.M)
    assert found is not None
    cells = found.groups()
    assert cells[:3] == (f"{100 * first:.1f}", f"{100 * second:.1f}", f"{100 * (second - first):+.1f}")
    low, high, p_value = map(float, cells[3:6])
    assert low < 100 * (second - first) < high
    assert 0 <= p_value <= 1
    changes = [b - a for a, b in zip(*shares, strict=True)]
    assert (int(cells[6]), int(cells[7])) == (sum(c > 0 for c in changes), sum(c < 0 for c in changes))
    assert re.search(r"task +questions +before +after +change +95 % +p +better +worse", printed)

    page = (out / "prompts.md").read_text()
    row = f"| tiny_problems | 20 | {' | '.join(cells[:3])} | {cells[3]} to {cells[4]} | {' | '.join(cells[5:])} |"
    assert row in page.splitlines()
    assert page.endswith(f"## before\n\n    {BEFORE}\n\n## after\n\n    {AFTER}\n")

    assert main(["eval", "compare", str(out / "before"), str(out / "after")]) == 0
    again = capsys.readouterr().out.splitlines()
    assert found[0].split() in [line.split() for line in again]
    alone_at = ["--control", "0", "--out", str(tmp_path / "one")]
    assert main(["eval", "tiny", "--prompt", after, *FLAGS, *alone_at, *cache]) == 0
    alone = json.loads((tmp_path / "one" / "results.json").read_text())["tasks"]["tiny_problems"]
    assert {**alone, "seconds": 0} == {**entries[1], "seconds": 0}


def write_prompts(folder: Path, initial: str, best: str | None) -> str:
    """A run of two rounds, the second of which won if it has a prompt."""
    second = Round(2, outcome="no prompt") if best is None else Round(2, prompt=best, outcome="won")
    rounds = [Round(1, prompt=initial, outcome="start"), second]
    write_run(folder, Run(begun={"task": {"prompt": initial}}, samples=[0], rounds=rounds))
    return str(folder)


def test_a_run_gives_both_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = write_prompts(tmp_path / "run", BEFORE, AFTER), tmp_path / "out"
    flags = ["--tasks", "tiny_problems", "--limit", "3", "--n", "1", "--control", "0"]
    written = ["--cache", str(tmp_path / "cache.sqlite"), "--out", str(out)]
    assert main(["eval", "prompts", "tiny", run, *flags, *written]) == 0
    for side, prompt in (("before", BEFORE), ("after", AFTER)):
        entry = json.loads((out / side / "results.json").read_text())["tasks"]["tiny_problems"]
        assert entry["system"] == prompt
    assert main(["eval", "tiny", "--prompt", run, *flags, *written]) == 0
    assert json.loads((out / "results.json").read_text())["tasks"]["tiny_problems"]["system"] == AFTER
    capsys.readouterr()
    same = write_prompts(tmp_path / "same", BEFORE, None)
    assert main(["eval", "prompts", "no/such/model", same, *flags]) == 2
    assert "is the same before and after" in capsys.readouterr().err


def test_a_prompt_without_completions_leaves_nothing_to_compare(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mute(item: Job, *rest: Any) -> Any:
        if item.facts()["system"] == AFTER:
            raise NoCompletionsError("No completions.")
        return run_job(item, *rest)

    monkeypatch.setattr(selfrl.eval.running, "run_job", mute)
    flags = ["--tasks", "tiny_problems", "--limit", "2", "--n", "1", "--control", "0", "--out", str(tmp_path / "out")]
    cache = ["--cache", str(tmp_path / "cache.sqlite")]
    assert main(["eval", "prompts", "tiny", files[1], "--against", files[0], *flags, *cache]) == 1
    assert "Nothing can be compared" in capsys.readouterr().out
    assert not (tmp_path / "out" / "prompts.md").exists()


def test_the_page_shows_a_prompt_as_it_is() -> None:
    prompt = "Add.\n\n```\n# {x}\n```"
    page = "\n".join(prompts_page("tiny", [], (prompt, "Add.")))
    assert "## before\n\n    Add.\n\n    ```\n    # {x}\n    ```\n\n## after\n\n    Add." in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("prompts no/such/model AFTER --against AFTER --tasks tiny_problems", "same before and after: name another"),
        ("prompts no/such/model AFTER --against BEFORE --tasks lm_eval:ifeval", "Only tasks of selfrl's own"),
        ("prompts tiny AFTER --against BEFORE --tasks gsm8", "did you mean `gsm8k`"),
        ("prompts tiny AFTER --against BLANK --tasks tiny_problems", "blank|empty"),
        ("prompts tiny AFTER --against nowhere.txt --tasks tiny_problems", r"nowhere\.txt"),
        ("prompts tiny nowhere --tasks tiny_problems", "nowhere"),
        ("prompts tiny AFTER --tasks tiny_problems", r"after\.txt is a text file, not a run"),
        ("no/such/model --prompt nowhere.txt --tasks tiny_problems", r"nowhere\.txt"),
        ("no/such/model --prompt BLANK --tasks tiny_problems", "blank|empty"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    arguments: str, message: str, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "blank.txt").write_text(" \n")
    places = {"BEFORE": files[0], "AFTER": files[1], "BLANK": str(tmp_path / "blank.txt")}
    assert main(["eval", *(places.get(word, word) for word in arguments.split()), "--control", "0"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert re.search(message, error[0])
