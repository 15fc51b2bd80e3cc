"""The vote over canonical keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

Ties = Literal["first", "abstain"]


def vote(keys: Iterable[str | None], *, ties: Ties = "first", min_votes: int = 1, min_margin: int = 0) -> str | None:
    """The most common key, or None.

    None (no answer) never votes and never wins.

    Args:
        keys: canonical keys of a group's completions.
        ties: "first" gives a tie to the key seen first (the authors' behaviour); "abstain" to nobody.
        min_votes: fewest votes that win.
        min_margin: smallest lead over the runner-up that wins.

    Raises:
        ValueError: for another word in `ties`.

    Example:
        >>> vote(["4", None, "5", "4"])
        '4'
        >>> vote(["4", "5"]), vote(["4", "5"], ties="abstain"), vote([None])
        ('4', None, None)
    """
    if ties not in get_args(Ties):
        raise ValueError(f"`ties` is {ties!r}: it must be one of {get_args(Ties)}.")
    # Counter keeps first-seen order, and most_common is stable in it.
    ranked = Counter(key for key in keys if key is not None).most_common(2)
    if not ranked:
        return None
    winner, votes = ranked[0]
    runner_up = ranked[1][1] if len(ranked) > 1 else 0
    if (ties == "abstain" and votes == runner_up) or votes < min_votes or votes - runner_up < min_margin:
        return None
    return winner
