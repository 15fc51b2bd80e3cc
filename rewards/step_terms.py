"""The terms of MMBoundary's reward (2505.23224), on the steps of one chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from selfrl.rewards.reasoning_steps import LEVELS, split_steps, step_key


def matches(keys: Sequence[str], reference: Collection[str]) -> list[bool]:
    """Which steps are in the reference chain; a step said twice counts as often as it stands there.

    >>> matches(["30", "41", "41"], ["41", "52"])
    [False, True, False]
    """
    left = Counter(reference)
    found = []
    for key in keys:
        found.append(left[key] > 0)
        left[key] -= 1
    return found


def knowledge_reward(correct: Sequence[bool]) -> float:
    """R_KA: share of steps that match the chain; 0 without a step.

    >>> knowledge_reward([True, False])
    0.5
    """
    return sum(correct) / len(correct) if correct else 0.0


def calibration_reward(expressed: Sequence[int | None], target: Sequence[float]) -> float:
    """1 − mean |expressed − target|: R_EC with correctness as target, R_CS with internal confidence.

    A step without an expressed level differs by 1, so silence never pays; 0 without a step.

    >>> calibration_reward([4, 2, None], [1.0, 1.0, 0.0])
    0.5
    """
    if not expressed:
        return 0.0
    gaps = [1.0 if e is None else abs(e / (LEVELS - 1) - t) for e, t in zip(expressed, target, strict=True)]
    return 1 - sum(gaps) / len(gaps)


def expected_calibration_error(expressed: Sequence[int], correct: Sequence[bool]) -> float:
    """ECE over the five levels: Σ_l n_l/n · |mean correctness at level l − l/4|.

    >>> expected_calibration_error([4, 4, 0], [True, False, False])
    0.3333333333333333
    """
    total = 0.0
    for level in set(expressed):
        right = [c for e, c in zip(expressed, correct, strict=True) if e == level]
        total += abs(sum(right) - len(right) * level / (LEVELS - 1))
    return total / len(expressed)


def reference_keys(value: Any, row: int) -> tuple[str, ...] | None:
    """Keys of a reference chain, given as a list of steps or as their text; None for None, NaN or no step.

    Raises:
        ValueError: for anything else.

    >>> reference_keys("3 + 4 = 7. 7 - 2 = 5.", row=0), reference_keys(["7", "so 5"], row=0)
    (('7', '5'), ('7', '5'))
    """
    if value is None or value != value:
        return None
    if isinstance(value, str):
        value = [value[step.start : step.end] for step in split_steps(value)]
    if not isinstance(value, list | tuple) or not all(isinstance(step, str) for step in value):
        raise ValueError(
            f"Row {row} of the batch has {value!r:.200} in the column 'reference_steps': give a text or a list of them."
        )
    return tuple(map(step_key, value)) or None
