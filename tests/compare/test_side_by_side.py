"""Processes side by side: how many, what becomes of them, and that none outlives who asked for it."""

import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from selfrl.compare.side_by_side import KEEP_MEMORY, at_once, end_with_parent, side_by_side, start_server

FOLDER = Path(__file__).parent

# A run whose parent is killed. Without `start_server`, which would import everything there is.
PARENT = """
import multiprocessing, sys
from pathlib import Path
from selfrl.compare.side_by_side import side_by_side
from test_side_by_side import sleeper
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    list(side_by_side(context, sleeper, {"run": (Path(sys.argv[1]),)}, 1, lambda running: None))
"""


def sleeper(begun: Path) -> None:
    end_with_parent()
    begun.write_text(str(os.getpid()))
    time.sleep(200)


def leave(folder: Path, name: str, status: int) -> None:
    settings = {key: os.environ.get(key) for key in KEEP_MEMORY}
    assert settings == KEEP_MEMORY
    assert "selfrl.training" in sys.modules  # loaded before this process was forked
    (folder / f"{name}.begun").touch()
    time.sleep(0.3)
    (folder / f"{name}.ended").touch()
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(condition: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.05)


@pytest.mark.slow
def test_so_many_run_at_a_time_and_every_end_is_told(tmp_path: Path) -> None:
    most = []

    def tick(running: Collection[str]) -> None:
        begun, ended = (len(list(tmp_path.glob(f"*.{what}"))) for what in ("begun", "ended"))
        most.append((len(running), begun - ended))

    calls = {name: (tmp_path, name, status) for name, status in (("a", 0), ("b", 3), ("c", -9), ("d", 0), ("e", 0))}
    ends = dict(side_by_side(start_server(), leave, calls, 2, tick))
    assert ends == {"a": 0, "b": 3, "c": -9, "d": 0, "e": 0}
    assert max(running for running, _ in most) == 2
    assert max(busy for _, busy in most) <= 2


def test_a_run_ends_when_the_process_that_asked_for_it_is_killed(tmp_path: Path) -> None:
    begun, script = tmp_path / "begun", tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    parent = subprocess.Popen([sys.executable, str(script), str(begun)], env=environment)
    until(lambda: begun.exists() and begun.read_text(), 100)
    pid = int(begun.read_text())
    assert alive(pid)
    parent.kill()
    parent.wait()
    until(lambda: not alive(pid), 20)
    assert not alive(pid)


def test_runs_fill_the_cores() -> None:
    for cores in (1, 2, 4, 8, 64):
        for runs in range(1, 200):
            jobs = at_once(runs, cores)
            assert min(runs, cores) <= jobs < 2 * cores
            rounds = max(runs // cores, 1)
            assert jobs * rounds >= runs > (jobs - 1) * rounds
