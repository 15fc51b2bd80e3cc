"""What an expression is worth at fixed points of its symbols. Runs only in the grading child."""

from __future__ import annotations

import contextlib
import math
import random
from functools import lru_cache
from typing import Any

import mpmath
import sympy

POINTS = 6  # the first two refute; all six confirm
ROUGH, FINE = 20, 50  # digits; the fine ones on top of those that the expressions themselves are long
SLACK = 12  # of the digits, lost on the way or to rounding
QUADRATURE = 15  # digits of an integral, which is never solved: that may take forever
MAX_DIGITS = 20_000  # of any value on the way; a tower beyond has no value here
MAX_TERMS = 1000  # of a sum or product that is added up
_SUMS = (sympy.Sum, sympy.Product)

Value = Any  # mpmath's mpf or mpc


class NoValueError(ValueError):
    """An expression has no value at a point."""


class TooLargeError(NoValueError):
    """An expression's value, or one on the way to it, is too large to compute."""


def same_values(a: sympy.Expr, b: sympy.Expr, ratio: bool = False, positive: bool = False) -> bool:
    """Whether two expressions have the same values at all points, real and complex parts.

    Exact rationals are compared exactly. The rest is evaluated to 50 digits more than its largest number has and
    compared relatively, so that a difference of two values that are both tiny, or both huge, is seen.

    Args:
        a: one expression.
        b: the other.
        ratio: whether a constant factor between them counts as the same.
        positive: whether that factor must be positive.

    Raises:
        NoValueError: if too few points have values.
        TooLargeError: if both are too large to evaluate; one alone is so certainly another.
    """
    if a == b:
        return True
    if not ratio and a.is_Rational and b.is_Rational:
        return False  # both are in lowest terms
    constant = not (a.free_symbols | b.free_symbols)
    whole = a.has(*_SUMS) or b.has(*_SUMS)
    integral = a.has(sympy.Integral) or b.has(sympy.Integral)
    for points, is_fine in ((2, False), (POINTS, True)):
        points = 1 if constant else points
        digits = QUADRATURE if integral else _fine_digits(a, b, whole) if is_fine else ROUGH
        pairs = []
        for point in range(points):
            large = [_is_too_large(x, point, digits, whole) for x in (a, b)]
            if all(large):
                raise TooLargeError("both values are too large")
            if any(large):
                return False
            with contextlib.suppress(NoValueError):
                pairs.append((value_at(a, point, digits, whole), value_at(b, point, digits, whole)))
        if len(pairs) < max(points // 2, 1):
            raise NoValueError("too few points have values")
        with mpmath.workdps(digits + 10):
            tolerance = mpmath.mpf(10) ** (min(SLACK, digits // 3) - digits)
            near = _proportional(pairs, tolerance, positive) if ratio else all(_near(*p, tolerance) for p in pairs)
        if not near:
            return False
    return True


def _fine_digits(a: sympy.Expr, b: sympy.Expr, whole: bool) -> int:
    try:
        return FINE + int(max(size(a, whole), size(b, whole)))
    except TooLargeError:
        return FINE  # which value_at refuses


@lru_cache(maxsize=16384)
def value_at(expression: sympy.Expr, point: int, digits: int, whole: bool = False) -> Value:
    """An expression's value at a point, to so many digits; infinite for a signed infinity.

    A symbol's value depends on its name and the point alone, so that x is the same in every expression. Half of the
    points are negative. With `whole`, symbols are small positive integers, as the limits of a sum want them.

    Raises:
        NoValueError: for an expression without a number as its value.
        TooLargeError: for one that is too large, or with such a one on the way.
    """
    if expression in (sympy.oo, -sympy.oo):
        return mpmath.inf if expression == sympy.oo else -mpmath.inf
    subs = {symbol: _coordinate(symbol.name, point, whole) for symbol in expression.free_symbols}
    if expression.has(*_SUMS):
        expression = _added_up(expression.subs(subs))
        subs = {}
    if expression.has(sympy.Integral):
        expression, digits, subs = expression.subs(subs), min(digits, QUADRATURE), {}
    size(expression, whole)
    try:
        value = expression.evalf(digits, subs=subs, maxn=4 * digits + 400)
        if value.free_symbols or value.has(sympy.nan, sympy.zoo, sympy.oo):
            raise NoValueError(expression)
        real, imaginary = value.as_real_imag()
        with mpmath.workdps(digits + 10):
            return mpmath.mpc(_part(real), _part(imaginary))
    except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError) as error:
        raise NoValueError(expression) from error


def size(expression: Any, whole: bool = False) -> float:
    """Upper bound, roughly, on the decimal digits before the point of an expression and of all that it contains.

    Found without evaluating anything. Symbols are as large as at the points, see [`value_at`].

    Raises:
        TooLargeError: beyond [`MAX_DIGITS`].
    """
    if isinstance(expression, sympy.Integer):
        found = math.log10(abs(int(expression)) or 1)
    elif isinstance(expression, sympy.Rational):
        found = max(math.log10(abs(expression.p) or 1), math.log10(expression.q))
    elif expression.is_Atom:
        found = 1.0 if whole and expression.is_Symbol else 0.5
    else:
        sizes = [size(argument, whole) for argument in expression.args]
        if isinstance(expression, sympy.Pow):
            found = (sizes[0] + 0.3) * _magnitude(sizes[1])
        elif isinstance(expression, sympy.exp | sympy.sinh | sympy.cosh | sympy.tanh):
            found = 0.44 * _magnitude(sizes[0])
        elif isinstance(expression, sympy.factorial | sympy.gamma | sympy.binomial | sympy.factorial2):
            found = _magnitude(max(sizes)) * (max(sizes) + 1)
        elif isinstance(expression, sympy.Mul):
            found = sum(sizes)
        elif isinstance(expression, sympy.Add):
            found = max(sizes) + math.log10(sum(10.0 ** (size - max(sizes)) for size in sizes))
        else:
            found = max(sizes, default=0.0) + 1
    if found > MAX_DIGITS:
        raise TooLargeError("too large a value")
    return found


def _is_too_large(expression: sympy.Expr, point: int, digits: int, whole: bool) -> bool:
    try:
        value_at(expression, point, digits, whole)
    except TooLargeError:
        return True
    except NoValueError:
        pass
    return False


def _magnitude(digits: float) -> float:
    if digits > 6:
        raise TooLargeError("too large an exponent")
    return 10.0**digits


def _coordinate(name: str, point: int, whole: bool) -> sympy.Expr:
    rng = random.Random(f"{name}-{point}")
    if whole:
        return sympy.Integer(rng.randint(2, 9))
    size = sympy.Rational(rng.randint(5000, 15000), 10007)
    return -size if point % 2 else size


def _added_up(expression: sympy.Expr) -> sympy.Expr:
    """Sums and products with their terms added up, or left to their own evaluation if a limit is infinite."""
    for node in expression.atoms(*_SUMS):
        for _, low, high in node.limits:
            if high != sympy.oo and not (high - low).is_Integer:
                raise NoValueError("a limit that is no integer")
            if high != sympy.oo and high - low > MAX_TERMS and len(node.limits) > 1:
                raise TooLargeError("too many terms")
            if high != sympy.oo and high - low > MAX_TERMS**2:
                raise TooLargeError("too many terms")
    return expression.doit()


def _part(value: sympy.Expr) -> Any:
    """A real part as mpmath's; a value of which no digit is known is zero."""
    if value.is_Float and value._prec == 1:
        return mpmath.mpf(0)
    return mpmath.mpf(value._mpf_ if value.is_Float else sympy.Float(value)._mpf_)


def _near(x: Value, y: Value, tolerance: Any) -> bool:
    if mpmath.isinf(x) or mpmath.isinf(y):
        return bool(x == y)
    return bool(abs(x - y) <= tolerance * max(abs(x), abs(y)))


def _proportional(pairs: list[tuple[Value, Value]], tolerance: Any, positive: bool) -> bool:
    if any((x == 0) != (y == 0) for x, y in pairs):
        return False
    ratios = [y / x for x, y in pairs if x != 0]
    if not ratios:
        raise NoValueError("zero at every point")
    if positive and not (abs(mpmath.im(ratios[0])) <= tolerance * abs(ratios[0]) and mpmath.re(ratios[0]) > 0):
        return False
    return all(_near(ratios[0], ratio, tolerance) for ratio in ratios)
