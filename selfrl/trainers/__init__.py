"""Thin subclasses of TRL's trainers."""

from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer
from selfrl.trainers.rloo import RLOOConfig, RLOOTrainer

__all__ = ["GRPOConfig", "GRPOTrainer", "RLOOConfig", "RLOOTrainer"]
