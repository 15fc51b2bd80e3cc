"""A key as a tree of expressions in brackets, read with math-verify's parser. Runs only in the grading child."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy
from sympy.core.relational import Relational

from selfrl.answers._values import NoValueError, same_values
from selfrl.answers.kinds import brackets, is_number_key, is_opaque_key, split_list

# math-verify's own settings lower-case symbols and drop letters that could be units: X+1 would equal x+1, and
# \pi r^2 h would equal \pi r^2. Keys have lost their units already.
_NORMALIZATION = NormalizationConfig(units=False, malformed_operators=True, boxed="none")
_CONVERSION = ConversionConfig(lowercase_symbols=False)
_PRIMES = re.compile(r"([a-zA-Z])('+)")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?|\{\d+\})\^\{\\circ\s?\}")
# The parser adds a bracketed fraction or a binomial to a number before it, as if both were a mixed number.
_PRODUCTS = (
    re.compile(r"(?<=[\d)}])(?=\\binom)|(?<=[\d)])(?=\()|(?<=\))(?=\\frac|\d)"),
    re.compile(r"(?<=\d)(\^\{[^{}]*\})(?=\d)|(\\binom\{[^{}]*\}\{[^{}]*\})(?=\d|\\frac|\()"),
)
_CUP = re.compile(r"\\cup(?![a-zA-Z])")
_DEPENDENT = ("z", "y")  # what an equation is solved for, in this order

UNORDERED = (r"\{\}", r"\cup")
OTHER = "other"


class Form(NamedTuple):
    """What a key writes.

    Args:
        kind: "expression", "equation", "greater", "at least", "unequal", "text", the brackets of a container, a cup, a
            matrix's shape, or "other", which only math-verify can compare.
        leaf: an expression; of a relation left minus right; of a text the key; of "other" whatever was read.
        parts: of a container.
    """

    kind: str
    leaf: Any = None
    parts: tuple[Form, ...] = ()


@lru_cache(maxsize=4096)
def read(key: str) -> Any:
    """The sympy object that a key writes; the key itself if it has no mathematical reading."""
    if is_number_key(key):
        return sympy.Rational(key)
    if is_opaque_key(key):
        return key
    # the parser drops primes, so they become part of the name
    named = _PRIMES.sub(lambda m: m[1] + "_{" + "p" * len(m[2]) + "}", key)
    named = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", named)
    named = _PRODUCTS[1].sub(lambda m: rf"{m[1] or m[2]}\cdot ", _PRODUCTS[0].sub(r"\\cdot ", named))
    try:
        found = latex2sympy(named, is_real=True, normalization_config=_NORMALIZATION, conversion_config=_CONVERSION)
        unit = sympy.Symbol("i", real=True)
        if isinstance(found, sympy.Expr) and not found.has(sympy.Sum, sympy.Product, sympy.Integral):
            found = found.subs(unit, sympy.I)
        if isinstance(found, sympy.Expr | Relational):  # decimals are exact
            found = found.xreplace({number: sympy.Rational(str(number)) for number in found.atoms(sympy.Float)})
    except Exception:  # the parser raises bare Exception on what it cannot read
        return key
    return found if found is not None else key


@lru_cache(maxsize=4096)
def form(key: str) -> Form:
    r"""The tree of a key.

    >>> form("(1,x]").kind, form(r"\{1,2\}").kind, form("x+1").kind, form("monday").kind
    ('(]', '\\{\\}', 'expression', 'text')
    """
    if is_number_key(key):
        return Form("expression", sympy.Rational(key))
    if is_opaque_key(key):
        return Form("text", key)
    if (kind := brackets(key)) is not None:
        width = len(kind) // 2
        return Form(kind, parts=tuple(form(part) for part in split_list(key[width:-width]) or ()))
    if len(parts := _CUP.split(key)) > 1:
        return Form(r"\cup", parts=tuple(form(part) for part in parts))
    return _form_of(read(key))


def _form_of(found: Any) -> Form:
    if isinstance(found, str):
        return Form("text", found)
    if isinstance(found, sympy.Expr):
        return Form("expression", found)
    if isinstance(found, Relational):
        return _relation(found)
    if isinstance(found, sympy.MatrixBase):
        return Form(f"matrix {found.shape}", parts=tuple(_form_of(entry) for entry in found))
    return Form(OTHER, found)


def _relation(found: Relational) -> Form:
    difference = found.lhs - found.rhs
    if not isinstance(difference, sympy.Expr):
        return Form(OTHER, found)
    if isinstance(found, sympy.Eq):
        return Form("equation", difference)
    if isinstance(found, sympy.Ne):
        return Form("unequal", difference)
    if isinstance(found, sympy.Lt | sympy.Le):
        difference = -difference
    strict = isinstance(found, sympy.Gt | sympy.Lt)
    interval = _ray(difference, strict)
    return interval or Form("greater" if strict else "at least", difference)


def _ray(difference: sympy.Expr, strict: bool) -> Form | None:
    """A linear inequality of one variable as the interval of its solutions."""
    if (
        len(difference.free_symbols) != 1
        or (line := linear_in(difference, next(iter(difference.free_symbols)))) is None
    ):
        return None
    slope, _, root = line
    bound, end = Form("expression", root), Form("expression", sympy.oo if slope > 0 else -sympy.oo)
    if slope > 0:
        return Form("()" if strict else "[)", parts=(bound, end))
    return Form("()" if strict else "(]", parts=(end, bound))


def explicit(difference: sympy.Expr) -> sympy.Expr | None:
    """What an equation's dependent variable equals; None if it is linear in none that can be it.

    That is z or y where it has them, else the variable with the smallest coefficient, else the first by name: it
    depends on the equation alone, not on how it is arranged.
    """
    names = {symbol.name: symbol for symbol in difference.free_symbols}
    conventional = [names[name] for name in _DEPENDENT if name in names][:1]
    lines = [line for symbol in conventional or names.values() if (line := linear_in(difference, symbol)) is not None]
    if not lines:
        return None
    return min(lines, key=lambda line: (abs(line.slope), line.symbol.name)).root


class Line(NamedTuple):
    """An expression slope·(symbol − root), for a constant slope and a root without the symbol."""

    slope: sympy.Expr
    symbol: sympy.Symbol
    root: sympy.Expr


def linear_in(expression: sympy.Expr, symbol: sympy.Symbol) -> Line | None:
    """An expression as a line in a symbol; None if it is none."""
    at_0, at_1, *others = (expression.subs(symbol, value) for value in (0, 1, 2, -3))
    slope = at_1 - at_0
    if slope.free_symbols:
        slope = sympy.expand(slope) if sympy.count_ops(slope) < 100 else slope
    if slope.free_symbols or not slope.is_real or not slope.is_finite or slope.is_zero is not False:
        return None
    try:
        if not all(same_values(at, at_0 + slope * x) for at, x in zip(others, (2, -3), strict=True)):
            return None
    except NoValueError:
        return None
    return Line(slope, symbol, -at_0 / slope)
