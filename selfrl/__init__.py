"""Post-train language models with rewards that need no labels, on top of TRL."""

__version__ = "0.1.0"
