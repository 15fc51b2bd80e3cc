import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.answers import canonical_key, equivalent, merge_keys, symbolic, vote
from selfrl.answers import worker as worker_module
from selfrl.answers.worker import SymbolicWorker
from selfrl.rewards import MajorityVoteReward

EQUAL = [
    (r"\frac{\sqrt{3}}{2}", r"\sqrt{3}/2"),
    (r"2\sqrt{2}", r"\sqrt{8}"),
    ("x^2+2x+1", "(x+1)^2"),
    (r"\frac{x+1}{2}", "0.5x+0.5"),
    (r"\frac{1}{\sqrt2}", r"\frac{\sqrt2}{2}"),
    ("1+2i", "2i+1"),
    ("2^{5}", "32"),
    (r"\sqrt{16}", "4"),
    (r"\ln 8", r"3\ln 2"),
    ("a-b", "-(b-a)"),
    (r"e^{i\pi}", r"\cos\pi"),
    (r"2i\sqrt{3}", r"2\sqrt{3}i"),
    (r"\frac{1}{i}", "-i"),
    ("2x+y=3", "4x+2y=6"),
    (r"(\sqrt{8},1)", r"(2\sqrt{2},1)"),
    (r"[0,\infty)", r"x \ge 0"),
    (r"\begin{pmatrix}\sqrt{4}\\0.5\end{pmatrix}", r"\begin{bmatrix}2\\\frac12\end{bmatrix}"),
    ("(n+1)!", "(n+1) n!"),
    ("2^{2023}", r"2\cdot 2^{2022}"),
    (r"\log_2(3)", r"\log_{2} 3"),
    ("3>x", "x<3"),
    (r"\sqrt{x^2}", "|x|"),
]
UNEQUAL = [
    ("2", "3"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    ("x^2+1", "(x+1)^2"),
    ("x+y", "x-y"),
    ("x", "y"),
    (r"\sqrt{2}", "1.414"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", "(2,1)"),
    ("monday", "tuesday"),
    ("A", "B"),
    ("3", "x"),
    ("abcd+1", "abcd+2"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_answers(a: str, b: str) -> None:
    assert equivalent(a, b) is True
    first, second = canonical_key(a), canonical_key(b)
    assert merge_keys([first, second]) == [first, first]


@pytest.mark.parametrize(("a", "b"), UNEQUAL)
def test_unequal_answers(a: str, b: str) -> None:
    assert equivalent(a, b) is False
    keys = [canonical_key(a), canonical_key(b)]
    assert merge_keys(keys) == keys


@pytest.mark.parametrize("bomb", ["9^{9^{9}}", "(10^9)!", "1" * 1000, ""])
def test_what_cannot_be_decided_is_none(bomb: str) -> None:
    assert equivalent(bomb, "1") is None
    assert equivalent("1", bomb) is None


def test_numbers_and_words_never_reach_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> list[int]:
        raise AssertionError("asked the child")

    monkeypatch.setattr(symbolic.WORKER, "cluster", refuse)
    keys = ["1", "2/3", None, "monday", "B", "1", "(1,2)", r"\{1,2\}", "52_{8}"]
    assert merge_keys(keys) == keys
    assert equivalent("1", "2") is False
    with pytest.raises(AssertionError):
        merge_keys([r"\sqrt{2}", "1"])


def test_a_key_joins_the_first_of_its_cluster() -> None:
    keys = ["x+1", r"\sqrt{8}", "1+x", None, r"2\sqrt{2}", "7", r"2\cdot\sqrt{2}"]
    assert merge_keys(keys) == ["x+1", r"\sqrt{8}", "x+1", None, r"\sqrt{8}", "7", r"\sqrt{8}"]


SLOW_CHILD = """
import json, pathlib, time
from selfrl.answers import _child, _equality
serve, compare, read = _child.serve, _child.verdict, _equality.form
def slow():
    return json.loads(pathlib.Path({file!r}).read_text())
def slow_verdict(a, b):
    time.sleep(10 * (slow()["compared"] in (a, b)))
    return compare(a, b)
def slow_form(key):
    time.sleep(10 * (key in slow()["read"]))
    return read(key)
def slow_serve():  # behind the warm-up
    _child.verdict, _equality.form = slow_verdict, slow_form
    serve()
_child.serve = slow_serve
"""
Slowed = Callable[..., SymbolicWorker]


def slow_child(file: Path) -> str:
    """The program of a child that sleeps over what a file names."""
    return worker_module._CHILD.replace("main()", SLOW_CHILD.format(file=str(file)) + "main()")


@pytest.fixture(scope="module")
def slow_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SymbolicWorker, Path]]:
    file = tmp_path_factory.mktemp("slow") / "keys.json"
    file.write_text(json.dumps({"compared": "", "read": []}))
    worker = SymbolicWorker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "_CHILD", slow_child(file))
        worker.cluster(["x", "y"], 5.0)
    yield worker, file
    worker.close()


@pytest.fixture
def slowed(slow_worker: tuple[SymbolicWorker, Path], monkeypatch: pytest.MonkeyPatch) -> Slowed:
    """A worker whose child sleeps 10 s over every comparison with one key, or over the reading of some."""
    worker, file = slow_worker
    monkeypatch.setattr(worker_module, "_CHILD", slow_child(file))
    monkeypatch.setattr(symbolic, "WORKER", worker)

    def build(compared: str = "", read: Sequence[str] = ()) -> SymbolicWorker:
        file.write_text(json.dumps({"compared": compared, "read": list(read)}))
        worker._stalls.clear()
        worker.counts.timeouts = 0
        return worker

    build()
    return build


@pytest.mark.timeout(60)
def test_a_stalling_key_is_killed_and_counted_and_the_rest_is_right(slowed: Slowed) -> None:
    worker = slowed(read=["b_{1}", "b_{2}"])
    keys = [r"\sqrt{8}", "b_{1}", r"2\sqrt{2}", "b_{2}", "x+1", "7"]
    started = time.monotonic()
    labels, undecided = worker.cluster(keys, budget_s=10.0)
    assert time.monotonic() - started < 10
    assert labels == [0, 1, 0, 3, 4, 5]
    assert undecided == {(0, 1), (0, 3), (1, 3), (1, 4), (3, 4), (1, 5), (3, 5)}
    assert worker.counts.timeouts == 2


@pytest.mark.timeout(60)
def test_a_key_that_stalled_twice_is_not_tried_again(slowed: Slowed) -> None:
    worker = slowed(read=["b_{1}"])
    for timeouts in (1, 2, 2, 2):
        assert worker.cluster(["b_{1}", "x+1", "1+x"], budget_s=2.0) == ([0, 1, 1], {(0, 1)})
        assert worker.counts.timeouts == timeouts


@pytest.mark.timeout(60)
def test_a_key_is_not_blamed_for_what_it_is_compared_with(slowed: Slowed) -> None:
    worker = slowed("x^{2}")
    for key in ("x+1", "x+2", "x+3"):
        assert worker.cluster([key, "x^{2}"], budget_s=3.0) == ([0, 1], {(0, 1)})
    assert worker.cluster(["x+1", "1+x"], budget_s=2.0) == ([0, 0], frozenset())
    before = worker.counts.timeouts
    for more in (1, 1, 1):  # the pair has stalled once already
        assert worker.cluster(["x+1", "x^{2}"], budget_s=3.0) == ([0, 1], {(0, 1)})
        assert worker.counts.timeouts == before + more


GROUPS = [
    (["x^{2}", "x+1", "1+x", "x+1"], "x+1"),
    (["x^{2}", r"x\cdot x", "x+1", "1+x", "2x"], "x^{2}"),  # by its first spelling
    (["x^{2}", "x^{2}", "x^{2}", "x+1", "1+x"], "x^{2}"),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("keys", "winner"), GROUPS)
def test_a_delay_elects_the_same_winner_or_nobody(keys: list[str], winner: str, slowed: Slowed) -> None:
    assert vote(merge_keys(keys)) == winner
    for slow in dict.fromkeys(keys):
        for options in ({"compared": slow}, {"read": [slow]}):
            slowed(**options)
            assert vote(merge_keys(keys)) in (winner, None)


@pytest.mark.timeout(60)
def test_a_slow_minority_stops_nobody(slowed: Slowed) -> None:
    slowed("x^{2}")
    keys = ["x^{2}", "x+1", "1+x", "2x", "1+x"]
    assert vote(merge_keys(keys)) == "x+1"
    assert MajorityVoteReward()(["?"] * 5, [rf"\boxed{{{key}}}" for key in keys]) == [None, 1.0, 1.0, 0.0, 1.0]


def test_an_overlong_expression_is_undecided() -> None:
    long = "+".join(f"{i}x^{{{i}}}" for i in range(2, 60))
    assert len(long) > 300
    assert canonical_key(long) is not None
    before = symbolic.WORKER.counts.timeouts
    assert equivalent(long, f"0+{long}") is None
    assert equivalent(long, long) is True
    merged = merge_keys([long, "x+1", "1+x"])
    assert merged == [long, "x+1", "x+1"]
    assert merged.undecided == {frozenset((long, "x+1"))}
    assert vote(merged) == "x+1"
    assert symbolic.WORKER.counts.timeouts == before  # the parser would have stalled


@pytest.mark.timeout(30)
def test_a_child_killed_from_outside_is_replaced() -> None:
    worker = SymbolicWorker()
    try:
        assert worker.cluster(["x+1", "1+x"], 5.0).labels == [0, 0]
        assert worker._process is not None
        os.kill(worker._process.pid, 9)
        worker._process.wait()
        assert worker.cluster(["x+1", "1+x"], 5.0).labels == [0, 0]
    finally:
        worker.close()


TOWER = r"\exp(\exp(\exp(\exp(99))))"


def test_a_value_too_large_to_compute_is_another_than_any_that_is_computed() -> None:
    before = symbolic.WORKER.counts.timeouts
    assert equivalent(TOWER, "x+1") is False
    assert equivalent(TOWER, "10^{99}") is False
    assert equivalent(TOWER, TOWER.replace("99", "98")) is None
    assert symbolic.WORKER.counts.timeouts == before


@pytest.mark.timeout(60)
def test_stalling_keys_leave_the_rest_of_the_group_its_budget(slowed: Slowed) -> None:
    worker = slowed(read=["b_{1}", "b_{2}"])
    keys = [r"\sqrt{8}", "b_{1}", r"2\sqrt{2}", "b_{2}", "x+1", "1+x"]
    worker.cluster(["x+1", "1+x"], 1.0)
    started = time.monotonic()
    merged = merge_keys(keys)
    assert time.monotonic() - started < 4
    assert merged == [r"\sqrt{8}", "b_{1}", r"\sqrt{8}", "b_{2}", "x+1", "x+1"]
    assert frozenset((r"\sqrt{8}", "x+1")) not in merged.undecided
    assert worker.counts.timeouts == 2


@pytest.mark.timeout(60)
def test_a_group_of_stalling_keys_ends_with_its_budget(slowed: Slowed) -> None:
    keys = [f"b_{{{i}}}" for i in range(60)]
    slowed(read=keys).cluster(["x+1", "1+x"], 1.0)
    started = time.monotonic()
    merged = merge_keys([*keys, "7", "7", None])
    assert time.monotonic() - started < 4
    assert merged == [*keys, "7", "7", None]
    assert vote(merged) is None  # all of them may be equal
    assert vote([*merged, *["7"] * 60], undecided=merged.undecided) == "7"


def test_the_child_has_little_memory() -> None:
    merge_keys(["x+1", "1+x"])
    assert symbolic.WORKER._process is not None
    limits = Path(f"/proc/{symbolic.WORKER._process.pid}/limits").read_text()
    assert any(line.startswith("Max address space") and str(1 << 30) in line for line in limits.splitlines())


def _grade_in_fork() -> None:
    assert equivalent("x+1", "1+x") is True
    symbolic.WORKER.close()


@pytest.mark.timeout(60)
def test_a_forked_process_has_its_own_child() -> None:
    assert equivalent("x+1", "1+x") is True
    assert symbolic.WORKER._process is not None
    pid = symbolic.WORKER._process.pid
    with symbolic.WORKER._lock:  # as if another thread were grading
        fork = multiprocessing.get_context("fork").Process(target=_grade_in_fork)
        fork.start()
        fork.join(40)
    assert fork.exitcode == 0
    assert equivalent("x+2", "2+x") is True
    assert symbolic.WORKER._process.pid == pid


def _members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, members_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(members_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.timeout(60)
def test_a_stalled_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"compared": "x+1", "read": []}))
    code = f"""
import os, threading, time
from selfrl.answers import worker
worker._CHILD = {slow_child(file)!r}
WORKER = worker.WORKER
WORKER.cluster(["x", "y"], 5.0)
threading.Thread(target=WORKER.cluster, args=(["x+1", "1+x"], 20.0), daemon=True).start()
time.sleep(0.3)
print(WORKER._process.pid, flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    group = int(done.stdout)
    deadline = time.monotonic() + 10
    while _members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _members(group) == []


@pytest.mark.timeout(60)
def test_the_child_ends_with_the_interpreter() -> None:
    code = "from selfrl.answers import symbolic, equivalent as e; e('x+1', '1+x'); print(symbolic.WORKER._process.pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert _members(int(done.stdout)) == []


def test_nothing_is_compared_without_a_budget() -> None:
    worker = SymbolicWorker()
    try:
        assert worker.cluster(["x+1", "1+x"], 0.0) == ([0, 1], {(0, 1)})
    finally:
        worker.close()


def test_threads_share_the_child() -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: equivalent(f"x+{i}", f"{i}+x"), range(8)))
    assert results == [True] * 8
    assert threading.active_count() < 20


def test_importing_answers_loads_neither_torch_nor_sympy() -> None:
    code = "import selfrl.answers, sys; print({'torch', 'sympy', 'math_verify'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["x+1", "1+x", r"\sqrt{8}", r"2\sqrt{2}", "3", "B", None]), max_size=10))
def test_merging_is_idempotent_and_keeps_numbers(keys: list[str | None]) -> None:
    merged = merge_keys(keys, budget_s=5.0)
    assert merge_keys(merged, budget_s=5.0) == merged
    assert [k for k in merged if k in ("3", "B", None)] == [k for k in keys if k in ("3", "B", None)]
