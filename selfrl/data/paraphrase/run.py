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
from selfrl.files import write_whole
from selfrl.generation import Generator, Sampling

ANSWER_PROMPT = "\n\nPlease reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True)
class Settings:
    """What decides a run's output; a run resumes only with the settings it began with.

    Args:
        source: what is paraphrased: data set, configuration, split, column, limit.
        writer: back end, model and address that write.
        tries: attempts a problem; the first that passes every filter is kept.
        sampling: of the writer; the seed moves with each attempt.
        filters: bounds.
        check_answers: samples of each side whose majority answers must agree; 0 asks for none.
        batch_size: problems generated together, and between two saves.
    """

    source: str
    writer: str
    tries: int = 3
    sampling: Sampling = field(default_factory=lambda: Sampling(2048, temperature=0.7, top_p=0.8, seed=0))
    filters: Filters = field(default_factory=Filters)
    check_answers: int = 0
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.tries < 1 or self.batch_size < 1 or self.check_answers < 0:
            raise ValueError("tries and batch_size must be at least 1, and check_answers at least 0.")


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
        on_batch: told the number of rows decided so far.

    Returns:
        Counts by outcome: "kept" and the reasons of [`selfrl.data.paraphrase.filters.REASONS`].

    Raises:
        ValueError: if `out` was begun with other settings, or is no run's output.
    """
    paths = Paths(out)
    check_settings(out, settings)
    if not paths.settings.exists():
        write_whole(paths.settings, json.dumps(asdict(settings), indent=2) + "\n")
    all_rows = _with_ids(rows)
    batches = [all_rows[i : i + settings.batch_size] for i in range(0, len(all_rows), settings.batch_size)]
    decided = _keep_whole_batches(batches, (out, paths.rejected))
    counts = Counter({"kept": len(_read(out)), **Counter(row["reason"] for row in _read(paths.rejected))})
    done = len(decided)
    on_batch(done)
    for batch in batches:
        if batch[0][0] in decided:
            continue
        kept, rejected = _paraphrase_batch(batch, generator, settings)
        _append(out, kept)
        _append(paths.rejected, rejected)
        counts["kept"] += len(kept)
        counts.update(row["reason"] for row in rejected)
        done += len(batch)
        on_batch(done)
    report = {name: counts[name] for name in ("kept", *REASONS)}
    write_whole(paths.report, json.dumps(report, indent=2) + "\n")
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
        replies = generator.generate([_ask(rewrite_request(prompt)) for _, prompt in open_rows], sampling)
        passed = {}
        for (pair_id, prompt), group in zip(open_rows, replies, strict=True):
            text = read_rewrite(group[0].text) if group else None
            if text is None:
                reasons[pair_id] = "no_markers" if group else "failed"
            elif reason := reject_reason(prompt, text, settings.filters):
                reasons[pair_id] = reason
            else:
                passed[pair_id] = (prompt, text)
        for pair_id, reason in _unconfirmed(passed, generator, settings).items():
            reasons[pair_id] = reason
            del passed[pair_id]
        kept |= {pair_id: text for pair_id, (_, text) in passed.items()}
        open_rows = [(pair_id, prompt) for pair_id, prompt in open_rows if pair_id not in kept]
    pairs = [{**row, "pair_id": i, "paraphrase": kept[i]} for i, row in batch if i in kept]
    rejected = [{**row, "pair_id": i, "reason": reasons[i]} for i, row in batch if i not in kept]
    return pairs, rejected


def _unconfirmed(passed: dict[str, tuple[str, str]], generator: Generator, settings: Settings) -> dict[str, str]:
    """Pairs whose two texts do not get one answer from more than half of the solver's samples each, and why."""
    if not settings.check_answers or not passed:
        return {}
    texts = [_ask(text + ANSWER_PROMPT) for pair in passed.values() for text in pair]
    sampling = Sampling(settings.sampling.max_tokens, n=settings.check_answers, seed=settings.sampling.seed)
    groups = generator.generate(texts, sampling)
    labels = [vote((answer_key(g.text) for g in group), min_votes=settings.check_answers // 2 + 1) for group in groups]
    found = {}
    for number, pair_id in enumerate(passed):
        side = slice(2 * number, 2 * number + 2)
        if not all(groups[side]):
            found[pair_id] = "failed"
        elif keys_equivalent(*labels[side]) is not True:
            found[pair_id] = "answers"
    return found


def _ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _moved(sampling: Sampling, attempt: int) -> Sampling:
    if sampling.seed is None:
        return sampling
    return Sampling(**{**asdict(sampling), "seed": sampling.seed + attempt})


def check_settings(out: Path, settings: Settings) -> None:
    """Refuse an output that was begun with other settings, or that is no run's output."""
    path = Paths(out).settings
    if path.exists():
        now, begun = json.loads(json.dumps(asdict(settings))), json.loads(path.read_text())
        changed = [name for name in now if begun.get(name) != now[name]]
        if changed:
            raise ValueError(
                f"{path.name} says that this output was begun with another {', '.join(changed)}: "
                "use the same settings, or another --out."
            )
    elif out.exists():
        raise ValueError(f"{out} exists and is no output of this command: choose another --out.")


def _keep_whole_batches(batches: Sequence[Sequence[tuple[str, Any]]], files: Sequence[Path]) -> set[str]:
    """Ids of the batches that were written whole; what a kill left of another is taken out of the files.

    A batch is redone as a whole: samples of some back ends depend on what else is in the batch.
    """
    for path in files:
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
    found = {row["pair_id"] for path in files for row in _read(path)}
    decided = {i for batch in batches if all(i in found for i, _ in batch) for i, _ in batch}
    for path in files:
        rows = _read(path)
        kept = [row for row in rows if row["pair_id"] in decided]
        if len(kept) < len(rows):
            write_whole(path, "".join(_line(row) for row in kept))
    return decided


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with path.open("a") as file:
            file.write("".join(_line(row) for row in rows))
            file.flush()
            os.fsync(file.fileno())


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, default=str) + "\n"
