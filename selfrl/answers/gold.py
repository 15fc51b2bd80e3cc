r"""Whether a vote's label is the gold answer, which may be a number, a text or the end of a worked solution."""

from __future__ import annotations

from functools import lru_cache
from numbers import Real
from typing import Any

from selfrl.answers.canonical import canonical_key
from selfrl.answers.extract import extract
from selfrl.answers.symbolic import keys_equivalent


def gold_key(answer: Any) -> str | None:
    r"""Key of a gold answer, which may stand alone or in a solution (`#### 7`, `\boxed{7}`).

    None for an answer without a key, and for what is neither text nor number: a row without a label holds None or NaN.

    >>> gold_key("7"), gold_key("He has 3 + 4 = 7.\n#### 7"), gold_key(7.0), gold_key(float("nan"))
    ('7', '7', '7', None)
    """
    if not isinstance(answer, str | Real) or answer != answer:
        return None
    return _key_of_text(str(answer))


@lru_cache(maxsize=65536)
def _key_of_text(answer: str) -> str | None:
    return canonical_key(extract(answer) or answer)


def right_label(label: str | None, gold: Any) -> bool | None:
    r"""Whether a canonical key is the gold answer; None without either, or if that could not be decided safely.

    >>> right_label("72", "She sold 48 + 24.\n#### 72"), right_label(r"\sqrt{3}/2", r"\frac{\sqrt{3}}{2}")
    (True, True)
    >>> right_label("5", "4"), right_label(None, "4"), right_label("5", None)
    (False, None, None)
    """
    return keys_equivalent(label, gold_key(gold))
