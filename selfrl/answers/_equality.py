"""Whether two keys mean the same, by the values of their expressions. Runs only in the grading child.

Two expressions are the same if their values agree to 50 digits at six points of their symbols, negative ones among
them: that takes a bounded number of operations, where simplifying a difference to zero may take forever, and it is
symmetric and transitive. Only what has no values, such as a system of conditions, is left to math-verify.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from math_verify import verify

from selfrl.answers._forms import OTHER, UNORDERED, Form, explicit, form
from selfrl.answers._values import NoValueError, TooLargeError, same_values

ROUNDING = 12  # digits to which math-verify compares numbers


def equal(a: str, b: str) -> bool | None:
    """Whether two keys mean the same; None if that cannot be told."""
    return _same(form(a), form(b))


def _same(a: Form, b: Form) -> bool | None:
    if a.kind == "text" or b.kind == "text":
        return a.kind == b.kind and a.leaf == b.leaf
    if {a.kind, b.kind} == {"expression", "equation"}:
        value, equation = (a.leaf, b.leaf) if a.kind == "expression" else (b.leaf, a.leaf)
        right_side = explicit(equation)
        return False if right_side is None else _same_leaves(value, right_side)
    if OTHER in (a.kind, b.kind):
        return False if a.parts or b.parts else _by_math_verify(a.leaf, b.leaf)
    if a.kind != b.kind:
        return False
    if a.parts or b.parts:
        return _same_sets(a.parts, b.parts) if a.kind in UNORDERED else _same_rows(a.parts, b.parts)
    if a.kind == "expression":
        return _same_leaves(a.leaf, b.leaf)
    return _same_leaves(a.leaf, b.leaf, ratio=True, positive=a.kind not in ("equation", "unequal"))


def _same_rows(a: Sequence[Form], b: Sequence[Form]) -> bool | None:
    if len(a) != len(b):
        return False
    return _all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same_sets(a: Sequence[Form], b: Sequence[Form]) -> bool | None:
    """Whether each has an equal in the other."""
    verdicts = [[_same(x, y) for y in b] for x in a]
    return _all(_any(row) for row in [*verdicts, *zip(*verdicts, strict=True)])


def _same_leaves(a: Any, b: Any, ratio: bool = False, positive: bool = False) -> bool | None:
    try:
        return same_values(a, b, ratio, positive)
    except TooLargeError:
        return None
    except NoValueError:
        return None if ratio else _by_math_verify(a, b)


def _by_math_verify(a: Any, b: Any) -> bool | None:
    """math-verify's verdict in either direction, for it is not symmetric; None if it fails."""
    try:
        return any(
            verify([x], [y], float_rounding=ROUNDING, timeout_seconds=None, raise_on_error=True)
            for x, y in ((a, b), (b, a))
        )
    except Exception:  # whatever sympy raises on a comparison it cannot make
        return None


def _all(verdicts: Any) -> bool | None:
    """False if one is, else None if one is, else True."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _any(verdicts: Any) -> bool | None:
    """True if one is, else None if one is, else False."""
    found = list(verdicts)
    return True if True in found else None if None in found else False
