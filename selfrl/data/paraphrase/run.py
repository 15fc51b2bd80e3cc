"""Write pairs with a generation back end: batch by batch, filtered, resumable."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfrl.answers import answer_key, vote
from selfrl.answers.symbolic import keys_equivalent
from selfrl.data.paraphrase.filters import REASONS, Filters, has_diagram, reject_reason
from selfrl.data.paraphrase.prompts import read_rewrite, rewrite_request
from selfrl.generation import Generator, Sampling

ANSWER_PROMPT = "\n\nPlease reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True)
class Settings:
    """What decides a run's output; a run resumes only with the settings it began with.

    Args:
        source: data set that is paraphrased, as named on the command line.
        writer: model that writes.
        tries: attempts a problem; the first that passes every filter is kept.
        sampling: of the writer; the seed moves with each attempt.
        filters: bounds.
        check_answers: samples of each side whose majority answers must agree; 0 asks for none.
    """

    source: str
    writer: str
    tries: int = 3
    sampling: Sampling = field(default_factory=lambda: Sampling(2048, temperature=0.7, top_p=0.8, seed=0))
    filters: Filters = field(default_factory=Filters)
    check_answers: int = 0


@dataclass
class Paths:
    """Files of a run, beside its output."""

    out: Path

    @property
    def rejected(self) -> Path:
        """Problems without a pair, with the reason of their last attempt."""
        return self.out.with_suffix(".rejected.jsonl")

    @property
    def settings(self) -> Path:
        """What the run was begun with."""
        return self.out.with_suffix(".settings.json")

    @property
    def report(self) -> Path:
        """How many problems fell to which filter."""
        return self.out.with_suffix(".report.json")


def write_pairs(
    rows: Sequence[dict[str, Any]],
    generator: Generator,
    settings: Settings,
    out: Path,
    batch_size: int = 64,
    on_batch: Callable[[int], None] = lambda decided: None,
) -> dict[str, int]:
    """Paraphrase each row's `prompt` and append the pairs to `out` as JSON lines.

    A row with a pair keeps its columns and gets `pair_id` and `paraphrase`; the others go to `*.rejected.jsonl` with
    a `reason`. Both are flushed to disk after every batch, so a killed run goes on where it stopped, and ends with
    the rows of an uninterrupted one.

    Args:
        rows: each with `prompt` (text).
        generator: the writer, and the solver of answer checks.
        settings: what decides the output.
        out: JSON lines file of the pairs.
        batch_size: problems between two flushes.
        on_batch: told the number of rows decided so far.

    Returns:
        Counts by outcome: "kept" and the reasons of [`selfrl.data.paraphrase.filters.REASONS`].

    Raises:
        ValueError: if `out` was begun with other settings.
    """
    paths = Paths(out)
    _check_settings(paths.settings, settings)
    counts = Counter(
        {
            "kept": len(_repair(out)),
            **Counter(row["reason"] for row in _repair(paths.rejected)),
        }
    )
    decided = {row["pair_id"] for path in (out, paths.rejected) for row in _read(path)}
    todo = [(pair_id, row) for pair_id, row in _with_ids(rows) if pair_id not in decided]
    on_batch(len(decided))
    for start in range(0, len(todo), batch_size):
        batch = todo[start : start + batch_size]
        kept, rejected = _paraphrase_batch(batch, generator, settings)
        _append(out, kept)
        _append(paths.rejected, rejected)
        counts["kept"] += len(kept)
        counts.update(row["reason"] for row in rejected)
        on_batch(len(decided) + start + len(batch))
    report = {name: counts[name] for name in ("kept", *REASONS)}
    _write_whole(paths.report, json.dumps(report, indent=2) + "\n")
    return report


def _with_ids(rows: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Ids that follow from the text, with a number where a text repeats."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        digest = hashlib.sha256(row["prompt"].encode()).hexdigest()[:16]
        found.append((f"{digest}-{seen[digest]}", row))
        seen[digest] += 1
    return found


def _paraphrase_batch(
    batch: Sequence[tuple[str, dict[str, Any]]], generator: Generator, settings: Settings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    kept: dict[str, str] = {}
    reasons = {pair_id: "diagram" for pair_id, row in batch if has_diagram(row["prompt"])}
    open_rows = [(pair_id, row["prompt"]) for pair_id, row in batch if pair_id not in reasons]
    for attempt in range(settings.tries):
        if not open_rows:
            break
        sampling = _moved(settings.sampling, attempt)
        replies = generator.generate([rewrite_request(prompt) for _, prompt in open_rows], sampling)
        passed = {}
        for (pair_id, prompt), group in zip(open_rows, replies, strict=True):
            text = read_rewrite(group[0].text) if group else None
            if text is None:
                reasons[pair_id] = "no_markers" if group else "failed"
            elif reason := reject_reason(prompt, text, settings.filters):
                reasons[pair_id] = reason
            else:
                passed[pair_id] = (prompt, text)
        for pair_id in _disagreeing(passed, generator, settings):
            reasons[pair_id] = "answers"
            del passed[pair_id]
        kept |= {pair_id: text for pair_id, (_, text) in passed.items()}
        open_rows = [(pair_id, prompt) for pair_id, prompt in open_rows if pair_id not in kept]
    pairs = [{**row, "pair_id": i, "paraphrase": kept[i]} for i, row in batch if i in kept]
    rejected = [{**row, "pair_id": i, "reason": reasons[i]} for i, row in batch if i not in kept]
    return pairs, rejected


def _disagreeing(passed: dict[str, tuple[str, str]], generator: Generator, settings: Settings) -> list[str]:
    """Pairs whose two texts do not get the same majority answer from the solver."""
    if not settings.check_answers or not passed:
        return []
    texts = [text + ANSWER_PROMPT for pair in passed.values() for text in pair]
    sampling = Sampling(settings.sampling.max_tokens, n=settings.check_answers, seed=settings.sampling.seed)
    groups = generator.generate(texts, sampling)
    labels = [vote(answer_key(g.text) for g in group) for group in groups]
    agree = [keys_equivalent(a, b) is True for a, b in zip(labels[::2], labels[1::2], strict=True)]
    return [pair_id for pair_id, same in zip(passed, agree, strict=True) if not same]


def _moved(sampling: Sampling, attempt: int) -> Sampling:
    if sampling.seed is None:
        return sampling
    return Sampling(**{**asdict(sampling), "seed": sampling.seed + attempt})


def _check_settings(path: Path, settings: Settings) -> None:
    now = asdict(settings)
    if path.exists():
        begun = json.loads(path.read_text())
        changed = [name for name in now if begun.get(name) != now[name]]
        if changed:
            raise ValueError(
                f"{path.name} says that this output was begun with another {', '.join(changed)}: "
                "use the same settings, or another --out."
            )
    else:
        _write_whole(path, json.dumps(now, indent=2) + "\n")


def _repair(path: Path) -> list[dict[str, Any]]:
    """Drop a last line that a kill tore off, and return the rows."""
    if path.exists():
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
    return _read(path)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with path.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
