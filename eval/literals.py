"""Python literals in model text: read, compared, given to a benchmark's own function. Model code never runs.

`ast.parse` and `ast.literal_eval` build values and call nothing. Where a benchmark asks for an input that makes its
function return a value (CRUXEval), the arguments a model writes must be literals; the function, which is the
benchmark's, runs on them in a child with hard limits.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import suppress
from typing import Any

from selfrl.limited_program import run_program

MAX_TEXT = 2000
_ASSERT = re.compile(r"^\s*assert\b")
MAX_NESTING = 30
CALL_LIMIT_S = 2.0  # of processor time


def read_literal(text: str) -> Any:
    """The value that a Python literal writes, or the right side of `f(…) == literal`, with or without `assert`.

    Raises:
        ValueError: if it is none, too long or too deeply nested.

    Example:
        >>> read_literal("[1, 'a']"), read_literal("assert f(3) == {'b': 2}")
        ([1, 'a'], {'b': 2})
    """
    node = _parsed(text)
    if isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.Eq):
        node = node.comparators[-1]
    return _value(node)


def read_arguments(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the call in `f(…) == literal`, or of a bare `f(…)` or `…`, as literals.

    Raises:
        ValueError: if one of them is no literal.

    Example:
        >>> read_arguments("assert f('a', n=2) == 3")
        (('a',), {'n': 2})
        >>> read_arguments("'a', 2")
        (('a', 2), {})
    """
    node: ast.expr | None = None
    with suppress(ValueError):
        node = _parsed(text)
    if isinstance(node, ast.Compare):
        node = node.left
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "f"):
        node = _parsed(f"f({_without_assert(text)})")
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):  # a bracket of its own closed the call
        raise ValueError("This is no list of arguments.")
    names = [word.arg for word in node.keywords]
    if None in names or len(set(names)) < len(names):
        raise ValueError("Arguments must be written out, each once.")
    values = {str(word.arg): _value(word.value) for word in node.keywords}
    return tuple(_value(arg) for arg in node.args), values


def returns(code: str, arguments: tuple[tuple[Any, ...], dict[str, Any]], expected: str) -> bool | None:
    """Whether the benchmark's function `f` in `code` returns `expected` (a literal) for literal arguments.

    It runs in a child: see [`selfrl.limited_program`]. None if the child hits a limit, or the code
    cannot be run at all.

    Raises:
        ValueError: for code that uses what is not allowed there, or if `expected` is no literal.

    Example:
        >>> returns("def f(x):\\n    return x + 1", ((16,), {}), "17")
        True
    """
    check_code(code)
    args, words = arguments
    written = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in words.items())])
    outcome = run_program(code, written, limit_s=CALL_LIMIT_S, vetted=True)
    if outcome.literal is None:
        return False if outcome.failure in ("error", "no literal", "too long") else None
    return bool(ast.literal_eval(outcome.literal) == read_literal(expected))


def check_code(code: str) -> None:
    """Refuse a benchmark's code that imports, or reaches for Python's special names.

    Raises:
        ValueError: saying what it uses.

    Example:
        >>> check_code("import os")
        Traceback (most recent call last):
        ...
        ValueError: This code is not run here: it uses import.
    """
    for node in ast.walk(ast.parse(code)):
        name = getattr(node, "attr", getattr(node, "id", ""))
        if isinstance(node, ast.Import | ast.ImportFrom) or re.fullmatch(r"__.+__", name):
            raise ValueError(f"This code is not run here: it uses {name or 'import'}.")


def _parsed(text: str) -> ast.expr:
    asserted, text = _ASSERT.match(text), _without_assert(text)
    if len(text) > MAX_TEXT or _depth(text) > MAX_NESTING:
        raise ValueError("This is too long, or too deeply nested, for a literal.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of the model's, as in "1if"
            node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError("This is no Python expression.") from error
    if asserted and isinstance(node, ast.Tuple) and len(node.elts) == 2:  # assert condition, message
        return node.elts[0]
    return node


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("This is no Python literal.") from error


def _without_assert(text: str) -> str:
    return _ASSERT.sub("", text, count=1).strip()


def _depth(text: str) -> int:
    """Upper bound of how deep brackets and unary operators nest."""
    depth = deepest = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        deepest = max(deepest, depth)
    return deepest + sum(text.count(c * 8) for c in "-+~") * MAX_NESTING + text.count("not not") * MAX_NESTING
