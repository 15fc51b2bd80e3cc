"""Thin subclasses of TRL's trainers."""

from selfrl.trainers.curriculum import CurriculumConfig
from selfrl.trainers.grpo import GRPOConfig, GRPOTrainer
from selfrl.trainers.nft import NFTConfig, NFTTrainer
from selfrl.trainers.rloo import RLOOConfig, RLOOTrainer
from selfrl.trainers.rlsc import RLSCConfig, RLSCTrainer
from selfrl.trainers.role_baselines import RoleConfig
from selfrl.trainers.teacher import TeacherConfig

__all__ = [
    "CurriculumConfig",
    "GRPOConfig",
    "GRPOTrainer",
    "NFTConfig",
    "NFTTrainer",
    "RLOOConfig",
    "RLOOTrainer",
    "RLSCConfig",
    "RLSCTrainer",
    "RoleConfig",
    "TeacherConfig",
]
