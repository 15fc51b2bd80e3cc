"""Equality beyond spelling: `\\frac{\\sqrt{3}}{2}` and `\\sqrt{3}/2`, decided in a child process within a budget."""

from __future__ import annotations

from collections.abc import Sequence

from selfrl.answers.canonical import canonical_key
from selfrl.answers.kinds import could_be_equal, is_exact_key, is_opaque_key
from selfrl.answers.majority import MergedKeys
from selfrl.answers.worker import WORKER


def merge_keys(keys: Sequence[str | None], *, budget_s: float = 2.5) -> MergedKeys:
    r"""Replace each key by the first key of the group that is mathematically equal to it.

    Different numbers, words, and lists of them are unequal by their spelling, so a group of those costs nothing.
    The rest is read once a key and compared in a child process. Keys that could not be compared, because the budget
    ran out or one of them stalls the parser, stay as they are, and the result's `undecided` names the pairs: [`vote`]
    elects only whom they could not unseat.

    Args:
        keys: canonical keys of a group, None where there is no answer.
        budget_s: seconds for the whole group, not counting the child's first start; a group takes milliseconds unless
            something in it stalls.

    Example:
        >>> merge_keys([r"\frac{\sqrt{3}}{2}", "1", None, r"\sqrt{3}/2"])
        ['\\frac{\\sqrt{3}}{2}', '1', None, '\\frac{\\sqrt{3}}{2}']
    """
    distinct = [key for key in dict.fromkeys(keys) if key is not None and not is_opaque_key(key)]
    if len(distinct) < 2 or all(is_exact_key(key) for key in distinct):
        return MergedKeys(keys)
    labels, undecided = WORKER.cluster(distinct, budget_s)
    first: dict[str | None, str | None] = {key: distinct[label] for key, label in zip(distinct, labels, strict=True)}
    pairs = [frozenset((distinct[i], distinct[j])) for i, j in undecided]
    return MergedKeys([first.get(key, key) for key in keys], pairs)


def equivalent(a: str, b: str) -> bool | None:
    r"""Whether two answer texts mean the same; None if that could not be decided safely.

    Equal keys are equal; two different numbers, or words, or lists of them, are not; nor is a text that no parser
    can read equal to another. The rest goes to math-verify.

    Example:
        >>> equivalent("0.5", r"\frac{1}{2}"), equivalent("2", "3"), equivalent(r"2\sqrt{2}", r"\sqrt{8}")
        (True, False, True)
        >>> equivalent("9^{9^{9}}", "1") is None
        True
    """
    return keys_equivalent(canonical_key(a), canonical_key(b))


def keys_equivalent(a: str | None, b: str | None, *, budget_s: float = 2.5) -> bool | None:
    """[`equivalent`] for canonical keys.

    >>> keys_equivalent("1/2", "x") is False, keys_equivalent(None, "1") is None
    (True, True)
    """
    if a is None or b is None:
        return None
    if a == b:
        return True
    if not could_be_equal(a, b):
        return False
    labels, undecided = WORKER.cluster([a, b], budget_s)
    return None if undecided else labels[0] == labels[1]
