"""`selfrl paraphrase DATASET`: write pairs for contrastive rewards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from selfrl.data.loading import load_rows, to_prompts
from selfrl.data.paraphrase.filters import Filters
from selfrl.data.paraphrase.run import Settings, check_settings, write_pairs
from selfrl.generation import Sampling, load_generator
from selfrl.generation.load import BACKENDS

QUESTION_COLUMNS = ("prompt", "question", "problem")


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = argparse.ArgumentParser(prog="selfrl paraphrase", description=__doc__)
    parser.add_argument("dataset", help="a .jsonl, .json, .parquet or .csv file, or a hub name")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines file of the pairs; resumed if it exists")
    parser.add_argument("--backend", choices=BACKENDS, default="transformers")
    parser.add_argument("--model", required=True, help="folder or hub name; an endpoint's model name")
    parser.add_argument("--base-url", help="address of an OpenAI-compatible endpoint")
    parser.add_argument("--api-key-env", help="environment variable with the endpoint's key; default OPENAI_API_KEY")
    parser.add_argument("--dataset-config", help="configuration name of a hub data set")
    parser.add_argument("--split", default="train")
    parser.add_argument("--question-column", help=f"default: the first of {', '.join(QUESTION_COLUMNS)} that exists")
    parser.add_argument("--limit", type=int, help="only the first N problems")
    parser.add_argument("--tries", type=int, default=3, help="attempts a problem")
    parser.add_argument("--batch-size", type=int, default=64, help="problems between two saves")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=0.8)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--min-length-ratio", type=float, default=0.5)
    parser.add_argument("--max-length-ratio", type=float, default=2.0)
    parser.add_argument(
        "--check-answers",
        type=int,
        default=0,
        metavar="K",
        help="majority answers of K samples a side must agree",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; bad input ends with one sentence and exit status 2, before a model loads."""
    args = build_parser().parse_args(argv)
    try:
        column, rows = _rows(args)
        settings = Settings(
            source=f"{args.dataset} {args.dataset_config} {args.split} {column} {args.limit}",
            writer=f"{args.backend} {args.model} {args.base_url}",
            tries=args.tries,
            sampling=Sampling(args.max_tokens, args.temperature, args.top_p, seed=args.seed),
            filters=Filters(args.min_length_ratio, args.max_length_ratio),
            check_answers=args.check_answers,
            batch_size=args.batch_size,
        )
        check_settings(args.out, settings)
        generator = load_generator(args.backend, args.model, base_url=args.base_url, api_key_env=args.api_key_env)
    except (ValueError, OSError, ImportError) as error:
        print(f"selfrl paraphrase: {error}", file=sys.stderr)
        return 2
    console = Console()
    columns = (TextColumn("paraphrasing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(rows))
        try:
            report = write_pairs(
                rows,
                generator,
                settings,
                args.out,
                on_batch=lambda decided: progress.update(task, completed=decided),
            )
        except ValueError as error:
            print(f"selfrl paraphrase: {error}", file=sys.stderr)
            return 2
        finally:
            generator.close()
    table = Table("outcome", "problems", title=f"{report['kept']} pairs in {args.out}")
    for name, count in report.items():
        table.add_row(name, str(count))
    console.print(table)
    return 0


def _rows(args: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    """The question column's name and the rows, the question as `prompt`."""
    if args.limit is not None and args.limit < 1:
        raise ValueError("--limit must be at least 1.")
    rows = load_rows(args.dataset, args.split, args.dataset_config)
    guesses = [c for c in QUESTION_COLUMNS if c in rows.column_names]
    column = args.question_column or (guesses[0] if guesses else QUESTION_COLUMNS[0])
    rows = to_prompts(rows, column)
    if args.limit is not None:
        rows = rows.select(range(min(args.limit, len(rows))))
    for i, prompt in enumerate(rows["prompt"]):
        if not isinstance(prompt, str) or not prompt.strip():
            raise ValueError(f"Row {i} has no text in the column {column!r}: drop it or name another column.")
    return column, list(rows)
