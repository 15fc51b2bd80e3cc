"""Procedural shopping sessions: what a shopper sees and wants, and what they do next."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COLOURS = ("red", "blue", "green", "black", "white", "brown")
MATERIALS = ("leather", "wool", "cotton", "steel")
THINGS = ("shoes", "bag", "jacket", "belt", "hat", "scarf", "watch", "gloves")
SYMBOLS = ('"', ":", ",", "{", "}", "_", ".", "\n")
WORDS = (
    *COLOURS,
    *MATERIALS,
    *THINGS,
    "goal page search home results cart empty with item buy rationale action type name text click and submit terminate "
    "box I want the so look for it this one fits is done in my",
)


@dataclass(frozen=True)
class Session:
    """One moment of a session: the prompt, a shopper's rationale, and their true action."""

    prompt: str
    rationale: str
    action: dict[str, str]

    def reply(self, action: dict[str, str] | None = None) -> str:
        """The completion a shopper would write, with another action if one is given."""
        return json.dumps({"rationale": self.rationale, "action": action or self.action})


def sessions(seed: int, split: str) -> Iterator[Session]:
    """Endless sessions; splits share no goal."""
    rng = random.Random(f"{split}-{seed}")
    while True:
        goal = (rng.choice(COLOURS), rng.choice(MATERIALS), rng.choice(THINGS))
        held_out = (COLOURS.index(goal[0]) + MATERIALS.index(goal[1]) + THINGS.index(goal[2])) % 5 == 0
        if held_out == (split == "heldout"):
            yield _session(" ".join(goal), goal, rng)


def _session(goal: str, parts: tuple[str, ...], rng: random.Random) -> Session:
    moment = rng.choice(("home", "results", "results", "cart"))
    if moment == "home":
        action = {"type": "type_and_submit", "name": "search box", "text": goal}
        return Session(f"goal {goal}. page home with search box\n", f"I look for the {goal}", action)
    if moment == "cart":
        return Session(f"goal {goal}. page cart with {goal}\n", f"the {goal} is in my cart so it is done", _END)
    items = [goal, *(_other(parts, rng) for _ in range(2))]
    rng.shuffle(items)
    prompt = f"goal {goal}. page results with {', '.join(items)}\n"
    return Session(prompt, f"this one fits my goal {goal}", {"type": "click", "name": f"buy {goal}"})


_END = {"type": "terminate"}


def _other(goal: tuple[str, ...], rng: random.Random) -> str:
    """An item that differs from the goal in one word."""
    place = rng.randrange(3)
    other = rng.choice([word for word in (COLOURS, MATERIALS, THINGS)[place] if word != goal[place]])
    return " ".join((*goal[:place], other, *goal[place + 1 :]))


def noisy_action(session: Session, rng: random.Random) -> dict[str, str]:
    """What a careless shopper does: the true action with one word of it changed, or another type of action."""
    action = dict(session.action)
    key = next((k for k in ("text", "name") if action.get(k, "search box") != "search box"), None)
    if key is None or rng.random() < 0.3:
        return rng.choice([_END, {"type": "click", "name": "search box"}])
    words = action[key].split()
    place = rng.randrange(len(words) - 3, len(words))
    words[place] = rng.choice((COLOURS, MATERIALS, THINGS)[place - len(words) + 3])
    return action | {key: " ".join(words)}


def rows(split: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Data set rows: `prompt`, and `action` as JSON text."""
    drawn = sessions(seed, split)
    return [{"prompt": s.prompt, "action": json.dumps(s.action)} for s in (next(drawn) for _ in range(count))]
