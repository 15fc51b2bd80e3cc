"""Rewards that need no labels, and their controls, for TRL's trainers."""

from selfrl.rewards.boundary import BoundaryReward
from selfrl.rewards.confidence import (
    AnswerProbabilityReward,
    EntropyReward,
    LogProbabilityReward,
    SelfCertaintyReward,
)
from selfrl.rewards.controls import RandomReward
from selfrl.rewards.formats import FormatReward
from selfrl.rewards.ground_truth import AccuracyReward
from selfrl.rewards.pairwise import PairwiseSelfReward
from selfrl.rewards.semantic_entropy import SemanticEntropyReward
from selfrl.rewards.shopping import RationaleCertaintyReward, ShopActionReward, ShopFormatReward
from selfrl.rewards.voting import ContrastiveAgreementReward, MajorityVoteReward

__all__ = [
    "AccuracyReward",
    "AnswerProbabilityReward",
    "BoundaryReward",
    "ContrastiveAgreementReward",
    "EntropyReward",
    "FormatReward",
    "LogProbabilityReward",
    "MajorityVoteReward",
    "PairwiseSelfReward",
    "RandomReward",
    "RationaleCertaintyReward",
    "SelfCertaintyReward",
    "SemanticEntropyReward",
    "ShopActionReward",
    "ShopFormatReward",
]
