"""Results as JSON that stays short and can still be read."""

from __future__ import annotations

import json
from typing import Any


def result_text(value: Any) -> str:
    """JSON with a line for every value, but one line for a list of plain values, such as a question's vote.

    >>> print(result_text({"step": 5, "votes": [[0, 8, 0.5], [1, 8, 1.0]], "none": []}), end="")
    {
     "step": 5,
     "votes": [
      [0, 8, 0.5],
      [1, 8, 1.0]
     ],
     "none": []
    }
    """
    return _text(value, "\n") + "\n"


def _text(value: Any, line: str) -> str:
    if isinstance(value, dict) and value:
        marks, inner = "{}", [f"{json.dumps(str(key))}: {_text(item, line + ' ')}" for key, item in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        marks, inner = "[]", [_text(item, line + " ") for item in value]
    else:
        return json.dumps(value)
    return f"{marks[0]}{line} {f',{line} '.join(inner)}{line}{marks[1]}"
