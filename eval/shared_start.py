"""Runs that begin with the same weights measure their start once."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import torch

from selfrl.eval.question_votes import QuestionVote
from selfrl.eval.scoring import Scores
from selfrl.files import write_whole


@dataclass(frozen=True)
class Measured:
    """What one measurement found.

    Args:
        scores: of every measure that was made.
        votes: of every question of the final measure; none without it.
    """

    scores: list[Scores]
    votes: list[QuestionVote]


def start_file(folder: Path, model: Any, asked: Any) -> Path:
    """Where the measurement of these weights stands: a name by the weights and by what is asked of them.

    Args:
        folder: of all starts.
        model: in memory.
        asked: whatever else it depends on; JSON.
    """
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return folder / f"{digest.hexdigest()[:16]}.json"


def measured_once(path: Path, measure: Callable[[], Measured]) -> Measured:
    """What `measure` gives to the first process that comes; the others wait for it, and read it.

    A process that fails or is killed while it measures leaves nothing behind, and the next one measures.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system takes it back from a killed process
        if not path.exists():
            found = measure()
            values = {"scores": [*map(asdict, found.scores)], "votes": [*map(astuple, found.votes)]}
            write_whole(path, json.dumps(values))
        read = json.loads(path.read_text())
        return Measured([*map(scores_of, read["scores"])], [QuestionVote(*values) for values in read["votes"]])


def scores_of(values: dict[str, Any]) -> Scores:
    """Scores from their JSON, whose keys are all texts."""
    by_k = {name: {int(k): value for k, value in values[name].items()} for name in ("maj_at", "pass_at")}
    return Scores(**{**values, **by_k})
