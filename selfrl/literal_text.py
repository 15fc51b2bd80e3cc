"""Values as literals: written the same way whatever their order, and read back as a call's arguments."""

from __future__ import annotations

import ast
import math
from typing import Any

MAX_ARGUMENTS = 25_000  # characters
MAX_LITERAL = 25_000
MAX_NESTING = 32  # brackets in each other


class TooLongError(Exception):
    """A value whose literal would be too long, or too deeply nested."""


def literal(value: object) -> str:
    """The value as text that `ast.literal_eval` reads back: built-in types only, sets and dictionaries in order.

    Raises:
        TypeError: for a value that has no such text, infinity and NaN among them.
        TooLongError: for more than 25,000 characters, or more than 32 brackets in each other.

    Example:
        >>> literal({"b": {3, 1}, "a": (1.5,)})
        "{'a': (1.5,), 'b': {1, 3}}"
    """
    return _Writer().write(value, 0)


class _Writer:
    """Counts as it writes, so that a list that holds itself, or another one often, ends soon."""

    def __init__(self) -> None:
        self.left = MAX_LITERAL

    def write(self, value: object, depth: int) -> str:
        if depth > MAX_NESTING:
            raise TooLongError
        if isinstance(value, list | tuple | set | dict) and type(value) in (list, tuple, set, dict):
            self._count(len(value))
            if isinstance(value, dict):
                pairs = sorted(f"{self.write(k, depth + 1)}: {self.write(v, depth + 1)}" for k, v in value.items())
                return f"{{{', '.join(pairs)}}}"
            parts = [self.write(part, depth + 1) for part in value]
            if isinstance(value, set):
                return f"{{{', '.join(sorted(parts))}}}" if parts else "set()"
            text = ", ".join(parts)
            return f"[{text}]" if isinstance(value, list) else f"({text},)" if len(parts) == 1 else f"({text})"
        return self._plain(value)

    def _plain(self, value: object) -> str:
        kind = type(value)
        if isinstance(value, str | bytes) and kind in (str, bytes):
            self._count(len(value))
        elif isinstance(value, int) and kind in (int, bool):
            self._count(value.bit_length() // 4)
        elif isinstance(value, float | complex) and kind in (float, complex):
            number = complex(value)
            if not (math.isfinite(number.real) and math.isfinite(number.imag)):
                raise TypeError
        elif value is not None:
            raise TypeError
        try:
            text = repr(value)
        except ValueError as error:  # an integer of more digits than Python writes
            raise TooLongError from error
        self._count(len(text))
        return text

    def _count(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise TooLongError


def read_arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The literals of a call's brackets.

    Raises:
        ValueError, SyntaxError, RecursionError, MemoryError: if they are none.

    Example:
        >>> read_arguments("'a', n=[2]")
        (['a'], {'n': [2]})
    """
    if len(text) > MAX_ARGUMENTS:
        raise ValueError
    call = ast.parse(f"f({text}\n)", mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):  # a bracket of its own closed the call
        raise ValueError
    if any(word.arg is None for word in call.keywords):
        raise ValueError
    return [ast.literal_eval(n) for n in call.args], {str(w.arg): ast.literal_eval(w.value) for w in call.keywords}
