"""Thin subclasses of TRL's trainers."""

from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer
from selfrl.trainers.rloo import RLOOConfig, RLOOTrainer
from selfrl.trainers.teacher import TeacherConfig

__all__ = ["GRPOConfig", "GRPOTrainer", "RLOOConfig", "RLOOTrainer", "TeacherConfig"]
