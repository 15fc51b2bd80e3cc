"""Which of two texts a judge prefers, rankings from such verdicts, and preference pairs from rankings."""

from selfrl.preferences.dpo_rows import preference_pairs
from selfrl.preferences.ranking import bradley_terry, expected_wins, swiss_pairs
from selfrl.preferences.verdicts import Tally, Vote, balanced_votes, read_verdict

__all__ = [
    "Tally",
    "Vote",
    "balanced_votes",
    "bradley_terry",
    "expected_wins",
    "preference_pairs",
    "read_verdict",
    "swiss_pairs",
]
