"""The live page: what grows with the run, and whom it answers."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browsing import until
from support.written_runs import written_run

from selfrl.report.live_server import LivePage, live_server


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written_run(tmp_path / "run", metrics=[{"step": 1, "reward": 0.5}])


@pytest.fixture
def port(run: Path) -> Iterator[int]:
    with live_server(LivePage([run], "run")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, path: str = "/data.json", method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def log(run: Path, text: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(text)


def test_the_data_grow_with_the_run(run: Path, port: int) -> None:
    status, headers, body = ask(port)
    assert (status, json.loads(body)["charts"][0]["curves"][0]["y"]) == (200, [0.5])
    assert ask(port, If_None_Match=headers["ETag"])[::2] == (304, b"")
    log(run, '{"step": 2, "reward": 0.75}\n{"step": 3, "rew')  # a line that is being written
    status, later, body = ask(port, If_None_Match=headers["ETag"])
    assert (status, json.loads(body)["charts"][0]["curves"][0]["y"]) == (200, [0.5, 0.75])
    assert later["ETag"] != headers["ETag"]
    status, headers, body = ask(port, "/")
    assert status == 200
    assert b"connect-src 'self'" in body
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "127.0.0.1.evil:{port}", ""]
)
def test_a_request_under_another_name_is_refused(host: str, port: int) -> None:
    for path in ("/", "/data.json"):
        status, _, body = ask(port, path, Host=host.format(port=port))
        assert status == 403
        assert b"reward" not in body
    assert ask(port, Host=f"localhost:{port}")[0] == 200


def test_nothing_else_is_served(run: Path, port: int) -> None:
    for path in ("/metrics.jsonl", "/../run/metrics.jsonl", "/data.json/", f"{run}/metrics.jsonl"):
        assert ask(port, path)[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(port, method=method)[0] == 501


def test_a_damaged_file_is_told_and_the_server_goes_on(run: Path, port: int) -> None:
    (run / "run.json").write_text('{"recipe"')
    status, _, body = ask(port)
    assert (status, b"run.json is damaged" in body) == (503, True)
    (run / "run.json").unlink()
    assert ask(port)[0] == 200


def test_the_command_prints_its_address_and_ends_with_ctrl_c(run: Path) -> None:
    command = [sys.executable, "-m", "selfrl.cli", "report", "--live", str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found is not None
        assert ask(int(found[1]))[0] == 200
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_the_page_follows_the_run(run: Path, port: int, browser: Any) -> None:
    page = browser.new_page()
    faults: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    points = "document.querySelector('.chart .plot')?.data?.[0].y.length"
    until(page, f"{points} === 1")
    page.locator("#legend input").uncheck()
    log(run, '{"step": 2, "reward": 0.75, "entropy": 0.1}\n')
    until(page, "document.querySelectorAll('.chart').length === 2")
    page.locator("#legend input").check()  # what was hidden stayed hidden
    until(page, f"{points} === 2")
    assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in asked)
    assert faults == []
    page.close()
