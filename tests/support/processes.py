"""A test's function on processes of its own: alone, to be killed, or two of them that form one distributed run."""

from __future__ import annotations

import inspect
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
GRACE_S = 5.0  # for the other process to say what it knows when one has failed


def in_a_process(function: Callable[..., Any], *arguments: Any, timeout: float = 280, returncode: int = 0) -> Any:
    """What a function returns in a new Python process, or None if the process is to end with another `returncode`.

    Args:
        function: at the top level of a test file.
        arguments: whatever can be pickled.
        timeout: seconds.
        returncode: the one that is expected; −9 is a process that was killed.
    """
    return _run([{}], function, arguments, timeout, returncode)[0]


def on_two_processes(function: Callable[..., Any], *arguments: Any, timeout: float = 280) -> list[Any]:
    """What a function returns on each of two processes, which find each other as under torchrun, on the CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [{**world, "RANK": rank, "LOCAL_RANK": rank, "ACCELERATE_USE_CPU": "1"} for rank in "01"]
    return _run(ranks, function, arguments, timeout, 0)


def _run(
    environments: list[dict[str, str]], function: Callable[..., Any], arguments: Any, timeout: float, returncode: int
) -> list[Any]:
    paths = [str(Path(inspect.getfile(function)).parent), str(TESTS), *os.environ.get("PYTHONPATH", "").split(":")]
    common = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        job, values, logs = Path(folder, "job"), [], []
        job.write_bytes(pickle.dumps((function, arguments)))
        processes = []
        try:
            for i, environment in enumerate(environments):
                values.append(Path(folder, f"value{i}"))
                logs.append(Path(folder, f"log{i}"))
                command = [sys.executable, "-m", "support.child", str(job), str(values[i])]
                with logs[i].open("w") as log:  # a file: nobody reads a pipe while the others run
                    env = {**common, **environment}
                    processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT))
            _wait(processes, timeout)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        said = "\n\n".join(log.read_text(errors="replace")[-3000:] for log in logs)
        assert [process.returncode for process in processes] == [returncode] * len(processes), said
        return [pickle.loads(path.read_bytes()) if path.exists() else None for path in values]


def _wait(processes: list[subprocess.Popen[bytes]], timeout: float) -> None:
    """Until all have ended, time is up, or one has failed and the others have not followed."""
    deadline = time.monotonic() + timeout
    failed = False
    while time.monotonic() < deadline:
        codes = [process.poll() for process in processes]
        if None not in codes:
            return
        if not failed and any(codes):
            failed = True
            deadline = min(deadline, time.monotonic() + GRACE_S)
        time.sleep(0.05)
