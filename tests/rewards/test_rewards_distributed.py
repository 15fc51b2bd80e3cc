"""The same batch on one process and on two gives the same rewards, to the last bit."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from selfrl.rewards import (
    AccuracyReward,
    BoundaryReward,
    ContrastiveAgreementReward,
    FormatReward,
    MajorityVoteReward,
    RandomReward,
    SemanticEntropyReward,
)

G = 5
ANSWERS = ["1/3", "0.5", r"\sqrt{8}", r"2\sqrt{2}", "9^{9^9}", "", "7", r"\frac12", "7", "7", "x+1", "1+x"]
ROWS = 6 * G  # three pairs of two views: every border below cuts a pair, the uneven ones a group too
REWARDS = [
    MajorityVoteReward(),
    MajorityVoteReward(soft=True, ties="abstain"),
    ContrastiveAgreementReward(),
    SemanticEntropyReward(),
    AccuracyReward(),
    FormatReward(),
    RandomReward(seed=4),
    MajorityVoteReward(voters="teacher"),
    ContrastiveAgreementReward(voters="teacher"),
    BoundaryReward(),
]


def batch() -> dict[str, list[Any]]:
    return {
        "prompts": [f"prompt {i // G}" for i in range(ROWS)],
        "completions": [rf"so \boxed{{{ANSWERS[(7 * i) % 12]}}}" for i in range(ROWS)],
        "completion_ids": [[i] for i in range(ROWS)],
        "pair_id": [i // (2 * G) for i in range(ROWS)],
        "view": [i // G % 2 for i in range(ROWS)],
        "answer": ["7"] * ROWS,
        "teacher_completions": [[rf"\boxed{{{ANSWERS[(5 * i + 1) % 12]}}}"] for i in range(ROWS)],
        "log_prob": [torch.tensor([-0.1 * (i % 7), -0.2]) for i in range(ROWS)],
        "entropy": [torch.tensor([0.3, 0.1])] * ROWS,
        "token_texts": [[f"It is {i % 3}.", " I am sure."] for i in range(ROWS)],
        "vocab_size": [50] * ROWS,
    }


def slice_of(rank: int, border: int) -> dict[str, list[Any]]:
    rows = slice(0, border) if rank == 0 else slice(border, ROWS)
    return {name: column[rows] for name, column in batch().items()}


def run_rank(rank: int, borders: list[int]) -> None:
    import torch.distributed

    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    results = [[reward(**slice_of(rank, border)) for reward in REWARDS] for border in borders]
    broken = {**slice_of(rank, ROWS // 2), "view": [0] * (ROWS // 2)}
    try:
        ContrastiveAgreementReward()(**broken)
    except ValueError as error:
        results.append([str(error)])
    try:
        ContrastiveAgreementReward()(**{**slice_of(rank, ROWS // 2), "pair_id": [[0]] * (ROWS // 2)})
    except TypeError as error:  # not only the errors that the library foresees
        results.append([str(error)])
    print(json.dumps(results))


@pytest.mark.slow
def test_two_processes_agree_with_one() -> None:
    borders = [ROWS // 2, G + 2, 3 * G - 1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    base = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "1",
    }
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import {Path(__file__).stem} as t; "
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code + f"t.run_rank({rank}, {borders})"],
            env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=200) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    # an error ends every process, with the same sentence
    assert first.pop() == second.pop()
    assert first.pop() == second.pop()
    assert len(first) == len(second) == len(borders)
    whole = [reward(**batch()) for reward in REWARDS]
    assert {type(r) for rewards in whole for r in rewards} == {float, type(None)}
    for at_border in range(len(borders)):
        for one, left, right in zip(whole, first[at_border], second[at_border], strict=True):
            assert left + right == one
