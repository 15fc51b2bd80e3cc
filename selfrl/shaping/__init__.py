"""What changes advantages after the baseline: weights of prompts, shifts and scales of completions."""

from selfrl.shaping.entropy_reshaping import EntropyReshaping
from selfrl.shaping.flip_guard import FlipGuard
from selfrl.shaping.restrain import Restrain
from selfrl.shaping.sequence_confidence import SequenceConfidence
from selfrl.shaping.shaper import Shaper

__all__ = ["EntropyReshaping", "FlipGuard", "Restrain", "SequenceConfidence", "Shaper"]
