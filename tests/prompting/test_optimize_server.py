"""Prompt optimisation over a real vLLM OpenAI server: protocol, concurrency, faults, tokens, a kill."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import KEY, Proxy, server_tokens, vllm_server
from three_roles import EVALUATE, GOOD, OPTIMIZE, TASK, make_model

from selfrl.generation.endpoint import EndpointGenerator
from selfrl.prompting import PromptOptimizer, Role, Run, Settings, read_run
from selfrl.prompting.requests import Templates

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
]
ROUNDS, SAMPLES = 5, 2


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    make_model(folder / "model")
    with vllm_server(folder / "model", folder / "server.log") as running:
        yield running


@pytest.fixture
def proxy(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("SELFRL_TEST_KEY", KEY)
    with Proxy(address) as running:
        yield running


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "words.yaml"
    path.write_text(TASK)
    (tmp_path / "optimize.j2").write_text(OPTIMIZE)
    (tmp_path / "evaluate.j2").write_text(EVALUATE)
    return path


def optimizer(job: Path, out: Path, endpoint: EndpointGenerator) -> PromptOptimizer:
    roles = {
        name: Role(endpoint, temperature=t, max_tokens=32)
        for name, t in (("optimizer", 0.7), ("executor", 0.0), ("evaluator", 0.3))
    }
    settings = Settings(rounds=ROUNDS, samples=SAMPLES, heldout=3)
    return PromptOptimizer(job, out, **roles, settings=settings, templates=Templates(OPTIMIZE, EVALUATE))


def check(run: Run) -> None:
    """What must hold of every whole run with this model, whose verdicts and outputs are known."""
    assert run.done
    assert run.rounds[0].usage["executor"].calls == SAMPLES
    for r in run.rounds[1:]:
        calls = {name: usage.calls for name, usage in r.usage.items()}
        if r.outcome in ("won", "lost", "tied", "no verdict"):
            assert calls == {"optimizer": 1, "executor": SAMPLES, "evaluator": 4}
        else:
            assert r.outcome in ("no prompt", "same prompt")
            assert calls == {"optimizer": 1}
        if r.prompt is not None and r.answers is not None:
            assert [a.text for a in r.answers if a is not None] == [r.prompt.split()[2]] * SAMPLES
    assert run.best_prompt.split()[2] in GOOD
    assert run.heldout is not None
    assert (run.heldout.won, run.heldout.lost) == (3, 0)


def tokens(run: Run) -> tuple[int, int]:
    usage = run.usage.values()
    return sum(u.prompt_tokens for u in usage), sum(u.completion_tokens for u in usage)


def test_faults_are_ridden_out_and_tokens_are_the_servers(
    proxy: Proxy, address: str, job: Path, tmp_path: Path
) -> None:
    proxy.faults = ["", "429", "500", "", "cut", "slow", "", "", "503", "cut", "", "429"]
    faults = sum(bool(fault) for fault in proxy.faults)
    endpoint = EndpointGenerator("roles", proxy.url, "SELFRL_TEST_KEY", concurrency=3, timeout_s=2)
    before = server_tokens(address)
    run = optimizer(job, tmp_path / "run", endpoint).run()
    after = server_tokens(address)
    check(run)
    usage = endpoint.usage
    calls = sum(u.calls for u in run.usage.values())
    assert (usage.retries, usage.failures) == (faults, 0)
    assert usage.requests == proxy.requests == calls + faults
    assert tokens(run) == (after[0] - before[0], after[1] - before[1])
    assert tokens(run) == (usage.prompt_tokens, usage.completion_tokens)


def test_calls_run_beside_each_other_within_bounds(proxy: Proxy, job: Path, tmp_path: Path) -> None:
    proxy.delay = 0.3
    endpoint = EndpointGenerator("roles", proxy.url, "SELFRL_TEST_KEY", concurrency=2)
    run = optimizer(job, tmp_path / "run", endpoint).run()
    check(run)
    assert proxy.most_at_once == 2
    asked = [body["messages"] for body in proxy.bodies]
    assert {len(messages) for messages in asked} == {1, 2}  # requests; a question under its prompt
    assert {body["temperature"] for body in proxy.bodies} == {0.7, 0.0, 0.3}


def command(job: Path, out: Path, proxy: Proxy) -> list[str]:
    flags = [f"--base-url={proxy.url}", "--api-key-env=SELFRL_TEST_KEY", f"--out={out}", f"--rounds={ROUNDS}"]
    flags += ["--backend=endpoint", "--model=roles", f"--samples={SAMPLES}", "--heldout=3", "--max-tokens=32"]
    templates = [f"--optimizer-template={job.parent}/optimize.j2", f"--evaluator-template={job.parent}/evaluate.j2"]
    return [sys.executable, "-m", "selfrl.cli", "optimize", str(job), *flags, *templates]


def without_seconds(run: Run) -> Any:
    for r in run.rounds:
        r.seconds = 0.0
    return run


def test_a_killed_run_goes_on_and_the_key_is_nowhere(proxy: Proxy, job: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    printed = subprocess.run(command(job, whole, proxy), check=True, capture_output=True, text=True, timeout=200)
    expected = without_seconds(read_run(whole))
    check(expected)
    requests, proxy.requests, proxy.delay = proxy.requests, 0, 0.5
    with subprocess.Popen(command(job, killed, proxy), start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not _has_judged(killed) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    reached = read_run(killed)
    assert not reached.done
    spent = proxy.requests
    proxy.delay = 0.0
    again = subprocess.run(command(job, killed, proxy), check=True, capture_output=True, text=True, timeout=200)
    assert without_seconds(read_run(killed)) == expected
    assert 0 < spent < requests
    assert proxy.requests - requests <= 4  # at most the calls under way were made again
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    shown = [text.encode() for done in (printed, again) for text in (done.stdout, done.stderr)]
    assert not [text for text in left + shown if KEY.encode() in text]
    assert json.loads((killed / "results.json").read_text())["begun"]["roles"]["executor"]["api_key_env"]


def _has_judged(out: Path) -> bool:
    return (out / "results.json").exists() and any(r.comparison for r in read_run(out).rounds)
