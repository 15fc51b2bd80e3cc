"""Asymmetric self-play: a curriculum of prompts that grows where the solver learns (eva, 2411.00062, and relatives)."""
