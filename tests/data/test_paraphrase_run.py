"""The whole run with a deterministic writer: filters, retries, reports, a kill and a resume."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from selfrl.data.paraphrase.command import main
from selfrl.data.paraphrase.prompts import END, START
from selfrl.data.paraphrase.run import Paths, Settings, write_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.generation import Generation, Prompt, Sampling
from selfrl.models import TINY_MODEL

SETTINGS = Settings(source="test", writer="script", batch_size=2)


class Writer:
    """Rewrites by a rule, badly on demand: the problem's last word says what goes wrong, and on which attempts."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.asked: list[str] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        time.sleep(self.pause_s)
        return [
            [Generation(t, "stop", 1, 1)] * sampling.n if t is not None else []
            for t in (self.reply(p, sampling) for p in prompts)
        ]

    def reply(self, prompt: Prompt, sampling: Sampling) -> str | None:
        assert not isinstance(prompt, str)
        prompt = prompt[0]["content"]
        if "boxed" in prompt:  # the solver of the answer check
            return rf"\boxed{{{'1' if 'odd' in prompt and 'Somebody' in prompt else '2'}}}"
        problem = prompt.split("Problem:\n")[1]
        self.asked.append(problem)
        told = f"Somebody else: {problem}"
        fault = problem.split()[-1]
        if fault == "lost":
            return None
        if fault == "bare":
            return told
        if fault == "same":
            told = problem
        if fault == "wrong" or (fault == "late" and sampling.seed == 0):
            told += " 99"
        if fault == "long":
            told *= 3
        return f"{START}{told}{END}"

    def close(self) -> None:
        pass


def rows(*faults: str) -> list[dict[str, str]]:
    return [{"prompt": f"Problem about {i + 2} things {fault}", "answer": str(i)} for i, fault in enumerate(faults)]


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_problem_falls_to_its_filter_and_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    problems = rows("fine", "bare", "same", "wrong", "long", "late", "lost", "[asy]")
    report = write_pairs(problems, Writer(), SETTINGS, out)
    assert report == {
        "kept": 2,
        "failed": 1,
        "no_markers": 1,
        "diagram": 1,
        "identical": 1,
        "length": 1,
        "numbers": 1,
        "answers": 0,
    }
    assert json.loads(Paths(out).report.read_text()) == report
    kept = lines(out)
    assert [row["answer"] for row in kept] == ["0", "5"]
    assert kept[0]["paraphrase"] == "Somebody else: Problem about 2 things fine"
    assert {row["reason"] for row in lines(Paths(out).rejected)} == {
        "no_markers", "identical", "numbers", "length", "failed", "diagram",
    }  # fmt: skip


def test_attempts_stop_at_the_first_that_passes_and_diagrams_are_not_asked(tmp_path: Path) -> None:
    writer = Writer()
    write_pairs(rows("fine", "late", "wrong", "[asy]"), writer, SETTINGS, tmp_path / "pairs.jsonl")
    asked = [problem.split()[-1] for problem in writer.asked]
    assert (asked.count("fine"), asked.count("late"), asked.count("wrong"), asked.count("[asy]")) == (
        1,
        2,
        3,
        0,
    )


def test_answers_must_agree_if_asked_for(tmp_path: Path) -> None:
    settings = Settings(source="test", writer="script", check_answers=3)
    report = write_pairs(rows("fine", "odd"), Writer(), settings, tmp_path / "pairs.jsonl")
    assert (report["kept"], report["answers"]) == (1, 1)


def test_an_existing_file_that_is_no_output_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "notes.jsonl"
    out.write_text("precious")
    with pytest.raises(ValueError, match="is no output of this command"):
        write_pairs(rows("fine"), Writer(), SETTINGS, out)
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


class Splitter(Writer):
    """A solver that never agrees with itself, and one whose requests fail."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self.answers = answers

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        if "boxed" not in prompts[0][0]["content"]:  # type: ignore[index]
            return super().generate(prompts, sampling)
        return [[Generation(rf"\boxed{{{a}}}", "stop", 1, 1) for a in self.answers] for _ in prompts]


def test_agreement_wants_a_majority_and_failed_checks_are_failures(tmp_path: Path) -> None:
    settings = Settings(source="test", writer="script", check_answers=3)
    outcomes = {}
    for name, answers in {"split": "123", "majority": "112", "failed": ""}.items():
        report = write_pairs(rows("fine"), Splitter(answers), settings, tmp_path / f"{name}.jsonl")
        outcomes[name] = next(outcome for outcome, count in report.items() if count)
    assert outcomes == {"split": "answers", "majority": "kept", "failed": "failed"}


def test_equal_problems_get_ids_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    problem = rows("fine")[0]
    write_pairs([problem, problem], Writer(), SETTINGS, out)
    assert len({row["pair_id"] for row in lines(out)}) == 2


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    write_pairs(rows("fine"), Writer(), SETTINGS, out)
    with pytest.raises(ValueError, match="begun with another tries"):
        write_pairs(rows("fine"), Writer(), Settings(source="test", writer="script", tries=9, batch_size=2), out)


def test_a_torn_line_is_dropped_and_its_row_done_again(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    problems = rows("fine", "fine", "wrong", "fine")
    write_pairs(problems, Writer(), SETTINGS, out)
    whole = out.read_text()
    out.write_text(whole[:-20])
    writer = Writer()
    report = write_pairs(problems, writer, SETTINGS, out)
    assert out.read_text() == whole
    # the batch of the torn line is redone whole: one attempt for its pair, three for the problem that never passes
    assert (report["kept"], report["numbers"], len(writer.asked)) == (3, 1, 4)


KILLED = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import test_paraphrase_run as t
t.write_pairs(t.rows(*["fine", "wrong"] * 30), t.Writer(pause_s=0.05), t.SETTINGS, Path(sys.argv[1]))
"""


def test_a_killed_run_ends_with_the_rows_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    problems = rows(*["fine", "wrong"] * 30)
    write_pairs(problems, Writer(), SETTINGS, whole)
    code = KILLED.format(folder=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code, str(killed)]) as process:
        while len(lines(killed)) < 5 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert 5 <= len(lines(killed)) < 30
    report = write_pairs(problems, Writer(), SETTINGS, killed)
    assert killed.read_text() == whole.read_text()
    assert Paths(killed).rejected.read_text() == Paths(whole).rejected.read_text()
    assert report == json.loads(Paths(whole).report.read_text())


def test_the_command_runs_with_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tiny model writes no markers, so every problem falls to that filter, after as many tries as asked for."""
    data, out = tmp_path / "questions.jsonl", tmp_path / "pairs.jsonl"
    data.write_text("".join(json.dumps({"question": p.strip()}) + "\n" for p in tiny_problems("train", 5)["prompt"]))
    flags = [
        "--out",
        str(out),
        "--model",
        str(TINY_MODEL),
        "--max-tokens",
        "8",
        "--tries",
        "2",
        "--limit",
        "4",
    ]
    assert main([str(data), *flags]) == 0
    assert json.loads(Paths(out).report.read_text())["no_markers"] == 4
    assert "0 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere.jsonl", "--model", "no/such"], "does not exist"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--backend", "endpoint"], "give a base URL"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--question-column", "text"], "no column 'text'"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--tries", "0"], "at least 1"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--limit", "0"], "at least 1"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--top-p", "7"], "cannot be sampled"),
        (["tiny", "--split", "train[:3]", "--model", "x", "--min-length-ratio", "3"], "must not exceed"),
    ],
)
def test_bad_input_is_one_line_before_a_model_loads(
    flags: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main([*flags, "--out", str(tmp_path / "out.jsonl")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
