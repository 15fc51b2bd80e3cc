"""The launcher itself: what comes back, and that neither a failure nor a kill is taken for success."""

import os
import signal
import time

import pytest

from support.processes import in_a_process, on_two_processes


def rank_and_sum(*numbers: int) -> tuple[str, str, int]:
    return os.environ["RANK"], os.environ["WORLD_SIZE"], sum(numbers)


def fail_on_one_and_wait_on_the_other() -> None:
    if os.environ["RANK"] == "1":
        raise ValueError("rank 1 has no answer")
    time.sleep(60)


def wait() -> None:
    time.sleep(60)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_values_come_in_the_order_of_ranks() -> None:
    assert on_two_processes(rank_and_sum, 3, 4) == [("0", "2", 7), ("1", "2", 7)]


def test_a_failure_is_shown_and_ends_the_other_process() -> None:
    start = time.monotonic()
    with pytest.raises(AssertionError, match="rank 1 has no answer"):
        on_two_processes(fail_on_one_and_wait_on_the_other)
    assert time.monotonic() - start < 45


def test_a_kill_is_what_was_asked_for_or_a_failure() -> None:
    assert in_a_process(die, returncode=-signal.SIGKILL) is None
    with pytest.raises(AssertionError):
        in_a_process(die)
    with pytest.raises(AssertionError):
        in_a_process(wait, timeout=1)
