"""Runs side by side, each in a process of its own, so that nothing of one can reach another."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Run = TypeVar("Run")
TICK_S = 2.0
PRELOADED = "selfrl.compare.arm_run"
# Tensors of many megabytes come and go in every step. By default glibc gives their memory back and has it faulted in
# again, which is a twelfth of a tiny model's step on a CPU.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}


def start_server() -> Any:
    """The multiprocessing context of runs: a server imports everything once, beside this process, and forks them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    for name, value in KEEP_MEMORY.items():
        os.environ.setdefault(name, value)
    from multiprocessing import forkserver

    forkserver.ensure_running()
    return context


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once(runs: int, cores: int) -> int:
    """How many of `runs` equally long runs, of one thread each, run at a time so that no core is idle at their end.

    As many as cores if that divides them well; else a few more, which share the cores: three runs on two cores take
    one and a half times as long side by side as one alone, and twice as long as two and one.

    >>> [at_once(runs, cores=2) for runs in (1, 2, 3, 4, 5, 30)]
    [1, 2, 3, 2, 3, 2]
    """
    rounds = max(runs // cores, 1)
    return -(-runs // rounds)


def side_by_side(
    context: Any,
    function: Callable[..., None],
    calls: Mapping[Run, tuple[Any, ...]],
    jobs: int,
    on_tick: Callable[[Collection[Run]], None],
) -> Iterator[tuple[Run, int]]:
    """Call `function` for every run, `jobs` at a time, and give (run, exit status) as they end, in any order.

    Args:
        context: of [`start_server`].
        function: what a process calls.
        calls: run → arguments.
        jobs: processes at a time.
        on_tick: told every other second which runs are under way.
    """
    waiting = list(calls)
    running: dict[Any, tuple[BaseProcess, Run]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                process = context.Process(target=function, args=calls[run], name=str(run))
                process.start()
                running[process.sentinel] = process, run
            ended = connection.wait(list(running), TICK_S)
            on_tick([run for _, run in running.values()])
            for sentinel in ended:
                process, run = running.pop(sentinel)
                process.join()
                yield run, process.exitcode or 0
    finally:
        for process, _ in running.values():
            process.terminate()


def end_with_parent() -> None:
    """End this process when the one that asked for it ends, by whatever: nobody would read what it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()
