"""Tables of a curriculum, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from selfrl.evolve.curriculum_views import RoundView
from selfrl.selfplay.curriculum_figures import BINS
from selfrl.tables import percent, wrapping_table

EXAMPLES = 3  # of the last round that has any
LONGEST = 300  # characters of a text that is shown


def tables(rounds: Sequence[RoundView]) -> list[Table]:
    """What is known of the rounds; prompts in them are cut and shown as they stand, control characters aside."""
    made = [
        wrapping_table(ROUND_HEAD, [_round(view) for view in rounds], "Rounds"),
        wrapping_table(DESCENT_HEAD, [_descent(view) for view in rounds], "Accepted prompts: descent and topics"),
        wrapping_table(["round", *BINS], [_bins(view) for view in rounds], "Scored prompts by their solve rate"),
        wrapping_table(ANSWER_HEAD, [_answers(view) for view in rounds], "Answers"),
    ]
    names = list(dict.fromkeys(name for view in rounds for name in view.refused))
    if names:
        rows = [[str(v.number), *(str(v.refused.get(name, 0)) for name in names)] for v in rounds]
        heads = [name.replace("_", " ") for name in names]
        made.append(wrapping_table(["round", *heads], rows, "Refused by the gate"))
    last = next((view for view in reversed(rounds) if view.examples), None)
    if last is not None:
        shown = [e for e in last.examples if e.refused is None][:EXAMPLES]
        shown += [e for e in last.examples if e.refused is not None][:EXAMPLES]
        cells = [[cut(e.parent), cut(e.child), e.operator, e.refused or "accepted"] for e in shown]
        made.append(wrapping_table(["parent", "child", "operator", "gate"], cells, f"Examples of round {last.number}"))
    return made


ROUND_HEAD = ["round", "children", "accepted %", "duplicates %", "in the mix %", "words", "gate"]
DESCENT_HEAD = ["round", "depth mean", "depth max", "seeds alive", "largest seed %", "entropy", "evenness", "topics"]
ANSWER_HEAD = ["round", "never or always %", "4p(1-p)", "vote share %", "right %", "gap", "asked again", "overturned"]


def cut(text: str) -> str:
    """A text for people: one line, not too long, and nothing that moves a terminal.

    >>> cut("a\\x1b[31m\\nb")
    'a�[31m b'
    """
    shown = " ".join(text[: LONGEST + 1].split())
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown if len(text) <= LONGEST else shown[:LONGEST] + " …"


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _round(view: RoundView) -> list[str]:
    mode = view.record.get("mode", "under way")
    return [
        str(view.number),
        str(view.children),
        _share(view.acceptance),
        percent(view.duplicates) if view.children else "",
        _share(view.mix.get("evolved_share")),
        f"{view.words:.1f}" if view.accepted else "",
        "UNGATED"
        if view.record.get("ungated")
        else mode + (", seeds only" if view.record.get("stopped_proposing") else ""),
    ]


def _descent(view: RoundView) -> list[str]:
    if view.topics is None:
        return [str(view.number), *[""] * (len(DESCENT_HEAD) - 1)]
    return [
        str(view.number),
        f"{view.descent.mean_depth:.1f}",
        str(view.descent.max_depth),
        str(view.descent.roots),
        percent(view.descent.largest_root),
        f"{view.topics.entropy:.2f}",
        f"{view.topics.evenness:.2f}",
        f"{view.topics.effective:.1f}",
    ]


def _bins(view: RoundView) -> list[str]:
    if not view.rates:
        return [str(view.number), *[""] * len(BINS)]
    counts = ["no rates", *[""] * (len(BINS) - 1)] if view.bins is None else list(map(str, view.bins))
    return [str(view.number), *counts]


def _answers(view: RoundView) -> list[str]:
    return [
        str(view.number),
        _share(view.dead) if view.rates else "",
        "" if view.learnability is None or not view.rates else f"{view.learnability:.2f}",
        _share(view.vote_share),
        _share(view.right),
        "" if view.gap is None else f"{100 * view.gap:+.1f}",
        str(view.rejudged),
        str(view.overturned),
    ]
