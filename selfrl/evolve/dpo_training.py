"""Offline training on pairs of a solver's own answers, by TRL's DPOTrainer and all its losses."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trl

from selfrl.data.loading import load_rows
from selfrl.generation.processors import load_processor
from selfrl.models import model_path
from selfrl.monitor.metrics_file import MetricsFile
from selfrl.recipe import RecipeParser
from selfrl.suggest import refuse_unknown


@dataclass
class PairData:
    """Where the pairs come from.

    Args:
        dataset: file of rows with `prompt`, `chosen` and `rejected`.
    """

    dataset: str


@dataclass(frozen=True)
class DPOPlan:
    """A DPO training, parsed and checked, with nothing loaded yet.

    Args:
        data: its pairs.
        config: TRL's DPOConfig; `loss_type` names any of its losses, such as ipo, hinge or sppo_hard.
        model: TRL's ModelConfig.
    """

    data: PairData
    config: trl.DPOConfig
    model: trl.ModelConfig


def parse_dpo(values: Mapping[str, Any]) -> DPOPlan:
    """A plan from the keys of DPOConfig, ModelConfig and [`PairData`].

    Raises:
        ValueError: for an unknown key (with the nearest), or no model.
    """
    classes = (PairData, trl.DPOConfig, trl.ModelConfig)
    known = [field.name for cls in classes for field in dataclasses.fields(cls) if field.init]
    for key in values:
        refuse_unknown("key", key, known, "of a DPO recipe")
    parser = RecipeParser(classes)
    parser.set_defaults_with_config(**values)
    data, config, model = parser.parse_args_into_dataclasses([])
    if model.model_name_or_path is None:
        raise ValueError("The recipe names no model: set model_name_or_path (or `tiny`).")
    model.model_name_or_path = model_path(model.model_name_or_path)
    return DPOPlan(data, config, model)


def build_dpo(plan: DPOPlan) -> trl.DPOTrainer:
    """The plan's trainer, with data and model loaded and a metrics file; the reference is the model as it starts."""
    rows = load_rows(plan.data.dataset)
    source = plan.model.model_name_or_path
    config = copy.copy(plan.config)
    config.model_init_kwargs = {
        "revision": plan.model.model_revision,
        "attn_implementation": plan.model.attn_implementation,
        "dtype": plan.model.dtype,
        **(config.model_init_kwargs or {}),
    }
    return trl.DPOTrainer(
        source,
        args=config,
        train_dataset=rows.select_columns(["prompt", "chosen", "rejected"]),
        processing_class=load_processor(source, plan.model.model_revision),
        peft_config=trl.get_peft_config(plan.model),
        callbacks=[MetricsFile()],
    )
