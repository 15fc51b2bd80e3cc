"""Which prompts a forecast asks, as a training would put them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from numbers import Real
from typing import Any

from datasets import Dataset

from selfrl.answers.gold import gold_key
from selfrl.data.missing import missing_rows
from selfrl.data.pairs import pair_rows
from selfrl.generation import Prompt


@dataclass(frozen=True)
class Asked:
    """One prompt of the data.

    Args:
        prompt: text or conversation.
        paraphrase: the same in other words; None without.
        gold: the right answer; None for a row without a label, or with one that cannot be read.
    """

    prompt: Prompt
    paraphrase: Prompt | None = None
    gold: str | None = None

    @property
    def wordings(self) -> list[Prompt]:
        """The prompt, and its paraphrase if there is one."""
        return [self.prompt] if self.paraphrase is None else [self.prompt, self.paraphrase]


def draw_prompts(rows: Dataset, count: int, seed: int) -> list[Asked]:
    """`count` prompts drawn by the seed, or all if there are no more, in the order of the data.

    Args:
        rows: with the column `prompt`, and `paraphrase` or the views of pairs, and `answer` where these are known.
        count: how many.
        seed: of the draw.

    Raises:
        ValueError: for pictures, pairs that are not whole, or a gold answer that is neither text nor number.

    Example:
        >>> rows = Dataset.from_list([{"prompt": "2+2?", "answer": "4"}, {"prompt": "2+3?", "answer": None}])
        >>> [(asked.prompt, asked.gold) for asked in draw_prompts(rows, 9, seed=0)]
        [('2+2?', '4'), ('2+3?', None)]
    """
    if pictures := {"image", "images"} & set(rows.column_names):
        raise ValueError(f"The data have the column {min(pictures)!r}, and a forecast reads texts alone: leave it out.")
    pairs = _pairs(rows)
    chosen = sorted(random.Random(f"forecast/{seed}").sample(range(len(pairs)), min(count, len(pairs))))
    golds = rows["answer"] if "answer" in rows.column_names else [None] * len(rows)
    prompts = rows["prompt"]
    asked = []
    for first, other in (pairs[i] for i in chosen):
        paraphrase = prompts[other] if isinstance(other, int) else other
        asked.append(Asked(prompts[first], paraphrase, _gold(golds[first], first)))
    return asked


def _pairs(rows: Dataset) -> list[tuple[int, Any]]:
    """Row numbers of the prompts, each with its paraphrase: a text, a conversation, or the number of another row."""
    if "view" in rows.column_names:
        return [(first, second) for first, second in pair_rows(rows)]
    if "paraphrase" not in rows.column_names:
        return [(i, None) for i in range(len(rows))]
    paraphrases = rows["paraphrase"]
    missing = set(missing_rows(paraphrases))
    return [(i, None if i in missing else paraphrases[i]) for i in range(len(rows))]


def _gold(gold: Any, row: int) -> str | None:
    if gold is None or gold != gold:  # a row without a label, perhaps as NaN
        return None
    if not isinstance(gold, str | Real):
        raise ValueError(f"Row {row} has {gold!r} in the column 'answer': a gold answer is text or a number.")
    return str(gold) if gold_key(str(gold)) is not None else None
