"""Every public function on tensors refuses shapes that do not fit, above all those that would broadcast."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import selfrl.signals
from selfrl.signals import differentiable_signals, ema_update_, negative_aware_loss, prompt_weights, token_signals
from selfrl.signals.negative_aware import negative_aware_terms
from selfrl.signals.shapes import check_shapes

Shape = tuple[int, ...]
HEAD: dict[str, Shape] = {"hidden": (2, 3, 4), "weight": (7, 4), "targets": (2, 3), "bias": (7,)}
ROWS: dict[str, Shape] = {
    "logps_BT": (3, 2),
    "old_logps_BT": (3, 2),
    "mask_BT": (3, 2),
    "labels_B": (3,),
    "rates_B": (3,),
    "group_sizes_B": (3,),
}


def moved(shadow: torch.Tensor, policy: torch.Tensor) -> None:
    ema_update_({"w": shadow}, {"w": policy}, 0.5)


# each function with the shapes of all its tensors: change any one, and it no longer fits the others
CASES: dict[str, tuple[Callable[..., Any], dict[str, Shape]]] = {
    "token_signals": (token_signals, HEAD),
    "differentiable_signals": (differentiable_signals, HEAD),
    "negative_aware_terms": (negative_aware_terms, ROWS),
    "negative_aware_loss": (negative_aware_loss, {**ROWS, "normalizer": ()}),
    "prompt_weights": (prompt_weights, {"rates_B": (3,), "group_sizes_B": (3,)}),
    "ema_update_": (moved, {"shadow": (3, 2), "policy": (3, 2)}),
}
ALONE = {"effective_rank": {"hidden_ND"}}  # one tensor, which any (N, D) fits
ARGUMENTS = [(name, argument) for name, (_, shapes) in CASES.items() for argument in shapes]


def call(name: str, **changed: Shape) -> None:
    function, shapes = CASES[name]
    whole = {"targets": torch.long}
    function(**{a: torch.ones(s, dtype=whole.get(a)) for a, s in {**shapes, **changed}.items()})


def test_all_public_functions_on_tensors_are_tested_here() -> None:
    found: dict[str, set[str]] = {}
    for module in pkgutil.iter_modules(selfrl.signals.__path__, "selfrl.signals."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            parameters = inspect.signature(function).parameters.values()
            tensors = {p.name for p in parameters if "Tensor" in str(p.annotation) and p.kind is not p.VAR_KEYWORD}
            if tensors and not name.startswith("_") and function.__module__ == module.name:
                found[name] = tensors
    assert found == ALONE | {name: set(shapes) for name, (_, shapes) in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_shapes_that_fit_are_taken(name: str) -> None:
    call(name)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_a_shape_that_would_broadcast_is_refused(name: str, argument: str) -> None:
    shape = CASES[name][1][argument]
    for other in {(*shape, 1), (1, *shape), (*shape[:-1], 1) if shape else (1,)}:
        refused(name, argument, other)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ARGUMENTS), st.lists(st.integers(0, 8), max_size=4).map(tuple))
def test_no_single_tensor_may_have_any_other_shape(case: tuple[str, str], shape: Shape) -> None:
    name, argument = case
    if shape != CASES[name][1][argument]:
        refused(name, argument, shape)


def refused(name: str, argument: str, shape: Shape) -> None:
    with pytest.raises(ValueError, match=r"must|use one model") as error:
        call(name, **{argument: shape})
    said = str(error.value)
    # the tensor that differs is told, or the one that it does not fit
    assert any(str(told) in said for told in {**CASES[name][1], argument: shape}.values())
    assert said.endswith(".")
    assert "\n" not in said


def test_the_sentence_says_what_was_found_and_wanted() -> None:
    with pytest.raises(ValueError, match=r"^labels_B has the shape \(3, 1\): it must be \(B,\) with B = 3\.$"):
        call("negative_aware_loss", labels_B=(3, 1))
    with pytest.raises(ValueError, match=r"^mask_BT has the shape \(2,\): it must be \(B, T\) with B = 3, T = 2\.$"):
        call("negative_aware_loss", mask_BT=(2,))
    with pytest.raises(ValueError, match=r"^w has the shape \(1,\) in the policy and \(3, 2\) in the teacher"):
        call("ema_update_", policy=(1,))


def test_a_teacher_of_another_shape_is_left_as_it_was() -> None:
    shadow = {"a": torch.zeros(2), "b": torch.zeros(2)}
    with pytest.raises(ValueError, match="b has the shape"):
        ema_update_(shadow, {"a": torch.ones(2), "b": torch.ones(1)}, 0.5)
    assert shadow["a"].tolist() == [0, 0]


@given(st.lists(st.tuples(st.text("BTV", min_size=1, max_size=3), st.lists(st.integers(1, 3), max_size=3)), max_size=4))
def test_names_fit_if_every_axis_has_one_size(named: list[tuple[str, list[int]]]) -> None:
    tensors = {f"x{i}_{axes}": torch.zeros(sizes) for i, (axes, sizes) in enumerate(named)}
    pairs = {pair for axes, sizes in named for pair in zip(axes, sizes, strict=False)}
    fits = all(len(axes) == len(sizes) for axes, sizes in named) and len(pairs) == len(dict(pairs))
    if fits:
        check_shapes(**tensors, missing_B=None)
    else:
        with pytest.raises(ValueError, match="it must be"):
            check_shapes(**tensors)
