"""What is called with matrices, lists of lists or as many replies as prompts, and is given something else."""

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import selfrl.preferences
from selfrl.preferences import balanced_votes, bradley_terry, expected_wins, preference_pairs, swiss_pairs

SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
MATRIX_FUNCTIONS = {"bradley_terry", "expected_wins"}


def test_all_public_functions_on_matrices_are_tested_here() -> None:
    found = set()
    for module in pkgutil.iter_modules(selfrl.preferences.__path__, "selfrl.preferences."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            parameters = inspect.signature(function).parameters.values()
            if function.__module__ == module.name and any(p.annotation == "Matrix" for p in parameters):
                found.add(name)
    assert found == MATRIX_FUNCTIONS


@given(SHAPES)
def test_wins_are_square_and_strengths_a_row(shape: tuple[int, ...]) -> None:
    checks: list[tuple[Any, bool, str]] = [
        (bradley_terry, len(shape) == 2 and shape[0] == shape[1], "wins_GG"),
        (expected_wins, len(shape) == 1, "theta_G"),
        (lambda values: swiss_pairs(values, ()), len(shape) == 1, "scores"),
    ]
    for function, fits, name in checks:
        if fits:
            function(np.ones(shape))
            continue
        with pytest.raises(ValueError, match=rf"^{name} has the shape") as error:
            function(np.ones(shape))
        assert str(shape) in str(error.value)
        assert "it must be" in str(error.value)


def test_strengths_of_one_column_are_refused_for_they_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"^theta_G has the shape \(3, 1\): it must be \(G,\)\.$"):
        expected_wins(np.zeros((3, 1)))


@pytest.mark.parametrize("pair", [(0, 4), (-1, 0), (2,), (0, 1, 2)])
def test_a_pair_of_others_than_the_players_is_refused(pair: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="it must be a pair of the 4 places in scores"):
        swiss_pairs([1, 0, 1, 0], {frozenset((0, 1)), frozenset(pair)})


@pytest.mark.parametrize(("prompts", "groups", "scores"), [(1, 2, 2), (2, 1, 2), (2, 2, 1), (0, 1, 1)])
def test_each_prompt_has_one_group_and_its_scores(prompts: int, groups: int, scores: int) -> None:
    said = f"^{prompts} prompts, {groups} groups of completions and {scores} of scores: give one each.$"
    with pytest.raises(ValueError, match=said):
        preference_pairs(["p"] * prompts, [["a", "b"]] * groups, [[0.0, 1.0]] * scores)


@pytest.mark.parametrize("replies", [0, 3, 5, 8])
def test_a_judge_gives_one_reply_to_each_prompt(replies: int) -> None:
    """With four replies too many, the votes of a pair that was not asked about came back."""
    with pytest.raises(ValueError, match=f"gave {replies} replies to 4 prompts"):
        balanced_votes([(1, 2), (3, 4)], lambda a, b: [], lambda prompts: ["A"] * replies)
