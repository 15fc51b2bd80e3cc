"""The private names of TRL that selfrl uses are there, with the parameters that selfrl counts on."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import transformers
import trl

import selfrl.trainers
from selfrl.trainers import GRPOTrainer, NFTTrainer, RLOOTrainer, RLSCTrainer
from selfrl.trainers.features import Features
from selfrl.trainers.trl_surface import PICTURES, Surface

TRAINERS = [trl.GRPOTrainer, trl.RLOOTrainer]
OURS = [GRPOTrainer, RLOOTrainer, NFTTrainer, RLSCTrainer]
# Where the two differ, or selfrl names only the first parameters and hands the others on.
OPEN = {
    "_generate_single_turn": ["prompt_ids", "images", "multimodal_fields"],
    "_get_per_token_logps_and_entropies": ["model", "input_ids", "attention_mask", "logits_to_keep"],
}


def methods() -> list[str]:
    return [name for name, member in vars(Surface).items() if inspect.isfunction(member)]


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("name", methods())
def test_a_method_has_the_parameters_that_selfrl_counts_on(trainer: type, name: str) -> None:
    found = parameters(getattr(trainer, name))
    if name in OPEN:
        assert found[: len(OPEN[name])] == OPEN[name]
    else:
        assert found == parameters(getattr(Surface, name))


@pytest.mark.parametrize("trainer", TRAINERS)
def test_scoring_takes_every_part_of_a_picture(trainer: type) -> None:
    found = parameters(getattr(trainer, "_get_per_token_logps_and_entropies"))  # noqa: B009
    assert {*PICTURES, "batch_size", "compute_entropy", "compute_aux_loss"} <= set(found)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_attributes_are_set_by_trl(trainer: type) -> None:
    modules = (trainer, trl.trainer.base_trainer._BaseTrainer, transformers.Trainer)
    text = "".join(Path(inspect.getfile(module)).read_text() for module in modules)
    missing = [name for name in Surface.__annotations__ if f"self.{name}" not in text and not hasattr(trainer, name)]
    assert not missing


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_arguments_are_those_of_trl_in_its_order(trainer: type) -> None:
    ours = [
        name
        for name in parameters(Features.__init__)
        if name not in ("teacher", "curriculum", "pool", "roles", "shaping", "options")
    ]
    assert parameters(trainer.__init__)[: len(ours)] == ours


def test_every_private_name_that_is_used_stands_in_the_surface() -> None:
    """No mixin reaches for a private name of TRL that the surface does not list."""
    folder = Path(inspect.getfile(selfrl.trainers)).parent
    trees = [ast.parse(path.read_text()) for path in folder.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {
        target.attr
        for node in nodes
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute)
    }
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    known = {name for name in dir(Surface) if name.startswith("_")} | set(Surface.__annotations__)
    of_trl = {name for name in used if any(hasattr(trainer, name) for trainer in TRAINERS)} | (used - own)
    declared = {
        node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert not of_trl - known - declared


@pytest.mark.parametrize("trainer", OURS)
def test_features_stand_between_the_trainer_and_trl(trainer: type) -> None:
    order = inspect.getmro(trainer)
    trl_class = next(cls for cls in order if cls.__module__.startswith("trl."))
    above = order[: order.index(trl_class)]
    assert [cls for cls in above if issubclass(cls, Features)]
    assert all(cls.__module__.startswith("selfrl.") for cls in above)
    names = [cls.__name__ for cls in above]
    for outer, inner in (
        ("DynamicSampling", "Records"),  # each scored batch has its records
        ("VoteCount", "Records"),  # records hold the rewards of all voters
        ("Abstentions", "Records"),  # and what was watched
        ("Records", "SystemPrompt"),  # prompt ids do not change with the system prompt
        ("Teacher", "SignalColumns"),  # what is heard last is the policy
    ):
        assert names.index(outer) < names.index(inner)
