"""How rows of a data set become entries of a pool, and entries rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from selfrl.conversation import completion_text, row_id
from selfrl.selfplay.pool import Entry

Row = dict[str, Any]


class RowForm:
    """The form of the seeds, which their children take: a text, or a conversation under the seeds' system prompt.

    White space at the end of the first prompt, such as a base model's line break, stands at the end of every child.

    Args:
        columns: of the data set, `prompt` among them.
        first: its first prompt.

    Raises:
        ValueError: for a data set with pictures or in pairs.

    Example:
        >>> form = RowForm(["prompt", "answer"], [{"role": "system", "content": "Be brief."}])
        >>> form.row(Entry.of_seed("2+2?", answer="4"))["prompt"][1]
        {'role': 'user', 'content': '2+2?'}
        >>> RowForm(["prompt"], "2+2?\\n").row(Entry.of_seed("3+3?"))
        {'prompt': '3+3?\\n'}
        >>> form.entry({"prompt": "3+3?", "answer": "6"}).columns
        {'answer': '6'}
    """

    def __init__(self, columns: Sequence[str], first: Any) -> None:
        self.columns = list(columns)
        foreign = {"image", "images", "pair_id"} & set(self.columns)
        if foreign:
            raise ValueError(f"Self-play evolves single texts, but the data have the column {min(foreign)!r}: drop it.")
        self._end = first[len(first.rstrip()) :] if isinstance(first, str) else ""
        self._before = None if isinstance(first, str) else [m for m in first if m["role"] == "system"]

    @staticmethod
    def unique(rows: Iterable[Row]) -> list[Row]:
        """Rows without those that stand twice."""
        return list({row_id(row): dict(row) for row in rows}.values())

    def entry(self, row: Row) -> Entry:
        """A row as a seed; of a conversation the last message is the question."""
        prompt = row["prompt"]
        text = prompt if isinstance(prompt, str) else completion_text([{**prompt[-1], "role": "assistant"}])
        return Entry.of_seed(text, **{name: value for name, value in row.items() if name != "prompt"})

    def row(self, entry: Entry) -> Row:
        """An entry as a row with all columns; None where it has none."""
        prompt: Any = entry.text.rstrip() + self._end
        if self._before is not None:
            prompt = [*self._before, {"role": "user", "content": entry.text}]
        return {**{name: entry.columns.get(name) for name in self.columns}, "prompt": prompt}

    def answer(self, text: str) -> Any:
        """A completion in the prompts' form."""
        return text if self._before is None else [{"role": "assistant", "content": text}]
