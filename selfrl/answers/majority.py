"""The vote over canonical keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Literal, get_args

Ties = Literal["first", "abstain"]
Pairs = Collection[frozenset[str]]


class MergedKeys(list[str | None]):
    """Keys of a group, one spelling a meaning, that know which of them could not be compared.

    Args:
        keys: None where there is no answer.
        undecided: pairs of keys that may or may not mean the same.

    Example:
        >>> MergedKeys(["x", "y"], [frozenset(("x", "y"))]).undecided == {frozenset(("y", "x"))}
        True
    """

    undecided: frozenset[frozenset[str]] = frozenset()

    def __init__(self, keys: Iterable[str | None], undecided: Iterable[frozenset[str]] = ()) -> None:
        super().__init__(keys)
        self.undecided = frozenset(undecided)


def vote(
    keys: Iterable[str | None],
    *,
    ties: Ties = "first",
    min_votes: int = 1,
    min_margin: int = 0,
    undecided: Pairs | None = None,
) -> str | None:
    """The most common key, or None.

    None (no answer) never votes and never wins. Keys that could not be compared stand apart, each with its votes; the
    label stands only if it wins however they would fall: a rival counts with the votes of all that it may be equal to.

    Args:
        keys: canonical keys of a group's completions.
        ties: "first" gives a tie to the key seen first (the authors' behaviour); "abstain" to nobody.
        min_votes: fewest votes that win.
        min_margin: smallest lead over the runner-up that wins.
        undecided: pairs of keys that may or may not mean the same; those that [`merge_keys`] found by default.

    Raises:
        ValueError: for another word in `ties`.

    Example:
        >>> vote(["4", None, "5", "4"])
        '4'
        >>> vote(["4", "5"]), vote(["4", "5"], ties="abstain"), vote([None])
        ('4', None, None)
        >>> vote(["x", "x", "y", "z"]), vote(["y", "x", "x", "z"], undecided=[frozenset("yz")])
        ('x', None)
    """
    if ties not in get_args(Ties):
        raise ValueError(f"`ties` is {ties!r}: it must be one of {get_args(Ties)}.")
    if undecided is None:
        undecided = keys.undecided if isinstance(keys, MergedKeys) else ()
    # Counter keeps first-seen order, and most_common is stable in it.
    counts = Counter(key for key in keys if key is not None)
    if not counts:
        return None
    winner, votes = counts.most_common(1)[0]
    order = {key: place for place, key in enumerate(counts)}
    for rival in counts:
        if rival == winner:
            continue
        allies = [key for pair in undecided if rival in pair for key in pair - {rival, winner} if key in counts]
        lead = votes - counts[rival] - sum(counts[ally] for ally in allies)
        first = min(order[key] for key in (rival, *allies)) > order[winner]
        if lead < 0 or (lead == 0 and not (ties == "first" and first)) or lead < min_margin:
            return None
    return winner if votes >= min_votes and votes >= min_margin else None


def in_doubt(key: str | None, label: str | None, undecided: Pairs) -> bool:
    """Whether it is not known if a key is the label, or, without a label, what it equals.

    >>> in_doubt("x", "y", [frozenset("xy")]), in_doubt("x", "z", [frozenset("xy")]), in_doubt("y", "y", [])
    (True, False, False)
    """
    if key is None or key == label:
        return False
    return any(key in pair and (label is None or label in pair) for pair in undecided)
