"""Small programs of unknown authors, run in a child process with hard limits, which is no sandbox: docs/programs.md.

A program is first read, in the child: it may use its own names, the builtins of `program_rules`, and the harmless
methods of literals. Then it runs there with 0.5 GiB of memory, some seconds of processor time, no file, socket or
process to open, and nothing from this process's environment. What it gives back is a literal's text. The clock decides
nothing: processor time ends a program, and equal seeds give sets equal orders.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

LIMIT_S = 10.0  # of processor time, one call (Absolute Zero, 2505.03335)
START_LIMIT_S = 60.0  # on a busy machine
CLOCK_FACTOR = 20  # how much slower than its processor time a call may be on the clock before it is given up
MAX_LINE = 1 << 20
OUT_OF_MEMORY = 77  # the child's exit status
_CHILD = "import sys; sys.path.append(sys.argv[1]); from selfrl.limited_child import main; main(compile, exec)"
_ROOT = str(Path(__file__).parents[1])

Failure = Literal[
    "refused", "arguments", "definition", "error", "no literal", "too long", "time", "memory", "not decided"
]


class Outcome(NamedTuple):
    """What came of a call.

    Args:
        literal: the value as a literal's text, equal for equal sets and dictionaries whatever their order.
        failure: why there is none: the program may not run ("refused"); its "arguments" are no literals; its top level
            ("definition") or its call ("error") failed; it gave "no literal", or one "too long"; it hit the limit of
            "time" or "memory"; or the child failed for reasons of ours ("not decided").
        detail: of the failure, in a few words.
    """

    literal: str | None
    failure: Failure | None = None
    detail: str = ""


def run_program(
    code: str, arguments: str, *, limit_s: float = LIMIT_S, hash_seed: int = 0, vetted: bool = False
) -> Outcome:
    """One call of a program; see [`run_calls`].

    Example:
        >>> run_program("def f(x, n):\\n    return {x: [n] * 2}", "'a', n=1")
        Outcome(literal="{'a': [1, 1]}", failure=None, detail='')
        >>> run_program("import os", "")
        Outcome(literal=None, failure='refused', detail='no function f')
    """
    return next(run_calls(code, [arguments], limit_s=limit_s, hash_seed=hash_seed, vetted=vetted))


def run_calls(
    code: str, calls: Sequence[str], *, limit_s: float = LIMIT_S, hash_seed: int = 0, vetted: bool = False
) -> Iterator[Outcome]:
    """What a program's function `f` gives for each call, one after the other; who stops asking stops the child.

    Every call begins with a fresh copy of the program. A call that ends the child ends only itself: the next has a new
    one. What fails is an outcome, and nothing is raised.

    Args:
        code: of the program.
        calls: literals as they stand in a call's brackets.
        limit_s: processor time, one call.
        hash_seed: of the order of sets.
        vetted: whether the code is known not to attack, as a benchmark's is: then its names are not looked at, and
            files can be read; the other limits hold.

    Example:
        >>> [outcome.literal or outcome.detail for outcome in run_calls("def f(x):\\n    return 6 // x", ["2", "0"])]
        ['3', 'ZeroDivisionError']
    """
    at = 0
    while at < len(calls):
        request = {"code": code, "calls": calls[at:], "limit_s": limit_s, "vetted": vetted}
        child = _Child(request, hash_seed, limit_s * CLOCK_FACTOR + START_LIMIT_S)
        try:
            why = child.line()
            if why is not None:
                failed = why if isinstance(why, Outcome) else Outcome(None, "refused", str(why))
                yield from [failed] * (len(calls) - at)
                return
            lives = True
            while lives and at < len(calls):
                said = child.line()
                lives = not isinstance(said, Outcome)
                at += 1
                yield Outcome(*said) if lives else said
        finally:
            child.end()


class _Child:
    """A running child, killed when it is no longer asked."""

    def __init__(self, request: dict[str, Any], hash_seed: int, patience_s: float) -> None:
        self.patience_s = patience_s
        self.buffer = b""
        known = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        self.process: subprocess.Popen[bytes] | None = None
        # from a file, so that a child which reads nothing does not hold up this process
        with suppress(OSError), tempfile.TemporaryFile() as asked:
            asked.write(json.dumps(request).encode())
            asked.seek(0)
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-S", "-c", _CHILD, _ROOT],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the parent's, and a group can be killed as one
                env={"PYTHONHASHSEED": str(hash_seed), **known},
            )

    def line(self) -> Any:
        """What the child says next, or the outcome that its death means."""
        if self.process is None:
            return Outcome(None, "not decided", "no child")
        assert self.process.stdout is not None
        deadline = time.monotonic() + self.patience_s
        fd = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while b"\n" not in self.buffer:
            if not poll.poll(1000 * max(deadline - time.monotonic(), 0.0)):
                return Outcome(None, "not decided", "no word from the child")
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                return self._death()
            self.buffer += chunk
            if len(self.buffer) > MAX_LINE:
                return Outcome(None, "not decided", "too many words from the child")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        """Kill the child and all that it may have started."""
        if self.process is None:
            return
        if self.process.poll() is None:  # else its number may be another's by now
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _death(self) -> Outcome:
        assert self.process is not None
        try:
            status = self.process.wait(self.patience_s)
        except subprocess.TimeoutExpired:
            return Outcome(None, "not decided", "no word from the child")
        if status in (-signal.SIGPROF, -signal.SIGXCPU):
            return Outcome(None, "time")
        if status == OUT_OF_MEMORY:
            return Outcome(None, "memory")
        if status < 0 and status != -signal.SIGKILL:  # which is what a machine without memory sends
            return Outcome(None, "error", signal.Signals(-status).name)
        return Outcome(None, "not decided", f"the child ended with {status}")
