"""A child process that can be killed: the only place where model text meets a symbolic parser."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from selfrl.answers.kinds import could_be_equal
from selfrl.answers.limits import CLOCK_FACTOR

START_LIMIT_S = 60.0  # importing math-verify on a busy machine
MAX_EXPRESSION = 300  # characters; a longer key is not handed to the parser
STALLS = 2  # after so many a key is not read, or a pair not compared, again
STALL_LIMIT_S = 0.4  # of processor time, one reading or comparison
GRACE_S = 1.0  # what the child may take beyond an operation's limit before the whole child is killed
# With this process's own search path, so that both import the same selfrl.
_CHILD = """import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from selfrl.answers._child import main
main()
"""


@dataclass
class WorkerCounts:
    """What went wrong so far: operations that ran out of time, and child processes that died by themselves."""

    timeouts: int = 0
    crashes: int = 0


class _ChildDiedError(Exception):
    """The child, or its grader, died during the operation on these keys."""

    def __init__(self, culprits: tuple[int, ...]) -> None:
        super().__init__(culprits)
        self.culprits = culprits


class Clusters(NamedTuple):
    """Keys by what they equal.

    Args:
        labels: for each key the index of the first key that it equals; its own if it equals none.
        undecided: pairs (i, j) of first keys, i < j, of which it could not be told whether they are equal.
    """

    labels: list[int]
    undecided: frozenset[tuple[int, int]]


class SymbolicWorker:
    """Clusters keys by mathematical equality in a child process, started at first use and after each death.

    What stalls is killed, and the others go on, within the budget; no single operation may take more than 0.4 s or a
    quarter of the budget in processor time, or two and a half times that on the clock. A key over 300 characters, one
    that has stalled the parser twice or stalls with several others, or a pair that has stalled the comparison twice, is
    not tried: it stays undecided. Safe to call from several threads; a forked process starts a child of its own.
    `counts` tells what went wrong.
    """

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self) -> None:
        self.counts = WorkerCounts()
        self._stalls: Counter[tuple[str, ...]] = Counter()
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def cluster(self, keys: Sequence[str], budget_s: float) -> Clusters:
        """Which keys are equal, as far as that can be told within `budget_s` seconds from when the child is ready.

        Raises:
            RuntimeError: if the child does not start.
        """
        with self._lock:
            self._start()
            deadline = time.monotonic() + budget_s
            unread = {i for i, key in enumerate(keys) if len(key) > MAX_EXPRESSION or self._stalls[key,] >= STALLS}
            labels: list[int | None] = [i if i in unread else None for i in range(len(keys))]
            pairs = self._doubtful(keys, unread)
            stalled: Counter[int] = Counter()
            while None in labels and time.monotonic() < deadline:
                try:
                    self._ask(keys, labels, pairs, deadline, min(STALL_LIMIT_S, budget_s / 4))
                    break
                except _ChildDiedError as death:
                    doing = death.culprits or (labels.index(None),)
                    # in a comparison either key may be to blame: the pair is remembered, not one of them
                    self._stalls[tuple(keys[i] for i in doing)] += 1
                    stalled.update(doing)
                    if len(doing) == 2:
                        pairs.add((doing[0], doing[1]))
                    # unless it stalls with others too: then it is left alone, and they have the rest of the budget
                    left = {i for i in doing if len(doing) == 1 or stalled[i] >= STALLS}
                    for i in left:
                        labels[i] = i
                    unread |= left
                    pairs |= self._doubtful(keys, unread)
                    self._start()
            unread |= {i for i, label in enumerate(labels) if label is None}
            found = [i if label is None else label for i, label in enumerate(labels)]
            pairs |= self._doubtful(keys, unread)
            return Clusters(found, frozenset((i, j) for i, j in pairs if found[i] == i and found[j] == j))

    def _doubtful(self, keys: Sequence[str], unread: Collection[int]) -> set[tuple[int, int]]:
        """Pairs that will not be compared, although their spelling leaves open that they are equal."""
        return {
            (i, j)
            for i, j in combinations(range(len(keys)), 2)
            if (i in unread or j in unread or self._stalls[keys[i], keys[j]] >= STALLS)
            and could_be_equal(keys[i], keys[j])
        }

    def close(self) -> None:
        """End the child."""
        process = self._process
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(0.2)  # an idle child ends by itself when its input does
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None
        self._ready = False
        self._buffer = b""

    def _forget(self) -> None:
        """Forget the child, which belongs to the process that forked this one."""
        if self._process is not None:
            self._process.returncode = 0  # nothing for this process to wait for
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._lock = threading.Lock()
        self._process = None
        self._ready = False
        self._buffer = b""

    def _start(self) -> None:
        """Have a grader ready: the one that waits, the next one of a living child, or a new child's first."""
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,  # a buffer has a lock, which a fork could copy locked
                start_new_session=True,  # Ctrl-C is the parent's, and a group can be killed as one
            )
        try:
            while not self._ready:
                self._ready = self._read_line(time.monotonic() + START_LIMIT_S) == "ready"
        except (TimeoutError, EOFError) as error:
            self.close()
            raise RuntimeError(
                "The grading child did not start: check that `python -m selfrl.answers._child` starts and waits."
            ) from error

    def _ask(
        self,
        keys: Sequence[str],
        labels: list[int | None],
        undecided: set[tuple[int, int]],
        deadline: float,
        stall_s: float,
    ) -> None:
        """Have the unlabelled keys labelled and the undecided pairs added, in place."""
        request = {
            "keys": list(keys),
            "labels": labels,
            "undecided": sorted(undecided),
            "budget_s": max(deadline - time.monotonic(), 0.0),
            "stall_s": stall_s,
        }
        doing: tuple[int, ...] = ()
        try:
            self._write_line(json.dumps(request))
            while True:
                word, *numbers = self._read_line(time.monotonic() + CLOCK_FACTOR * stall_s + GRACE_S).split()
                if word == "done":
                    return
                if word == "died":
                    self._ready = False
                    timed_out = int(numbers[0]) in (-signal.SIGALRM, -signal.SIGPROF)
                    self.counts.timeouts += timed_out
                    self.counts.crashes += not timed_out
                    raise _ChildDiedError(doing)
                if word == "label":
                    labels[int(numbers[0])] = int(numbers[1])
                elif word == "undecided":
                    undecided.add((int(numbers[0]), int(numbers[1])))
                else:
                    doing = tuple(map(int, numbers))
        except TimeoutError as error:
            self.counts.timeouts += 1
            self.close()
            raise _ChildDiedError(doing) from error
        except (EOFError, BrokenPipeError) as error:
            self.counts.crashes += 1
            self.close()
            raise _ChildDiedError(doing) from error

    def _write_line(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        data = memoryview(line.encode() + b"\n")
        while data:
            data = data[os.write(self._process.stdin.fileno(), data) :]

    def _read_line(self, deadline: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        poll = select.poll()  # not select, which fails on file descriptors beyond 1023
        poll.register(fd, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poll.poll(1000 * max(deadline - time.monotonic(), 0.0)):
                raise TimeoutError
            chunk = os.read(fd, 65536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


WORKER = SymbolicWorker()
atexit.register(WORKER.close)
