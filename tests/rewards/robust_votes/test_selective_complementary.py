"""SCRL against the sheet's worked group, a reference written from the paper, and its edges."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfrl.rewards import SelectiveComplementaryReward

ANSWERS = ["4", "4", "4", "4", "4", "7", "9", None]
ENTROPIES = [0.2, 0.2, 0.3, 0.2, 0.1, 0.9, 0.1, 0.4]
GROUPS = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", "4", None]), st.floats(0, 3, width=32)), min_size=1, max_size=12
)


def texts(answers: list[str | None]) -> list[str]:
    return ["I do not know" if answer is None else rf"\boxed{{{answer}}}" for answer in answers]


def rewards(answers: list[str | None], entropies: list[float], **options: Any) -> list[float | None]:
    signal = [torch.tensor([entropy], dtype=torch.float64) for entropy in entropies]
    return SelectiveComplementaryReward(**options)(["p"] * len(answers), texts(answers), entropy=signal)


def reference(answers: list[str | None], entropies: list[float], form: str) -> list[float]:
    """The sheet's four steps, for the default thresholds."""
    n, mean = len(answers), fmean(entropies)
    classes = list(dict.fromkeys(a for a in answers if a is not None))
    p = {a: answers.count(a) / n for a in classes}
    excess = {a: fmean(h for b, h in zip(answers, entropies, strict=True) if b == a) - mean for a in classes}
    ranked = sorted(classes, key=lambda a: -p[a])  # stable: the first seen wins
    top = ranked[0] if ranked and p[ranked[0]] >= 0.5 else None
    if top is not None and len(ranked) > 1 and not (answers.count(top) - answers.count(ranked[1])) / n > 0.15:
        top = None
    negative = {a for a in classes if a != top and p[a] < 0.15 and excess[a] >= 0}
    found = []
    for a in answers:
        if a is None:
            found.append(-1.0)
        elif form == "binary":
            found.append(1.0 if a == top else -1.0 if a in negative else 0.0)
        else:
            base = p[a] if a == top else -(0.15 - p[a]) if a in negative else 0.0
            found.append(base - 0.1 * excess[a])
    return found


def test_the_sheets_group() -> None:
    assert rewards(ANSWERS, ENTROPIES) == [1.0] * 5 + [-1.0, 0.0, -1.0]
    continuous = rewards(ANSWERS, ENTROPIES, form="continuous")
    assert continuous == pytest.approx([0.635] * 5 + [-0.085, 0.02, -1.0], abs=1e-6)


@given(GROUPS, st.sampled_from(["binary", "continuous"]))
def test_any_group_is_the_references(group: list[tuple[str | None, float]], form: str) -> None:
    answers, entropies = [a for a, _ in group], [h for _, h in group]
    assert rewards(answers, entropies, form=form) == pytest.approx(reference(answers, entropies, form), abs=1e-9)


def test_a_tie_at_the_top_has_no_positive_label() -> None:
    assert rewards(["4", "4", "5", "5"], [0.1] * 4) == [0.0] * 4


def test_bounds_are_as_strict_as_the_papers() -> None:
    """Twenty answers, where 3 of them are the bound itself."""
    even = [0.1] * 20
    lead = [*"1" * 10, *"2" * 7, *"3" * 3]
    assert rewards(lead, even) == [0.0] * 20  # a lead of .15 is no more than .15, a share of .15 not below it
    assert rewards([*"1" * 11, *"2" * 7, *"34"], even) == [1.0] * 11 + [0.0] * 7 + [-1.0] * 2  # H_a = H̄ will do
    assert rewards([*"1" * 10, *"23456", *"23456"], even)[0] == 1.0  # a share of .5 is enough


def test_negative_labels_need_no_positive_one() -> None:
    answers = ["1", "1", "1", "2", "2", "2", "3", "4"]
    assert rewards(answers, [0.1] * 6 + [0.9, 0.01]) == [0.0] * 6 + [-1.0, 0.0]


def test_groups_without_spread() -> None:
    assert rewards([None, None], [0.1, 0.2]) == [-1.0, -1.0]
    assert rewards(["4", "4"], [0.1, 0.9]) == [1.0, 1.0]
    assert rewards(["4"], [0.1]) == [1.0]


def test_what_was_not_scored_is_in_no_mean() -> None:
    """A completion that was cut off has no entropy; counted as 0 it would make every rare answer uncertain."""
    signal = [torch.tensor([h]) for h in (0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.19)] + [None]
    group = ["4"] * 6 + ["7", "4"]
    assert SelectiveComplementaryReward()(["p"] * 8, texts([*group]), entropy=signal) == [1.0] * 6 + [0.0, 1.0]


def test_missing_entropies_and_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="needs entropy"):
        SelectiveComplementaryReward()(["p"] * 2, texts(["4", "4"]))
    with pytest.raises(ValueError, match="consensus"):
        SelectiveComplementaryReward(consensus=1.5)
    with pytest.raises(ValueError, match="form"):
        SelectiveComplementaryReward(form="ternary")


def test_what_is_logged() -> None:
    logged: dict[str, float] = {}
    signal = [torch.tensor([h]) for h in ENTROPIES] * 2
    prompts = ["a"] * 8 + ["b"] * 8
    completions = texts([*ANSWERS, "1", "1", "1", "1", "2", "2", "2", "2"])
    SelectiveComplementaryReward()(prompts, completions, entropy=signal, log_metric=logged.__setitem__)
    assert logged["SelectiveComplementaryReward/positive"] == 0.5
    assert logged["SelectiveComplementaryReward/negatives"] == 0.5
