"""One page of a run: final diff, rounds, verdicts, outputs side by side. Model text is data in it, never markup."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Any

import jinja2

from selfrl.prompting.run_record import Answer, Ballot, Run
from selfrl.text import word_diff


def write_page(path: Path, run: Run) -> None:
    """Write the page of a run whose first round is over."""
    template = (importlib.resources.files("selfrl.prompting") / "run_page.html.j2").read_text()
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["verdict"] = verdict
    page = environment.from_string(template).render(
        run=run,
        task=run.begun["task"],
        roles=run.begun["roles"],
        diff=word_diff(run.initial_prompt, run.best_prompt),
        rounds=[_shown(run, i) for i in range(len(run.rounds))],
        heldout=_heldout(run),
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def verdict(ballot: Ballot, one: str, two: str) -> str:
    """A ballot in words.

    >>> verdict(Ballot("two", True, "A"), "round 1", "round 2")
    'round 2 (round 2 shown first)'
    """
    names = {"one": one, "two": two, "tie": "tie", None: "not readable" if ballot.reply is not None else "no reply"}
    return f"{names[ballot.vote]} ({two if ballot.swapped else one} shown first)"


def _shown(run: Run, place: int) -> dict[str, Any]:
    """A round with its outputs beside those it was compared with."""
    current = run.rounds[place]
    rows = []
    if current.answers is not None:
        against = None if current.comparison is None else run.rounds[current.comparison.one - 1]
        for i, answer in enumerate(current.answers):
            qa = run.begun["task"]["qa"][run.samples[i]]
            best = None if against is None else (against.answers or [])[i]
            rows.append({"qa": qa, "new": answer, "best": best, "beside": against is not None})
    tokens = sum(u.prompt_tokens + u.completion_tokens for u in current.usage.values())
    return {"round": current, "rows": rows, "tokens": tokens, "cost": sum(u.cost for u in current.usage.values())}


def _heldout(run: Run) -> list[tuple[dict[str, Any], Answer | None, Answer | None, list[Ballot]]]:
    found = run.heldout
    if found is None:
        return []
    questions = [run.begun["task"]["qa"][i] for i in found.questions]
    return list(zip(questions, found.one, found.two, found.ballots, strict=True))
