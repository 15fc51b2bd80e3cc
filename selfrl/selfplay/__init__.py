"""Asymmetric self-play: a curriculum of prompts that grows where the solver learns (eva, 2411.00062, and relatives)."""

from selfrl.selfplay.evol_creator import EvolCreator
from selfrl.selfplay.procedural_creator import ProceduralCreator
from selfrl.selfplay.proposer_creator import ProposerCreator

__all__ = ["EvolCreator", "ProceduralCreator", "ProposerCreator"]
