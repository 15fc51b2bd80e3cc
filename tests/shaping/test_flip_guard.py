"""TTRL-Guard against the sheet's worked group and weights, and its memory of prompts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.group_record import GroupRecord, Visit
from selfrl.shaping import FlipGuard
from selfrl.shaping.flip_guard import Look, PromptState, bonuses, look
from selfrl.shaping.shaper import AdvantageGroup

STD = (0.724569,) * 5 + (-1.207615,) * 3  # five right of eight, TRL's standard deviation


def group(keys: str = "44444777", earlier: tuple[Visit, ...] = (), **options: Any) -> AdvantageGroup:
    answers = tuple(None if key == "-" else key for key in keys)
    top = max(dict.fromkeys(key for key in answers if key), key=answers.count)
    rewards = options.pop("rewards", tuple(float(key == top) for key in answers))
    record = GroupRecord(
        options.pop("name", "a"), 0, answers, top, None, rewards, (3,) * len(keys), (False,) * len(keys)
    )
    advantages = options.pop("advantages", STD)
    return AdvantageGroup(record, advantages, (True,) * len(keys), earlier, options.pop("visits", len(earlier)))


def shaped(guard: FlipGuard, *groups: AdvantageGroup) -> list[list[float]]:
    return guard.shape(groups).advantages


def visit(label: str, ratio: float) -> Visit:
    return Visit(0, label, ratio, None)


def test_the_sheets_flip() -> None:
    found = FlipGuard("flip").shape([group(earlier=(visit("7", 0.5),))])
    assert found.advantages[0] == pytest.approx([0.253599] * 5 + [-0.327565] * 3, abs=1e-6)
    assert found.metrics == {
        "flip_guard/flips": 1.0,
        "flip_guard/weight": pytest.approx(0.35),
        "flip_guard/supported": 1.0,
        "flip_guard/skipped": 0.0,
    }


def weight(direction: str, seen: Look, **state: Any) -> float:
    return FlipGuard(direction).weight(seen, PromptState(**state))


def test_the_sheets_weights() -> None:
    assert weight("flip", Look(0.0, 0.9, 0.9, 2)) == 1
    assert weight("flip", Look(1.0, 0.5, 0.5, 2), competed=True) == 0.5
    assert weight("flip", Look(1.0, 0.625, 0.6, 2), competed=True) == pytest.approx(0.35)
    assert weight("flip", Look(0.0, 0.9, 0.9, 5)) == pytest.approx(0.85)
    assert weight("flip", Look(0.0, 0.9, 0.9, 5), stable=5) == 1
    assert weight("flip", Look(0.0, 0.9, 0.9, 5), competed=True) == 1


def test_the_other_reading_weighs_what_stays() -> None:
    assert weight("lock", Look(1.0, 0.9, 0.9, 2), competed=True) == 1
    assert weight("lock", Look(0.0, 0.9, 0.9, 1)) == 1  # nothing to have stayed from
    assert weight("lock", Look(0.0, 0.5, 0.5, 2)) == 0.5
    assert weight("lock", Look(0.0, 0.9, 0.9, 2)) == pytest.approx(0.35)
    assert weight("lock", Look(0.0, 0.9, 0.9, 5)) == pytest.approx(0.35 * 0.85)


def test_weights_have_a_floor() -> None:
    guard = FlipGuard("flip", flip_cost=1.0)
    assert guard.weight(Look(1.0, 0.9, 0.9, 2), PromptState(competed=True)) == 0.1


def test_a_visit_is_seen_with_those_before() -> None:
    past = [visit("5", 0.2), visit("4", 0.8)]
    assert look("5", 0.5, past, 2, window=2) == Look(1.0, 0.5, 0.65, 3)
    assert look("4", 0.5, past, 7, window=5) == Look(0.0, 0.5, 0.5, 8)
    assert look("4", 0.5, [], 0, window=5) == Look(0.0, 0.5, 0.5, 1)
    assert look("4", 0.5, past, 2, window=1).windowed == 0.5
    three = [visit("4", 0.1), visit("4", 0.2), visit("4", 0.4)]
    assert look("4", 0.5, three, 3, window=5).windowed == pytest.approx(0.3)  # fewer than a window: all of them
    assert look(None, 0.0, past, 2, window=5).flip == 0  # no label is no other label


def test_a_minority_needs_votes() -> None:
    assert bonuses({"4": 4, "7": 2, "9": 1, "3": 1}, "4", 8, 0.3, 4) == {"7": 0.3}
    assert bonuses({"4": 4, "7": 3, "9": 2}, "4", 9, 0.3, 4) == pytest.approx({"7": 0.18, "9": 0.12})
    assert bonuses({"4": 2, "7": 1}, "4", 3, 0.3, 4) == {"7": 0.3}  # at least one vote


def test_support_lasts_until_the_label_is_steady_but_gives_only_on_a_flip() -> None:
    guard = FlipGuard("flip")
    past: list[Visit] = [visit("7", 0.5)]
    for supported in (True, True, True, False):
        before = shaped(guard, group(earlier=tuple(past)))[0]
        assert guard._states["a"].supported == supported
        assert (before[0] / STD[0] == pytest.approx(0.35)) == (len(past) == 1)
        past.append(visit("4", 0.625))


def test_what_has_no_answer_gets_a_twentieth_and_what_is_not_scored_nothing() -> None:
    rewards = (1.0,) * 4 + (0.0, 0.0, 0.0, None)
    advantages = (1.0,) * 4 + (-1.0,) * 3 + (0.0,)
    found = shaped(
        FlipGuard("flip", lock_cost=0.0),
        group("4444777-", (visit("7", 0.5),), rewards=(*rewards[:7], 0.0), advantages=advantages),
        group("4444777-", (visit("7", 0.5),), rewards=rewards, advantages=advantages, name="b"),
    )
    scale = 0.5 * 7 / 8 + 1e-6
    assert found[0] == pytest.approx([0.5] * 4 + [-0.5 + 0.3 * scale] * 3 + [0.05 * 0.3 * scale])
    assert found[1][7] == 0


def locked(name: str) -> AdvantageGroup:
    """Its label has flipped once, and agrees since."""
    past = (visit("7", 0.9), *(visit("4", 0.9),) * 4)
    return group("44444447", past, name=name, visits=5, advantages=(0.35,) * 7 + (-2.47,))


def test_locked_prompts_are_skipped_by_chance_and_a_quarter_of_a_batch_at_most() -> None:
    guard = FlipGuard("flip", skip_probability=1.0)
    for name in "abcdefgh":
        guard._states[name] = PromptState(competed=True)
    found = guard.shape([locked(name) for name in "abcdefgh"])
    assert [advantages[0] == 0 for advantages in found.advantages] == [True] * 2 + [False] * 6
    assert found.metrics["flip_guard/skipped"] == 0.25
    assert not any(row[0] == 0 for row in shaped(FlipGuard("flip", skip_probability=1.0), *map(locked, "abc")))


def test_what_is_skipped_follows_the_seed() -> None:
    def skipped(seed: int) -> list[bool]:
        guard = FlipGuard("flip", skip_probability=0.5, seed=seed)
        names = [f"p{i}" for i in range(40)]
        for name in names:
            guard._states[name] = PromptState(competed=True)
        return [shaped(guard, locked(name))[0][0] == 0 for name in names]

    assert skipped(0) == skipped(0) != skipped(1)
    assert 8 < sum(skipped(0)) < 32


def test_its_memory_goes_through_a_checkpoint() -> None:
    guard, again = FlipGuard("flip"), FlipGuard("flip")
    shaped(guard, group(earlier=(visit("7", 0.5),)))
    again.load(json.loads(json.dumps(guard.state())))
    assert again.state() == guard.state() == {"a": {"competed": True, "stable": 0, "supported": True, "quiet": 0}}


@given(st.permutations(range(8)))
def test_the_order_of_completions_does_not_matter(order: list[int]) -> None:
    keys = "44444777"
    past = (visit("7", 0.5),)
    plain = shaped(FlipGuard("flip"), group(keys, past))[0]
    moved = group("".join(keys[i] for i in order), past, advantages=tuple(STD[i] for i in order))
    assert shaped(FlipGuard("flip"), moved)[0] == pytest.approx([plain[i] for i in order])


def test_bad_options_are_refused() -> None:
    for options, word in (
        ({"direction": "up"}, "direction"),
        ({"direction": "flip", "window": 17}, "window"),
        ({"direction": "flip", "lock_cost": 2.0}, "lock_cost"),
        ({"direction": "flip", "flip_bound": 1.0}, "flip_bound"),
        ({"direction": "flip", "steady": 0}, "steady"),
    ):
        with pytest.raises(ValueError, match=word):
            FlipGuard(**options)
