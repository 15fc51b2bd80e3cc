"""Rewards that need no labels, and their controls, for TRL's trainers."""

from selfrl.rewards.boundary import BoundaryReward
from selfrl.rewards.confidence import (
    AnswerProbabilityReward,
    EntropyReward,
    LogProbabilityReward,
    SelfCertaintyReward,
)
from selfrl.rewards.contract import BaseReward
from selfrl.rewards.contrastive import ContrastiveAgreementReward
from selfrl.rewards.controls import RandomReward
from selfrl.rewards.execution import ExecutionReward
from selfrl.rewards.formats import FormatReward
from selfrl.rewards.ground_truth import AccuracyReward
from selfrl.rewards.majority_vote import MajorityVoteReward
from selfrl.rewards.pairwise import PairwiseSelfReward
from selfrl.rewards.pretext import PretextReward
from selfrl.rewards.prompt_groups import PromptGroupReward
from selfrl.rewards.proposer_reward import ProposerReward
from selfrl.rewards.repetition import RepetitionReward
from selfrl.rewards.reward_model import RewardModelReward
from selfrl.rewards.robust_votes.consistency_volatility import ConsistencyVolatilityReward
from selfrl.rewards.robust_votes.diversity import DiversityReward
from selfrl.rewards.robust_votes.novelty import NoveltyReward
from selfrl.rewards.robust_votes.selective_complementary import SelectiveComplementaryReward
from selfrl.rewards.robust_votes.soft_vote import SoftVote
from selfrl.rewards.robust_votes.step_confidence import StepConfidenceVote
from selfrl.rewards.semantic_entropy import SemanticEntropyReward
from selfrl.rewards.shopping import RationaleCertaintyReward, ShopActionReward, ShopFormatReward

__all__ = [
    "AccuracyReward",
    "AnswerProbabilityReward",
    "BaseReward",
    "BoundaryReward",
    "ConsistencyVolatilityReward",
    "ContrastiveAgreementReward",
    "DiversityReward",
    "EntropyReward",
    "ExecutionReward",
    "FormatReward",
    "LogProbabilityReward",
    "MajorityVoteReward",
    "NoveltyReward",
    "PairwiseSelfReward",
    "PretextReward",
    "PromptGroupReward",
    "ProposerReward",
    "RandomReward",
    "RationaleCertaintyReward",
    "RepetitionReward",
    "RewardModelReward",
    "SelectiveComplementaryReward",
    "SelfCertaintyReward",
    "SemanticEntropyReward",
    "ShopActionReward",
    "ShopFormatReward",
    "SoftVote",
    "StepConfidenceVote",
]
