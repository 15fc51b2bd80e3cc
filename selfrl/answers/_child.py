"""The grading child: clusters keys with math-verify in a process that a stalled key kills and that replaces itself.

This process imports math-verify once and then only forks graders, so that a killed grader costs milliseconds. The
kernel kills a grader whose operation outlasts its limit (SIGPROF for processor time, SIGALRM for a few times that on
the clock, both by default action: no Python code has to run, and a grader dies so even if its parents are gone).

A grader reads one JSON request a line and answers in lines: "ready" at its start; "parse i" and "compare i j" before
each operation, so that the parent knows what stalled; "undecided i j" for a pair that cannot be told apart or
together; "label i j" for a decision; "done". After its death this process says "died" and the exit code, negative for
a signal.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time

from selfrl.answers import _equality
from selfrl.answers.kinds import could_be_equal
from selfrl.answers.limits import CLOCK_FACTOR

MEMORY_BYTES = 1 << 30
# The parser builds its tables as it meets new forms, at ten times the cost of the next one like it.
WARM_UP = (
    r"\frac{x+1}{2}-\sqrt{3}",
    r"-2x^{2}(a-b)\cdot e^{2y}+4",
    r"\frac{1}{\sqrt{n}}\pi/4",
    r"\ln 2+\sin x",
    r"3i+4",
    r"2^{n+1}\cdot 5",
    "(1,2]",
    r"\{1,2\}",
    "y=3x+5",
    r"(-\infty,1)\cup(2,3)",
    r"\begin{pmatrix}1\\x\end{pmatrix}",
    "f(x)",
    "(n+1)!",
    "e^{e^{x}}",
)


def main() -> None:
    """Keep one grader alive until the parent goes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(limit, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM, signal.SIGPROF])
    for key in WARM_UP:
        _equality.equal(key, "x+1")
        _equality.equal(key, key + "+0")
    while True:
        grader = os.fork()
        if grader == 0:
            serve()
            os._exit(0)
        _, status = os.waitpid(grader, 0)
        if status == 0:
            os._exit(0)  # at once: nothing here needs cleaning up
        say(f"died {os.waitstatus_to_exitcode(status)}")


def serve() -> None:
    """Answer requests until the parent goes."""
    say("ready")
    for line in sys.stdin:
        request = json.loads(line)
        undecided = {(i, j) for i, j in request["undecided"]}
        deadline = time.monotonic() + request["budget_s"]
        cluster(request["keys"], request["labels"], undecided, deadline, request["stall_s"])
        set_limit(0)
        say("done")


def cluster(
    keys: list[str], labels: list[int | None], undecided: set[tuple[int, int]], deadline: float, limit: float
) -> None:
    """Greedy clustering in order: each key joins the first earlier cluster whose first key it equals.

    A key's label is the index of that first key. Labels that are given are kept, and pairs that are given as undecided
    are not compared again.
    """
    for i, key in enumerate(keys):
        if labels[i] is not None:
            continue
        if time.monotonic() > deadline:
            return
        set_limit(limit)
        say(f"parse {i}")
        _equality.form(key)
        label = i
        for leader in [j for j in range(i) if labels[j] == j]:
            if time.monotonic() > deadline:
                return
            if (leader, i) in undecided or not could_be_equal(keys[leader], key):
                continue
            set_limit(limit)
            say(f"compare {leader} {i}")
            same = verdict(keys[leader], key)
            if same:
                label = leader
                break
            if same is None:
                say(f"undecided {leader} {i}")
        labels[i] = label
        say(f"label {i} {label}")


def set_limit(seconds: float) -> None:
    """Die after so many seconds of processor time: a busy machine stalls nothing. The clock is the last resort."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * CLOCK_FACTOR)


def verdict(a: str, b: str) -> bool | None:
    """[`selfrl.answers._equality.equal`]; None where it takes too much memory."""
    try:
        return _equality.equal(a, b)
    except (MemoryError, RecursionError):
        return None


def say(line: str) -> None:
    """Write one line to the parent at once."""
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
