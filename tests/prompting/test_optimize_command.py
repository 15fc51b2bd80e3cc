"""`selfrl optimize` on the packaged model, and what it refuses before a model loads."""

import json
import re
from pathlib import Path

import pytest
from three_roles import TASK

from selfrl.cli import main


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "words.yaml"
    path.write_text(TASK)
    return path


def test_the_packaged_model_writes_no_prompt_and_is_told_so(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["optimize", str(job), "--model", "tiny", "--max-tokens", "12", "--rounds", "3", "--samples", "2"]
    # the packaged model reads 256 tokens: the default request is longer
    short = tmp_path / "short.j2"
    short.write_text("Improve {{ prompt }}")
    flags = ["--out", str(out), "--optimizer-template", str(short)]
    assert main([*command, *flags]) == 0
    printed = capsys.readouterr().out
    assert "No prompt was found that is better" in printed
    assert "no prompt" in printed
    results = json.loads((out / "results.json").read_text())
    assert [r["outcome"] for r in results["rounds"]] == ["start", "no prompt", "no prompt"]
    assert results["usage"]["optimizer"]["calls"] == 2
    assert results["usage"]["optimizer"]["completion_tokens"] <= 24
    assert results["begun"]["roles"]["executor"]["model"] == "tiny"
    assert "under way" not in (out / "results.html").read_text()
    assert main([*command, *flags]) == 0  # finished: goes on to nothing
    assert json.loads((out / "results.json").read_text()) == results
    assert main([*command, *flags, "--seed", "1"]) == 2
    assert "began with another settings.seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "has no model: name one with --model"),
        ("--model tiny --optimizer modell=x", "Unknown key `modell` after --optimizer: did you mean `model`"),
        ("--model tiny --executor temperature=hot", "temperature after --executor is 'hot': it must be a number"),
        ("--model tiny --executor temperature", "--executor takes KEY=VALUE"),
        ("--model tiny --executor backend=vlm", "did you mean `vllm`"),
        ("--model tiny --rounds 0", "rounds is 0"),
        ("--model tiny --concurrency 0", "must be 1 or more"),
        ("--model tiny --evaluator backend=endpoint api_key_env=SELFRL_NO_KEY", "SELFRL_NO_KEY holds no key"),
        ("--model tiny --evaluator-template none.j2", "none.j2 does not exist"),
        ("--model tiny --max-tokens 0", "max_tokens"),
        ("--model tiny --optimizer price_in=-1", "price is negative"),
        ("--model /no/such/model", "/no/such/model"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    job: Path, tmp_path: Path, flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["optimize", str(job), "--out", str(out), *flags.split()]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert re.search(message, error[0])
    assert not out.exists()


def test_a_template_that_names_what_is_not_there_is_refused(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.j2").write_text("{{ secret }}")
    flags = ["--model", "tiny", "--evaluator-template", str(tmp_path / "t.j2"), "--out", str(tmp_path / "run")]
    assert main(["optimize", str(job), *flags]) == 2
    assert "'secret' is undefined; it may name requirements, examples" in capsys.readouterr().err
