"""Asymmetric self-play: a curriculum of prompts that grows where the solver learns (eva, 2411.00062, and relatives)."""

from selfrl.selfplay.procedural_creator import ProceduralCreator

__all__ = ["ProceduralCreator"]
