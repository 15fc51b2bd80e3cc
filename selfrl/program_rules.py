"""What a hostile program may say: one function `f`, names of its own, some builtins and harmless methods."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

MAX_CODE = 20_000  # characters
MAX_DEPTH = 100  # of the syntax tree
BUILTINS = (
    "ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NotImplementedError "
    "OverflowError RuntimeError StopIteration TypeError ValueError ZeroDivisionError abs all any bin bool bytes chr "
    "dict divmod enumerate filter float frozenset hex int isinstance iter len list map max min next oct ord pow range "
    "repr reversed round set slice sorted str sum tuple type zip"
).split()
KINDS = (bool, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str, tuple, type(None))
# What may be reached is listed, since a list of what may not forgets one of gi_frame, tb_frame, f_back and their like.
# `format` reads attributes that a text names.
_ATTRIBUTES = {name for kind in KINDS for name in dir(kind) if name[0] != "_"} - {"format", "format_map"}


def refusal(source: str) -> str | None:
    """Why a program may not run, in a few words, in the data gate's order; None if it may.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: as `ast.parse` does.

    Example:
        >>> refusal("def f(x):\\n    return x + 1"), refusal("def f(x):\\n    return open(x)")
        (None, 'banned names: open')
        >>> refusal("def f(x):\\n    return x\\ndef g(x):\\n    return x"), refusal("def f(x):\\n    return g_0(x)")
        ('several functions', 'composite')
    """
    if len(source) > MAX_CODE:
        return "too long"
    tree = ast.parse(source)
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        return "too deeply nested"
    definitions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    if not any(isinstance(node, ast.FunctionDef) and node.name == "f" for node in definitions):
        return "no function f"
    again = {name for node in tree.body if node not in definitions for name in _bound(node)}
    if len(definitions) > 1 or "f" in again or any("f" in n.names for n in ast.walk(tree) if isinstance(n, ast.Global)):
        return "several functions"
    bound = set(_bound(tree))
    known = bound.union(BUILTINS)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if any(re.fullmatch(r"g(_\d+)?", name) for name in used - known):
        return "composite"
    imports = {"import" for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}
    hidden = {name for name in {*bound, *_keywords(tree)} if name.startswith("_") and name != "_"}
    reached = {f".{name}" for name in _reached(tree) if name not in _ATTRIBUTES}
    banned = sorted({*imports, *hidden, *(used - known), *reached})
    return f"banned names: {', '.join(banned)[:80]}" if banned else None


def _bound(tree: ast.AST) -> Iterator[str]:
    """Every name that a piece of a program gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif not isinstance(node, ast.Name | ast.Attribute | ast.keyword | ast.Constant | ast.MatchClass):
            for _, value in ast.iter_fields(node):
                yield from (name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))


def _keywords(tree: ast.AST) -> Iterator[str]:
    return (node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg is not None)


def _reached(tree: ast.AST) -> Iterator[str]:
    """Every attribute that a program asks for, in a pattern too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.MatchClass):
            yield from node.kwd_attrs
