"""RLSC's weights: the sheet's numbers, and the log domain."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.group_record import GroupRecord
from selfrl.shaping import SequenceConfidence
from selfrl.shaping.sequence_confidence import sequence_weights
from selfrl.shaping.shaper import AdvantageGroup

LOGPS, LENGTHS = (-12.0, -15.0, -13.0), (10, 12, 11)


def group(trained: tuple[bool, ...] = (True,) * 3) -> AdvantageGroup:
    means = tuple(logp / length for logp, length in zip(LOGPS, LENGTHS, strict=True))
    record = GroupRecord("a", 0, (), None, None, (None,) * 3, LENGTHS, (False,) * 3, {"log_prob": means})
    return AdvantageGroup(record, (0.0,) * 3, trained)


def test_the_sheets_weights() -> None:
    (raw,) = SequenceConfidence().shape([group()]).advantages
    assert raw == pytest.approx([0.705385, 0.035119, 0.259496], abs=1e-6)
    (normalised,) = SequenceConfidence(length_normalised=True).shape([group()]).advantages
    assert normalised == pytest.approx([0.336748, 0.320325, 0.342927], abs=1e-6)


def test_only_what_is_trained_on_shares_the_weight() -> None:
    (found,) = SequenceConfidence().shape([group((True, False, True))]).advantages
    assert found[1] == 0
    assert found[0] == pytest.approx(1 / (1 + math.exp(-1)))


@given(st.lists(st.floats(-1e5, 0), min_size=1, max_size=8), st.floats(-1e4, 0))
def test_weights_sum_to_one_however_small_the_probabilities(logps: list[float], shift: float) -> None:
    weights = sequence_weights(logps)
    assert sum(weights) == pytest.approx(1)
    assert sequence_weights([logp + shift for logp in logps]) == pytest.approx(weights, abs=1e-6)


def test_smoothing_is_added() -> None:
    assert sequence_weights([-1.0, -1.0], smoothing=0.1) == [0.6, 0.6]
    with pytest.raises(ValueError, match="smoothing"):
        SequenceConfidence(smoothing=-1)
