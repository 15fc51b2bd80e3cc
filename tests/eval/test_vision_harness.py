"""lmms-eval is a program of another environment: what it is told, what is read back, and what it does when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfrl.cli import main
from selfrl.eval import Settings
from selfrl.eval.report import harness_row
from selfrl.eval.vision_harness import PYTHON, arguments, check_vision_harness, result_rows, run_vision_harness

# what lmms-eval 0.7.3 wrote for a task of one's own, with its dummy model
WRITTEN = {
    "results": {
        "colour": {
            "alias": "colour",
            "exact_match,none": 0.5,
            "exact_match_stderr,none": 0.25,
            "exact_match_stderr_clt,none": 0.25,
            "exact_match_stderr_clustered,none": "N/A",
        }
    },
    "n-samples": {"colour": {"original": 2, "effective": 2}},
}


def python(folder: Path, script: str) -> str:
    """A stand-in for the Python that has lmms-eval, for faults."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_its_results_are_rows_of_the_table() -> None:
    (row,) = result_rows(WRITTEN)
    assert (row["task"], row["metric"], row["value"], row["stderr"], row["questions"]) == (
        "colour",
        "exact_match",
        0.5,
        0.25,
        2,
    )
    assert harness_row(row)[:3] == ["lmms_eval:colour exact_match", "2", "50.0"]


def test_the_back_end_decides_its_model() -> None:
    told = arguments("Qwen/Qwen2.5-VL-3B-Instruct", ["mmbench_en_dev", "mmvp"], Settings(backend="vllm"), "out")
    assert told[told.index("--tasks") + 1] == "mmbench_en_dev,mmvp"
    server = Settings(backend="endpoint", base_url="http://x/v1", system_prompt="Look.", shots=2)
    told = arguments("m", ["mmvp"], server, "out", Path("more"))
    assert told[1] == "async_openai"
    assert told[3] == "model_version=m,base_url=http://x/v1"
    assert told[told.index("--system_instruction") + 1] == "Look."
    assert told[told.index("--num_fewshot") + 1] == "2"
    assert told[told.index("--include_path") + 1] == "more"


def test_without_it_a_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(PYTHON, str(tmp_path / "nowhere"))
    assert main(["eval", "tiny", "--tasks", "lmms_eval:mmvp", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("selfrl eval: lmms_eval:mmvp: lmms-eval is not there.")
    assert PYTHON in said
    monkeypatch.setenv(PYTHON, python(tmp_path, "exit 0"))
    with pytest.raises(ValueError, match="give --base-url"):
        check_vision_harness(["mmvp"], Settings(backend="endpoint"))


def test_a_failure_is_told_in_its_own_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It ends with status 0 after most failures, and writes nothing."""
    for status in (0, 1):
        script = f'[ "$1" = -c ] && exit 0\necho "no GPU here"\nexit {status}'
        monkeypatch.setenv(PYTHON, python(tmp_path, script))
        with pytest.raises(ValueError, match=r"lmms-eval failed \(no GPU here\)"):
            run_vision_harness("tiny", ["mmvp"], Settings())
