"""A child process that can be killed: the only place where model text meets a symbolic parser."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

START_LIMIT_S = 30.0  # importing math-verify on a busy machine
STALL_LIMIT_S = 1.0  # one parse or one comparison


@dataclass
class WorkerCounts:
    """What went wrong so far: operations that stalled and were killed, and children that died by themselves."""

    stalled: int = 0
    crashed: int = 0


class _StalledError(Exception):
    """The child was killed, or died, during the operation on these keys."""

    def __init__(self, culprits: tuple[int, ...]) -> None:
        super().__init__(culprits)
        self.culprits = culprits


class SymbolicWorker:
    """Clusters keys by mathematical equality in one child process, started at first use and after each kill.

    A key or pair on which the child stalls is left out and the rest tried again, within the budget. Safe to call
    from several threads; a forked process starts a child of its own.
    """

    def __init__(self) -> None:
        self.counts = WorkerCounts()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._buffer = b""

    def cluster(self, keys: Sequence[str], budget_s: float) -> list[int]:
        """For each key the index of the first key it equals; -1 if it could not be read in time.

        The budget starts when the child is ready. Several keys that stall can exceed it by one stall limit.
        """
        with self._lock:
            self._start()
            deadline = time.monotonic() + budget_s
            labels = [-1] * len(keys)
            left = list(range(len(keys)))
            while left and time.monotonic() < deadline:
                try:
                    found = self._ask([keys[i] for i in left], deadline)
                except _StalledError as stalled:
                    # the later key of a pair goes: the earlier one has been parsed and compared before
                    culprit = left[max(stalled.culprits)] if stalled.culprits else left[0]
                    left.remove(culprit)
                    self._start()
                    continue
                for i, label in zip(left, found, strict=True):
                    labels[i] = left[label] if label >= 0 else -1
                break
            return labels

    def close(self) -> None:
        """End the child."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None
        self._buffer = b""

    def _start(self) -> None:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "selfrl.answers._child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._owner = os.getpid()
        if self._read_line(time.monotonic() + START_LIMIT_S) != b"ready":
            self.close()
            raise RuntimeError("The grading child did not start: check that math-verify imports (`selfrl doctor`).")

    def _ask(self, keys: list[str], deadline: float) -> list[int]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        budget = max(deadline - time.monotonic(), 0.0)
        doing: tuple[int, ...] = ()
        try:
            process.stdin.write(json.dumps({"keys": keys, "budget_s": budget}).encode() + b"\n")
            process.stdin.flush()
            while True:
                line = self._read_line(time.monotonic() + STALL_LIMIT_S)
                if line.startswith(b"{"):
                    labels: list[int] = json.loads(line)["labels"]
                    return labels
                doing = tuple(int(word) for word in line.split()[1:])
        except TimeoutError as error:
            self.counts.stalled += 1
            self.close()
            raise _StalledError(doing) from error
        except (EOFError, BrokenPipeError) as error:
            self.counts.crashed += 1
            self.close()
            raise _StalledError(doing) from error

    def _read_line(self, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                raise TimeoutError
            chunk = os.read(fd, 65536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


WORKER = SymbolicWorker()
atexit.register(WORKER.close)
