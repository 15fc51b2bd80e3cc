"""Generations on disk, found by what was asked: a run that was killed, or is repeated, generates nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from selfrl.generation import Generation, Prompt, Sampling
from selfrl.pictures import content_hash


def default_cache() -> Path:
    """`generations.sqlite` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "selfrl" / "generations.sqlite"


def request_hash(model: str, prompt: Prompt, sampling: Sampling) -> str:
    """Hash of one request; the number of completions is not in it, so more can be added.

    Args:
        model: what identifies the model and the back end, see [`model_identity`].
        prompt: text or conversation.
        sampling: how it is sampled, its seed that of the whole run.

    Example:
        >>> request_hash("m", "2+2?", Sampling(n=1)) == request_hash("m", "2+2?", Sampling(n=4))
        True
        >>> request_hash("m", "2+2?", Sampling(seed=1)) == request_hash("m", "2+2?", Sampling(seed=2))
        False
    """
    asked = {name: value for name, value in asdict(sampling).items() if name != "n"}
    return hashlib.sha256(json.dumps([model, prompt, asked], default=content_hash).encode()).hexdigest()


def model_identity(model: str, revision: str | None = None) -> str:
    """What tells one model from another: a folder's files by name, size and time, a hub name with its commit.

    >>> model_identity("Qwen/Qwen3-0.6B", "abc")
    'Qwen/Qwen3-0.6B@abc'
    """
    folder = Path(model)
    if not folder.is_dir():
        return f"{model}@{revision}"
    files = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in folder.iterdir() if f.is_file())
    return f"{folder.resolve()}@{hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]}"


class GenerationCache:
    """Completions by request hash, in an SQLite file that survives SIGKILL and is safe for several processes.

    Args:
        path: the file; its folder is made.

    Raises:
        ValueError: for a folder, or a file that is no SQLite file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = sqlite3.connect(path, timeout=60)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS generations (hash TEXT, sample INTEGER, text TEXT, finish_reason TEXT, "
                "prompt_tokens INTEGER, completion_tokens INTEGER, PRIMARY KEY (hash, sample)) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise ValueError(f"The cache {path} cannot be used ({error}): name another file with --cache.") from error

    def get(self, key: str, n: int) -> list[Generation]:
        """The first n completions of a request, or as many as are there."""
        rows = self.connection.execute(
            "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM generations "
            "WHERE hash = ? AND sample < ? ORDER BY sample",
            (key, n),
        )
        return [Generation(*row) for row in rows]

    def add(self, groups: Sequence[tuple[str, int, Sequence[Generation]]]) -> None:
        """Store groups of (hash, number of the first sample, completions), all or none of them."""
        rows = [
            # an endpoint can send half of a surrogate pair, which no file takes
            (
                key,
                first + i,
                g.text.encode(errors="replace").decode(),
                g.finish_reason,
                g.prompt_tokens,
                g.completion_tokens,
            )
            for key, first, group in groups
            for i, g in enumerate(group)
        ]
        with self.connection:
            self.connection.executemany("INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
